"""Outputs of model files as detections."""

from pathlib import Path

import numpy as np

from mobiledet.devices.outputs import to_detections


def test_boxes_of_a_package_for_vision_end_at_the_edges() -> None:
    """Those of detectors that are suppressed before they are clipped, such as TensorFlow's."""
    confidence, coordinates = (
        np.float32([[0.2, 0.7], [0.4, 0]]),
        np.float32([[0.5, 0.9, 1.2, 0.4], [0.5, 0.5, 0.2, 0.4]]),
    )
    found = to_detections(Path("x"), {"confidence": confidence, "coordinates": coordinates}, 100, 200, 2)
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 70, 200, 100], [80, 30, 120, 70]], atol=1e-4)
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.scores, [0.7, 0.4])
