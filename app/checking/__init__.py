"""Reconciliation: whether the topics and the stores hold the same, what differs, and its repair.

digests, topic_spans, shares and verdicts are pure: they know what is equal and what a store must hold; the other modules read
topics and stores. Every flow is compared. Memory is bounded: checksums by hour and partition first, records only of what differs,
share by share.
"""
