"""Kafka: the Faust transport, and all that looks at a broker beside it."""
