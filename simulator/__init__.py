"""A simulated access log of many clients fetching many files in pieces, and the true answer to each delivery.

catalog: who fetches what. stories: which pieces one visit asks for. log: all visits, in columns, in the asked order.
lines: columns as text of a log format. truth: the answers, by brute force and without the product's own domain code.
"""
