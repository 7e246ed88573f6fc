"""`python -m app check` and `repair`."""
