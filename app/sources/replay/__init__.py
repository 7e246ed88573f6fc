"""Sending files to the topic of lines, from their checkpoints on."""
