"""The golden cases of a bundle: images, and the detections of each file on them in its reference runtime."""

import platform
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from mobiledet.data.images import load_rgb
from mobiledet.data.record import ImageFile
from mobiledet.data.resize import resize
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.devices.coreai import RUNTIME
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import compare_lists
from mobiledet.spec import InputSpec
from mobiledet_converters.checks import CheckedFile, detect
from mobiledet_converters.precisions import PRECISIONS
from mobiledet_converters.reference import Reference, make_reference
from mobiledet_converters.rounding import Rounding

PIXELS, IMAGES = 2, 1  # number of cases with the model's input, and of those with an encoded image
LONGEST_SIDE = 640  # of an encoded image: larger ones are reduced to keep the bundle small
CROP = 8  # an image of exactly the model's size loses an eighth of its width, so that it must be resized


def make_golden(
    files: Sequence[CheckedFile],
    detector: Detector,
    reference: Reference,
    images: Sequence[ImageFile],
    rounding: Rounding,
) -> Golden:
    """Run each file on the same few images.

    Any image would do, because the expected detections of a file are its own. Preferred are images on which correct
    runtimes agree (a phone's GPU computes in 16 bits, and other integer kernels than XNNPACK's round differently), and
    among those the images with the most confident detections.

    Args:
        files: files that go into the bundle.
        detector: the detector that they were converted from.
        reference: the images and the detections of PyTorch in them.
        images: paths of the images.
        rounding: how much 16-bit arithmetic changes the detections.
    """
    spec = reference.spec
    changed = [
        [rounding.differing(index, PRECISIONS["tflite"]["float16"].accelerated) for index in range(len(images))],
        *(_other_kernels(file, reference) for file in files if file.gate.has_integers and _has_kernels(file)),
    ]

    def preference(index: int) -> tuple[bool, float, float]:
        found = reference.detections[index]
        worst = max(counts[index] for counts in changed) / max(len(found), 1)
        return not len(found), worst, -float(found.scores.max(initial=0))

    ranked = sorted(range(len(images)), key=preference)
    cases = [GoldenInput.of_pixels(reference.inputs[index]) for index in ranked[:PIXELS]]
    for index in ranked[PIXELS : PIXELS + IMAGES] or ranked[:IMAGES]:
        cases.append(GoldenInput.of_image(_encoded_image(images[index], spec.input)))
    # PyTorch's candidate list tells the score at which a full list is cut, for the files too
    asked = make_reference(detector, spec, [case.pixels(spec) for case in cases])
    answers = {
        file.entry.path: _answers(file, asked, [file.found[index] for index in ranked[:PIXELS]]) for file in files
    }
    return Golden(tuple(cases), answers)


def _has_kernels(file: CheckedFile) -> bool:
    return isinstance(file.model, LiteRtDetector)


def _other_kernels(file: CheckedFile, reference: Reference) -> list[int]:
    """For each image, the number of detections of a .tflite file that differ with LiteRT's own kernels."""
    other, tolerance = LiteRtDetector(file.source, "cpu"), PRECISIONS["tflite"][file.entry.precision].cpu
    return [
        compare_lists(found, detect(other, image, reference), cut, reference.spec.nms, tolerance).differing
        for image, found, cut in zip(reference.inputs, file.found, reference.cuts, strict=True)
    ]


def _encoded_image(image: ImageFile, spec: InputSpec) -> np.ndarray:
    """The image, resized or cropped if needed to a size other than the model's, H x W x 3 uint8 RGB."""
    pixels = load_rgb(image.path, image.apply_orientation)
    scale = min(1.0, LONGEST_SIDE / max(pixels.shape[:2]))
    pixels = resize(pixels, *(max(1, round(side * scale)) for side in pixels.shape[:2]))
    if pixels.shape[:2] == (spec.height, spec.width):
        pixels = pixels[:, : -(spec.width // CROP)]
    return pixels


def _answers(file: CheckedFile, asked: Reference, known: Sequence[Detections]) -> GoldenFile:
    """The detections of the file in each case; those of the first cases (``known``) are passed in."""
    spec = asked.spec
    others = [detect(file.model, image, asked) for image in asked.inputs[len(known) :]]
    outputs = []
    for found, cut in zip((*known, *others), asked.cuts, strict=True):
        # scores of integer files differ from PyTorch's by rounding: the file's own list tells where it was cut
        own_cut = float(found.scores.min(initial=1)) if cut > spec.nms.score and len(found) else 0.0
        outputs.append(GoldenOutputs.of(found, spec.input.height, spec.input.width, own_cut))
    precision = PRECISIONS[file.entry.format][file.entry.precision]
    return GoldenFile(tuple(outputs), _runtime(file.entry.format), precision.cpu, precision.accelerated)


def _runtime(format: str) -> str:
    if format == "coreml":
        return f"mobiledet's interpreter of MIL, {platform.machine()}"
    if format == "coreai":
        return f"{RUNTIME} {version(RUNTIME)}, {platform.machine()}"
    return f"litert {version('ai-edge-litert')}, {platform.machine()}"
