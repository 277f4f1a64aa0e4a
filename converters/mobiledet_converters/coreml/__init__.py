"""Converts checkpoints to Core ML packages."""
