"""The web face of a worker."""
