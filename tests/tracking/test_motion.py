"""The filter against the same in matrices, as the papers write it."""

import numpy as np

from mobiledet.tracking.motion import Motion, to_cxcywh

STEP = np.eye(8) + np.eye(8, k=4)
SEEN = np.eye(4, 8)


def noise(place: np.ndarray, position: float, velocity: float) -> np.ndarray:
    width, height = place[2:4]
    spread = [position * width, position * height] * 2 + [velocity * width, velocity * height] * 2
    return np.diag(np.square(spread))


def test_it_is_the_filter_of_matrices() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(0, 300, (5, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 200, (5, 2))], axis=1)
    motion = Motion.start(boxes)
    means = [np.concatenate([place, np.zeros(4)]) for place in to_cxcywh(boxes)]
    spreads = [noise(mean, 2 / 20, 10 / 160) for mean in means]
    for frame in range(40):
        lost = np.array([False, True, frame % 3 == 0, False, frame > 20])
        seen = np.flatnonzero([True, frame % 4 == 0, frame % 3 != 2, frame % 2 == 0, frame < 20])
        boxes = boxes + random.normal(2, 3, (5, 1))
        motion.predict(lost)
        motion.correct(seen, boxes[seen])
        for track in range(5):
            if lost[track]:
                means[track][6:] = 0
            drift = noise(means[track], 1 / 20, 1 / 160)
            mean, spread = STEP @ means[track], STEP @ spreads[track] @ STEP.T + drift
            if track in seen:
                measured = SEEN @ spread @ SEEN.T + noise(mean, 1 / 20, 0)[:4, :4]
                gain = np.linalg.solve(measured, SEEN @ spread).T
                mean = mean + gain @ (to_cxcywh(boxes)[track] - SEEN @ mean)
                spread = spread - gain @ measured @ gain.T
            means[track], spreads[track] = mean, spread
        np.testing.assert_allclose(motion.place, [mean[:4] for mean in means], rtol=1e-9)
        np.testing.assert_allclose(motion.velocity, [mean[4:] for mean in means], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(motion.place_variance, [np.diag(spread)[:4] for spread in spreads], rtol=1e-9)
        np.testing.assert_allclose(motion.covariance, [np.diag(spread, k=4) for spread in spreads], rtol=1e-9)


def test_corners_come_back() -> None:
    boxes = np.array([[1.0, 2.0, 4.0, 8.0]])
    np.testing.assert_array_equal(Motion.start(boxes).boxes_xyxy, boxes)
