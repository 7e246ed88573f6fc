"""Files that grow and rotate."""
