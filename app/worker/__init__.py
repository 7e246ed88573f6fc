"""The worker: its apps, topics, tables, agents and stores put together, and what runs beside them."""
