"""The package that Vision recognises as an object detector: a pipeline of the network and Core ML's suppression."""

from types import ModuleType
from typing import Any

from mobiledet.devices.outputs import VISION_OUTPUTS
from mobiledet.spec import ModelSpec
from mobiledet_converters.coreml.lowering import IMAGE
from mobiledet_converters.wrapper import ObjectCandidates

CANDIDATES = ObjectCandidates._fields
OUTPUTS = VISION_OUTPUTS
THRESHOLDS = ("iouThreshold", "confidenceThreshold")
LOWEST_SCORE = 1e-6  # unused candidate rows have a score of zero


def vision_pipeline(ct: ModuleType, program: Any, spec: ModelSpec) -> Any:
    """The pipeline [program, nonMaximumSuppression] as one MLModel.

    Vision turns its outputs into VNRecognizedObjectObservation objects. Inputs: the image, and the optional
    ``iouThreshold`` and ``confidenceThreshold``. Outputs, best first, at most ``max_detections`` rows: ``confidence``
    (rows x classes, a score for one class in each row, zeros elsewhere) and ``coordinates`` (rows x 4: centre x, centre
    y, width, height in 0..1).

    Args:
        ct: coremltools.
        program: MLModel with the outputs ``CANDIDATES``.
        spec: spec of the detector.
    """
    network = program.get_spec()
    message = ct.proto.Model_pb2.Model(specificationVersion=network.specificationVersion)
    message.pipeline.models.add().CopyFrom(network)
    message.pipeline.names.extend(["network", "suppression"])
    last = message.pipeline.models.add(specificationVersion=network.specificationVersion)
    suppression = last.nonMaximumSuppression
    suppression.confidenceInputFeatureName, suppression.coordinatesInputFeatureName = CANDIDATES
    suppression.confidenceOutputFeatureName, suppression.coordinatesOutputFeatureName = OUTPUTS
    suppression.iouThresholdInputFeatureName, suppression.confidenceThresholdInputFeatureName = THRESHOLDS
    suppression.iouThreshold = spec.nms.iou
    suppression.confidenceThreshold = max(spec.nms.score, LOWEST_SCORE)
    suppression.pickTop.perClass = True
    suppression.stringClassLabels.vector.extend(spec.labels)

    message.description.input.add().CopyFrom(_feature(network.description.input, IMAGE))
    for name in CANDIDATES:
        last.description.input.add().CopyFrom(_feature(network.description.output, name))
    for description in (last.description, message.description):
        for name in THRESHOLDS:
            threshold = description.input.add(name=name)
            threshold.type.doubleType.SetInParent()
            threshold.type.isOptional = True
        for name, columns in zip(OUTPUTS, (spec.num_classes, 4), strict=True):
            array = description.output.add(name=name).type.multiArrayType
            array.dataType = array.ArrayDataType.Value("FLOAT32")
            array.shapeRange.sizeRanges.add(lowerBound=0, upperBound=spec.nms.max_detections)
            array.shapeRange.sizeRanges.add(lowerBound=columns, upperBound=columns)
    return ct.models.MLModel(message, weights_dir=program.weights_dir, skip_model_load=True)


def _feature(features: Any, name: str) -> Any:
    return next(feature for feature in features if feature.name == name)
