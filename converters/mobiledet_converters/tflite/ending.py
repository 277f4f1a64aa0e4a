"""The last part of a .tflite file: post-processing in built-in operations, by a custom operation, or raw outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobiledet.detectors import Detector
from mobiledet.detectors.dense import DenseDetector
from mobiledet.spec import ModelSpec
from mobiledet_converters.tflite.custom_op import NAME, append_post_process
from mobiledet_converters.tflite.metadata import add_metadata
from mobiledet_converters.tflite.structure import Structure, check_structure
from mobiledet_converters.wrapper import AnchorTable, DetectionGraph, ImageGraph, ScoresGraph, require_one_stage


@dataclass(frozen=True)
class Ending:
    """The network to convert, and how each written file is finished.

    Attributes:
        graph: the network with the part of the post-processing that is in the graph.
        spec: spec of the model.
        anchors: the anchors; None if decoding is in the graph.
        is_custom: whether the custom operation is appended.
    """

    graph: ImageGraph
    spec: ModelSpec
    anchors: AnchorTable | None = None
    is_custom: bool = False

    def finish(self, source: Path, target: Path, convolutions: int) -> Structure:
        """Add post-processing and metadata to a converted file, and check the result.

        Args:
            source: the file that the converter or the quantiser wrote.
            target: the file to write.
            convolutions: number of convolutions of the PyTorch network.

        Raises:
            UserError: the written file is malformed.
        """
        if self.anchors and self.is_custom:
            whole = source.with_suffix(".custom.tflite")
            append_post_process(source, whole, self.spec, self.anchors)
            add_metadata(whole, target, self.spec)
            return check_structure(target, self.spec, convolutions, custom=NAME.decode())
        add_metadata(source, target, self.spec, self.anchors)
        return check_structure(target, self.spec, convolutions, self._raw_shapes())

    def _raw_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        if self.anchors is None:
            return None
        count = len(self.anchors.yxhw)
        return {"deltas": (1, count, 4), "scores": (1, count, self.spec.num_classes)}


def choose_ending(postprocess: str, detector: Detector, spec: ModelSpec) -> Ending:
    """The ending for the value of an option.

    Args:
        postprocess: see ``ExportConfig``.
        detector: a detector in evaluation mode.
        spec: spec of the model.

    Raises:
        UserError: the detector does not support it.
    """
    require_one_stage(postprocess, detector, spec)
    if postprocess == "graph" or not isinstance(detector, DenseDetector):
        return Ending(DetectionGraph(detector, spec), spec)
    return Ending(ScoresGraph(detector, spec), spec, AnchorTable.of(detector), postprocess == "custom-op")
