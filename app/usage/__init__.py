"""The library that a service records its calls with. It needs the standard library, `app.domain`, `app.errors`, and a client of the broker."""
