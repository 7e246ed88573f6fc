"""Brokers: the embedded log and Kafka, behind one contract."""
