"""Training with quantisation in the loop: the network of integers learns to give what the network of floats gives.

The float detector is the teacher (knowledge distillation, arXiv:1503.02531), so that the calibration images do, without
boxes, and one loss serves every detector: its scores by cross entropy, its offsets by smooth L1 where it sees objects.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.detectors import Detector
from mobiledet.detectors.dense import DenseDetector
from mobiledet.detectors.nanodet_plus import BINS, NanoDetPlus
from mobiledet.detectors.two_stage import TwoStageDetector
from mobiledet.ops.distances import expected_distances
from mobiledet_converters.wrapper import ImageGraph

BATCH_SIZE = 8
LEARNING_RATE = 2e-4  # of Adam, falling as a cosine
EPSILON = 1e-6


def distill(
    student: Any,
    graph: ImageGraph,
    images: np.ndarray,
    steps: int,
    announce: Callable[[str], None] = lambda step: None,
    seed: int = 0,
) -> list[float]:
    """Train the networks of a prepared detector in place; its scales stay as the calibration left them.

    Args:
        student: with quantisers inside that imitate integers.
        graph: with the teacher, in evaluation mode, and the normalisation that both see images through.
        images: N x height x width x 3 uint8 RGB.
        steps: batches.
        announce: is told how far it is.
        seed: of the order of the images.

    Returns:
        the loss of each step.
    """
    student.requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * min(step / steps, 1))
    )
    random = np.random.default_rng(seed)
    losses = []
    for step in range(steps):
        announce(f"training with quantisation, step {step + 1} of {steps}")
        chosen = np.sort(random.choice(len(images), min(BATCH_SIZE, len(images)), replace=False))
        loss = _loss(student, graph.detector, graph.normalization(to_pixels(images[chosen])))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    student.requires_grad_(False)
    return losses


def to_pixels(images: np.ndarray) -> Tensor:
    """N x height x width x 3 bytes as N x 3 x height x width floats, values kept."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()


def _loss(student: Any, teacher: Detector, images: Tensor) -> Tensor:
    with torch.no_grad():
        wanted: Any = teacher(images)
    if isinstance(teacher, TwoStageDetector):
        *maps, objectness, anchor_deltas = student.backbone(images)
        # the student looks at the teacher's proposals, so that both tell of the same regions
        logits, deltas = student.box_head(student.pooling(maps, wanted.proposals))
        first = _imitation(objectness.sigmoid(), wanted.objectness.sigmoid(), anchor_deltas, wanted.anchor_deltas)
        scores, wanted_scores = (v.flatten(0, -2).softmax(-1)[:, 1:] for v in (logits, wanted.class_logits))
        return first + _imitation(scores, wanted_scores, deltas, wanted.box_deltas.flatten(0, 1))
    found = student(images)
    if isinstance(teacher, NanoDetPlus):
        distances, wanted_distances = (expected_distances(raw.distance_logits, BINS) for raw in (found, wanted))
        scores, wanted_scores = found.class_logits.sigmoid(), wanted.class_logits.sigmoid()
        return _imitation(scores, wanted_scores, distances, wanted_distances)
    assert isinstance(teacher, DenseDetector)
    scores, wanted_scores = (teacher.loss.scores(raw.class_logits) for raw in (found, wanted))
    return _imitation(scores, wanted_scores, found.box_deltas, wanted.box_deltas)


def _imitation(scores: Tensor, wanted_scores: Tensor, deltas: Tensor, wanted_deltas: Tensor) -> Tensor:
    """Scores ... x C in 0..1 and offsets ... x 4 or 4C of the student and the teacher."""
    certainty = wanted_scores.amax(-1)
    objects = certainty.sum().clamp(min=1)
    error = F.binary_cross_entropy(scores.clamp(EPSILON, 1 - EPSILON), wanted_scores.clamp(0, 1), reduction="sum")
    offset = F.smooth_l1_loss(deltas, wanted_deltas, reduction="none").mean(-1)
    return (error + (offset * certainty).sum()) / objects
