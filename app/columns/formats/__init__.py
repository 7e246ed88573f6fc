"""Log formats read as columns: one kernel a format."""
