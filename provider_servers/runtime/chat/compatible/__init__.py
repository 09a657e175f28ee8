"""Chat completions as OpenAI's API has them: one adapter, of which each vendor that speaks it is a description."""
