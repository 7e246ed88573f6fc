"""Alerts as rules, as what a rule says of a series of numbers, and as the life of an alert. Pure, in event time."""
