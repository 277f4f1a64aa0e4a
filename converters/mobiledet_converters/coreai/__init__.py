"""Converts checkpoints to Core AI assets."""
