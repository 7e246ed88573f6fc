"""`python -m app articles` and `retention`: questions to a clickstream."""
