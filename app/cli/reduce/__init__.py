"""`python -m app reduce`."""
