"""`python -m app report`."""
