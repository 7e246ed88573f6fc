"""`python -m app run`."""
