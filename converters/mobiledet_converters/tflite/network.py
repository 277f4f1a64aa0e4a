"""Converts any networks to .tflite files, for measurements.

Run as a process of its own: ``python -m mobiledet_converters.tflite.network JOB``.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mobiledet.errors import UserError
from mobiledet.spec import read_json
from mobiledet_converters.job import JOB, ConvertedFile, Job, serve
from mobiledet_converters.passes import apply_passes
from mobiledet_converters.process import Conversion

NETWORKS = "networks.pt"
POLL_SECONDS = 0.2


class Network(NamedTuple):
    """A network to convert.

    Attributes:
        module: a picklable module in evaluation mode, from one 1 x C x H x W image to a tensor or a tuple of tensors.
        input_shape: (C, H, W).
        passes: whether to apply the passes of ``mobiledet export`` first.
    """

    module: nn.Module
    input_shape: tuple[int, int, int]
    passes: bool = True


class ChannelsLast(nn.Module):
    """Wraps a network so that its input and output maps have the layout of TFLite, 1 x H x W x C."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """1 x H x W x 3 to the outputs of the network, maps as 1 x H x W x C."""
        outputs = self.network(image.permute(0, 3, 1, 2))
        return tuple(map(_channels_last, outputs)) if isinstance(outputs, tuple) else _channels_last(outputs)


def _channels_last(output: Tensor) -> Tensor:
    return output.permute(0, 2, 3, 1) if output.ndim == 4 else output


@dataclass(frozen=True)
class NetworkJob(Job):
    """Networks to convert; they are pickled in the folder, which must be writable only by this user.

    Attributes:
        folder: folder for the written files.
        names: names of the networks, in order, which are also the names of their files.
    """

    folder: Path
    names: tuple[str, ...]

    def save(self) -> Path:
        """Write the job as JSON into its folder; returns the file."""
        path = self.folder / JOB
        path.write_text(json.dumps({**asdict(self), "folder": str(self.folder)}), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "NetworkJob":
        """The job of a file that ``save`` wrote."""
        values = read_json(path)
        return cls(Path(values["folder"]), tuple(values["names"]))


def convert_networks(
    networks: Mapping[str, Network], folder: Path, on_step: Callable[[str], None] = lambda _: None
) -> dict[str, Path]:
    """Convert networks to float32 files, all in one process.

    Args:
        networks: networks by name; the names must be valid file names.
        folder: existing folder for the files, writable only by this user, because code is unpickled from it.
        on_step: called repeatedly with a description of the current step.

    Returns:
        the path of each file, by name.

    Raises:
        UserError: the converter fails or writes a file without the network's convolutions.
    """
    torch.save(dict(networks), folder / NETWORKS)
    with Conversion("network", NetworkJob(folder, tuple(networks))) as conversion:
        while conversion.running:
            on_step(conversion.step)
            time.sleep(POLL_SECONDS)
        answer = conversion.answer()
    return {name: folder / file.name for name, file in zip(networks, answer.files, strict=True)}


def convert(job: NetworkJob) -> Sequence[ConvertedFile]:
    """Write ``NAME.tflite`` for each network.

    Raises:
        UserError: a written file has fewer convolutions than the network.
    """
    job.announce("loading LiteRT")
    from ai_edge_litert.tools.flatbuffer_utils import read_model

    from mobiledet_converters.tflite.lower import lower
    from mobiledet_converters.tflite.structure import CONVOLUTIONS, count_operations

    networks: dict[str, Network] = torch.load(job.folder / NETWORKS, weights_only=False)  # written by convert_networks
    files = []
    for number, name in enumerate(job.names, start=1):
        job.announce(f"converting {name} ({number} of {len(job.names)})")
        module, (channels, height, width), passes = networks[name]
        image = torch.zeros(1, height, width, channels)
        if passes:
            module = apply_passes("tflite", module, image.permute(0, 3, 1, 2))
        path = job.folder / f"{name}.tflite"
        lower(ChannelsLast(module).eval(), image, path)
        operations = dict(count_operations(read_model(path)))
        wanted = sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in module.modules())
        if sum(operations.get(kind, 0) for kind in CONVOLUTIONS) < wanted:
            raise UserError(f"the converter wrote {name} without all of its {wanted} convolutions: {operations}")
        files.append(ConvertedFile(path.name, "float32", operations))
    return files


if __name__ == "__main__":
    serve(convert, NetworkJob)
