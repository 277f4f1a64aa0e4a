"""Training on a GPU: steps of two detectors against torchvision's, mixed precision, layout, compilation, memory, and
whole runs of `mobiledet train`; one JSON file.

Both sides train the same network on the same random pictures and boxes, see ``train_step.py`` and
``faster_rcnn_step.py``. The file is written anew after each measurement, so that an interrupted run keeps its results.

    benchmarks/gpu.sh --out gpu.json
    benchmarks/gpu.sh --small            # a short form, also without a GPU
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faster_rcnn_step
import torch
import train_step
from turns import Trained

from mobiledet.data.shapes import shapes_folder
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train

WARM_UP = 5  # steps, compilation among them


@dataclass(frozen=True)
class Setting:
    """How a network is trained.

    Attributes:
        name: in the file.
        is_mixed: forward pass in bfloat16 where that pays.
        is_contiguous: plain layout in place of channels_last.
        is_compiled: by torch.compile.
    """

    name: str
    is_mixed: bool = False
    is_contiguous: bool = False
    is_compiled: bool = False


SETTINGS = (
    Setting("float32"),
    Setting("float32, contiguous", is_contiguous=True),
    Setting("bfloat16", is_mixed=True),
    Setting("bfloat16, compiled", is_mixed=True, is_compiled=True),
)
PEER_SETTINGS = (Setting("float32", is_contiguous=True), Setting("bfloat16", is_mixed=True, is_contiguous=True))
NETWORKS: dict[str, tuple[Callable[[int, str], Trained], Callable[[int, str], Trained]]] = {
    "ssdlite320_mobilenet_v3_large": (train_step.torchvision_network, train_step.mobiledet_network),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (
        faster_rcnn_step.torchvision_network,
        faster_rcnn_step.mobiledet_network,
    ),
}


def measure_step(
    build: Callable[[int, str], Trained], setting: Setting, batch: int, device: str, seconds: float
) -> dict[str, Any]:
    """Images a second and peak memory of a training step."""
    is_gpu = device == "cuda"
    if is_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    network = build(batch, device)
    if setting.is_contiguous:
        network.model.to(memory_format=torch.contiguous_format)
    if setting.is_compiled:
        network.model.forward = torch.compile(network.model.forward)
    cast = torch.autocast(device, torch.bfloat16) if setting.is_mixed else nullcontext()

    def losses() -> dict[str, torch.Tensor]:
        with cast:
            return dict(network.losses())

    step = Trained(network.model, losses).step(fused=True)
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < WARM_UP + 3 or time.perf_counter() - begun < seconds:
        started = time.perf_counter()
        step()
        if is_gpu:
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
        if len(taken) == WARM_UP:
            begun = time.perf_counter()
    step_s = statistics.median(taken[WARM_UP:])
    memory = {"peak_memory_bytes": torch.cuda.max_memory_allocated()} if is_gpu else {}
    return {"step_ms": 1000 * step_s, "images_per_s": batch / step_s, "steps": len(taken) - WARM_UP, **memory}


def measure_run(images: int, batch: int, epochs: int, **settings: Any) -> dict[str, Any]:
    """A whole run of `mobiledet train`: loading, augmentation, steps, evaluation."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        config = TrainConfig(
            data=str(shapes_folder(images, 100)),
            out=out,
            epochs=epochs,
            eval_every=epochs,
            batch_size=batch,
            **settings,
        )
        result = train(config)
        points = [json.loads(line) for line in (out / "curves.jsonl").read_text().splitlines()]
    return {
        "seconds": result.seconds,
        "images_per_s": points[-1]["images_per_s"],  # of the last epoch's steps
        "mAP": result.metrics.AP,
    }


def measurements(device: str, is_small: bool) -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, Any]]]]:
    """What is measured, and how; the most telling first."""
    seconds, batch = (1.0, 2) if is_small else (10.0, 64)
    for network, (peer, ours) in NETWORKS.items():
        for side, build, settings in (("torchvision", peer, PEER_SETTINGS), ("mobiledet", ours, SETTINGS)):
            for setting in settings[: 1 if is_small else None]:
                key = {"network": network, "by": side, "setting": setting.name, "batch_size": batch}
                yield key, partial(measure_step, build, setting, batch, device, seconds)
    images, epochs, batch = (32, 1, 8) if is_small else (4000, 3, 64)
    for precision in ("32-true", "bf16-mixed")[: 1 if is_small else None]:
        chosen: dict[str, Any] = {
            "backbone": "shufflenet_v2_1x",
            "precision": precision,
            "image_size": 96 if is_small else 320,
        }
        key = {"run": "mobiledet train", "images": images, "epochs": epochs, "batch_size": batch, **chosen}
        yield key, partial(measure_run, images, batch, epochs, **chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--limit", type=float, default=400.0, help="time in seconds after which no further measurement is started"
    )
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.small:
        parser.error("there is no CUDA GPU here; --small runs a short form on the CPU")
    begun = time.perf_counter()
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "torch": torch.__version__,
        "is_small": options.small,
        "measured": [],
        "left_out": [],
    }
    for key, measure in measurements(device, options.small):
        if time.perf_counter() - begun > options.limit:
            found["left_out"].append({**key, "why": f"{options.limit:g} s were over"})
        else:
            try:
                found["measured"].append({**key, **measure()})
                print(json.dumps(found["measured"][-1]), flush=True)
            except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
                found["left_out"].append({**key, "why": str(error).partition("\n")[0]})
                print(json.dumps(found["left_out"][-1]), flush=True)
        options.out.write_text(json.dumps(found, indent=1))
    print(f"{options.out}: {len(found['measured'])} measured, {len(found['left_out'])} left out")


if __name__ == "__main__":
    main()
