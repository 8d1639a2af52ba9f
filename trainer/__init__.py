"""Trains an image model on a machine that may disappear at any moment, and resumes it bit for bit on the next one."""
