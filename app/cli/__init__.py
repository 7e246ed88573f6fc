"""The commands of `python -m app`, one module or package each."""
