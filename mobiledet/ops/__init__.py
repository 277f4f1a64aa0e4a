"""Pure tensor functions: boxes, anchors, box coding, matching, suppression."""
