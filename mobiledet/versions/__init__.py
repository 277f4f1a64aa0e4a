"""Compares two versions of a detector on the same images."""
