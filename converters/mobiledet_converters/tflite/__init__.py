"""Converts checkpoints to .tflite files."""
