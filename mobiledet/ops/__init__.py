"""Pure tensor functions: boxes, anchors, box coding, matching, non-maximum suppression, RoIAlign."""
