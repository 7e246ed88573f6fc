"""What a user would pick instead: one small file a peer, run as a program of its own by `python -m bench`."""
