"""Checkpoint to Core AI assets."""
