"""Log files and other inputs: opened, identified, followed, sent."""
