"""Lines in; deliveries out, as JSON and as pages."""
