"""The flows as values: which topics, agents, tables, stores' records and pages each has. All lists of topics derive from them."""
