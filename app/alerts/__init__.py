"""Alerts in event time: the engine, the file of rules, where events come from, and where notices go."""
