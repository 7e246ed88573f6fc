"""The commands of the simulator: `python -m app simulate …`, `playbacks`."""
