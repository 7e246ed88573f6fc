"""The hot path of `reduce` on columns instead of lines, with numpy and pyarrow.

A kernel knows no rules of its own: what it is not sure to read as the domain does, it hands to the domain.
"""
