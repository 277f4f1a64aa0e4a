"""Trained weights of published detectors, from their authors' names and layouts to ours. One source a file."""
