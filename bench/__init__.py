"""Rates, side by side in one run, each result checked against the simulator's truth: `make bench`."""
