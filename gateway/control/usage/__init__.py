"""Usage: what calls and jobs used and cost, and what may be spent."""
