"""The HTTP server and what each answer has in common."""
