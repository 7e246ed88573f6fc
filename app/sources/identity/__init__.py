"""Which source a file is, and what is kept about it."""
