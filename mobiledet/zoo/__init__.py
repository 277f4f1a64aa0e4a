"""Published detectors by name: a table of them, and their weights as checkpoints of this project."""
