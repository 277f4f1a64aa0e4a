"""8-bit weights and activations (W8A8): quantises the networks of a detector.

coremltools' LinearQuantizer inserts a quantiser after each operation of a network and calibrates it with training
images. The result is again a PyTorch network, whose codes the Core ML package must reproduce. Box decoding and
suppression, and the proposals of a two-stage detector, use 32 bits.
"""

import copy
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import disable_fake_quant, disable_observer, enable_fake_quant, enable_observer
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mobiledet.detectors import Detector, RawOutputs
from mobiledet.detectors.distribution_heads import DistributionOutputs
from mobiledet.detectors.nanodet_plus import NanoDetPlus
from mobiledet.detectors.two_stage import TwoStageDetector
from mobiledet_converters.coreml.equalize import equalize
from mobiledet_converters.equalization import sample
from mobiledet_converters.wrapper import ImageGraph

W8A8 = "w8a8"
SMALLEST_SCALE = 2.0**-24  # smallest positive 16-bit float
# operations of a traced network that only move values
SHAPING = ("permute", "reshape", "flatten", torch.cat, operator.getitem)
SETTINGS = {
    "global_config": {
        "quantization_scheme": "symmetric",
        "activation_observer": "min_max",
        "weight_per_channel": True,
    }
}


class DenseNetwork(nn.Module):
    """A dense detector without post-processing, with its raw outputs as a tuple."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W normalised images to the raw outputs."""
        return tuple(self.detector(images))


class FirstStage(nn.Module):
    """The first stage of a two-stage detector: returns the feature maps, followed by logits and offsets."""

    def __init__(self, detector: TwoStageDetector) -> None:
        super().__init__()
        self.backbone, self.neck, self.rpn = detector.backbone, detector.neck, detector.rpn

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W normalised images to the feature maps, objectness logits and offsets."""
        maps = self.neck(self.backbone(images))
        return (*maps, *self.rpn(maps))


class SecondStage(nn.Module):
    """The box head of a two-stage detector: regions to logits and offsets."""

    def __init__(self, detector: TwoStageDetector) -> None:
        super().__init__()
        self.box_head = detector.box_head

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """R regions of C x k x k features to class logits and box offsets."""
        logits, deltas = self.box_head(regions)
        return logits, deltas


class WholeNetwork(nn.Module):
    """Replaces a backbone, and returns the outputs of the whole network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W normalised images to the outputs of the network."""
        outputs: tuple[Tensor, ...] = self.network(images)
        return outputs

    def ssd_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The same as ``forward``."""
        return self(images)


class LastOutputs(nn.Module):
    """Replaces a head: returns the last two of its inputs, which are the head's outputs already.

    Args:
        names: type of the head's outputs, a NamedTuple with two fields.
    """

    def __init__(self, names: Callable[[Tensor, Tensor], Any] = RawOutputs) -> None:
        super().__init__()
        self.names = names

    def forward(self, outputs: tuple[Tensor, ...]) -> Any:
        """The last two inputs, as a named tuple."""
        return self.names(*outputs[-2:])


@dataclass(frozen=True)
class Networks:
    """The networks of a detector.

    Attributes:
        network: network from an image to the raw outputs, or to those of the first stage.
        box_head: second stage of a two-stage detector; None for others.
    """

    network: nn.Module
    box_head: nn.Module | None = None

    def __iter__(self) -> Iterator[nn.Module]:
        """Iterate over the networks."""
        yield self.network
        if self.box_head is not None:
            yield self.box_head


def networks_of(detector: Detector) -> Networks:
    """The networks of a detector that can be quantised."""
    if isinstance(detector, TwoStageDetector):
        return Networks(FirstStage(detector), SecondStage(detector))
    return Networks(DenseNetwork(detector))


def with_networks(detector: Detector, networks: Networks) -> Any:
    """A copy of a detector with replaced networks."""
    result: Any = copy.deepcopy(detector)
    result.backbone, result.neck = WholeNetwork(networks.network), nn.Identity()
    if networks.box_head is None:
        result.head = LastOutputs(DistributionOutputs if isinstance(detector, NanoDetPlus) else RawOutputs)
    else:
        result.rpn, result.box_head = LastOutputs(), networks.box_head
    return result


class Quantization:
    """Quantises a detector: prepares and calibrates it; ``finalize`` then returns the quantised graph.

    Args:
        graph: the graph of the detector, in evaluation mode.
        images: N x height x width x 3 uint8 RGB calibration images, to which scales are fitted.

    Attributes:
        detector: the detector with fake quantisers, which simulate integers.
    """

    def __init__(self, graph: ImageGraph, images: np.ndarray) -> None:
        from coremltools.optimize.torch.quantization import LinearQuantizer, LinearQuantizerConfig

        self._graph = graph
        detector = graph.detector
        networks = [fold_normalisation(network) for network in networks_of(detector)]
        if any(isinstance(module, nn.LeakyReLU) for module in networks[0].modules()):
            equalize(networks[0], (graph.normalization(to_pixels(image[None])) for image in sample(images)))
        config = LinearQuantizerConfig.from_dict(SETTINGS)
        self._quantizers = [LinearQuantizer(network, config) for network in networks]
        examples = _example_inputs(detector, (images.shape[1], images.shape[2]))
        prepared = [
            q.prepare(example_inputs=(example,)) for q, example in zip(self._quantizers, examples, strict=False)
        ]
        for network in prepared:
            _release_outputs(network)
        self.detector = with_networks(detector, Networks(*prepared)).eval()
        self._calibrate(images)

    @torch.no_grad()
    def _calibrate(self, images: np.ndarray) -> None:
        self.detector.apply(enable_observer)
        self.detector.apply(disable_fake_quant)
        for image in images:
            self.detector.forward_static(self._graph.normalization(to_pixels(image[None])))
        self.detector.apply(disable_observer)
        self.detector.apply(enable_fake_quant)

    def finalize(self) -> ImageGraph:
        """The quantised graph, in the form that coremltools reads.

        Scales and biases are rounded to 16 bits, in which a package stores them; otherwise it would compute other
        integers.
        """
        finished = [quantizer.finalize() for quantizer in self._quantizers]
        for network in finished:
            network.graph.eliminate_dead_code()  # quantisers whose outputs are unused
            network.recompile()
            _round_constants(network)
        graph = copy.deepcopy(self._graph)
        graph.detector = with_networks(self._graph.detector, Networks(*finished)).eval()
        graph.normalization.mean = graph.normalization.mean.half().float()
        return graph


def _example_inputs(detector: Detector, size: tuple[int, int]) -> list[Tensor]:
    """An example input for each network."""
    image = torch.zeros(1, 3, *size)
    if not isinstance(detector, TwoStageDetector):
        return [image]
    with torch.no_grad():
        maps = detector.neck(detector.backbone(image))
        proposals = torch.zeros(1, detector.options.proposals, 4)
        return [image, detector.pooling.forward_static(maps, proposals)]


def fold_normalisation(network: nn.Module) -> fx.GraphModule:
    """A traced copy of a network in which each batch normalisation is folded into the convolution before it.

    A convolution that is shared by several levels with a normalisation each becomes one convolution for each level;
    PyTorch's preparation for quantisation would fold the first normalisation into all. Identity modules, which passes
    leave in place of normalisations, are removed, because a quantiser would be inserted between a convolution and its
    activation there.
    """
    graph = fx.symbolic_trace(copy.deepcopy(network).eval())
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(norm, nn.Identity):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.all_input_nodes[0]
        conv = modules.get(str(source.target)) if source.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(source.users) > 1:
            continue
        name = f"{node.target}_folded"
        graph.add_submodule(name, fuse_conv_bn_eval(conv, norm))
        with graph.graph.inserting_before(node):
            node.replace_all_uses_with(graph.graph.call_module(name, source.args, source.kwargs))
        graph.graph.erase_node(node)
        graph.graph.erase_node(source)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _round_constants(network: nn.Module) -> None:
    """Round scales and biases to 16 bits."""
    for module in network.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            if "scale" in name:
                setattr(module, name, buffer.half().float().clamp(min=SMALLEST_SCALE))
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor):
            bias.data = bias.data.half().float()


def _release_outputs(prepared: fx.GraphModule) -> None:
    """Remove the quantisers between the last operations and the outputs.

    With 256 different scores there would be too many ties, and the following operations use 32 bits anyway. A quantiser
    is kept if the rest of the network also reads its output.
    """
    modules = dict(prepared.named_modules(remove_duplicate=False))
    (output,) = (node for node in prepared.graph.nodes if node.op == "output")
    path, waiting, quantisers = {output}, list(output.all_input_nodes), []
    while waiting:
        node = waiting.pop()
        is_quantiser = node.op == "call_module" and hasattr(modules[str(node.target)], "fake_quant_enabled")
        if node in path or not (is_quantiser or node.target in SHAPING):
            continue
        path.add(node)
        waiting.extend(node.all_input_nodes)
        if is_quantiser:
            quantisers.append(node)
    for node in quantisers:
        # a reader that needs only the shape must not keep an unused quantiser
        node.replace_all_uses_with(
            node.all_input_nodes[0], delete_user_cb=lambda user: user in path or user.target is getattr
        )
        if not node.users:
            prepared.graph.erase_node(node)
    prepared.recompile()


def to_pixels(images: np.ndarray) -> Tensor:
    """Convert N x height x width x 3 bytes to N x 3 x height x width floats with the same values."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
