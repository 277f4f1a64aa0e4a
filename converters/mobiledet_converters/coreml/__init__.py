"""Checkpoint to Core ML packages."""
