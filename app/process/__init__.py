"""This process: exit codes, logs, memory, crash points, standstill."""
