"""In-process plugins: judged from their files, run in a child of their own."""
