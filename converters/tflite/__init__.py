"""Checkpoint to .tflite files."""
