"""Votes and spending: posted, counted, shown."""
