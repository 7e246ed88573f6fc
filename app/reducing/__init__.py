"""From files to deliveries without a worker: what the flow does, at the end of its sources."""
