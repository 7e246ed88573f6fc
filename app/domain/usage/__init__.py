"""The record of a call of an API, and the check that names which records are missing, doubled, late or altered."""
