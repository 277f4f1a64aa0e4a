"""Data sets in COCO format: the built-in shapes, real COCO, augmentation and batches."""
