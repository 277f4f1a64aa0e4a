"""Published detectors by name: the table, and the conversion of their weights to checkpoints."""
