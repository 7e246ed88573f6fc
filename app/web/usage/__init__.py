"""Monitored calls of a user: as JSON, and as a page."""
