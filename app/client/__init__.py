"""`python -m app.client`: the answer to one delivery."""
