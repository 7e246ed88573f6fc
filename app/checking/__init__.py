"""Reconciliation: whether the topics and the stores hold the same, what differs, and making a store level again.

The pure part (marks, buckets, held, shares, judging) knows what is equal and what must stand in a store; the other modules
read topics and stores. Memory is bounded: checksums by hour and partition first, records only of what differs, share by share.
"""
