"""Robust files: atomic writes, locks, checksums, safe unpacking, and removal of what killed processes left."""
