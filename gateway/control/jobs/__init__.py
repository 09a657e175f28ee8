"""Jobs: transforms that outlive their callers, kept in control's database and run through provider servers."""
