"""`automarket up`: one machine's mesh as child processes of one supervisor."""
