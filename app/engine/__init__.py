"""What is taken from Faust, and what replaces parts of it: topics, batches, tables, recovery, the worker."""
