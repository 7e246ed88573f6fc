"""Each flow as a value: what it reads and fills, how it counts, and what stores keep of it."""
