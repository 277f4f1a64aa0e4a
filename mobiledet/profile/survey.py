"""``mobiledet profile --all``: the latency of networks of every family on a device, as a table for ``mobiledet plan``.

The networks have random weights, which change no time; their files are those of an export, so that they run wherever a
bundle does. Bundles are kept in the cache, so that a second device needs no second export, and the table after each
network, so that a survey that was interrupted goes on where it was.
"""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

import mobiledet
from mobiledet.bundle import Bundle, open_bundle
from mobiledet.checkpoint import Checkpoint, save_checkpoint
from mobiledet.data.images import list_images, load_rgb
from mobiledet.data.resize import resize_to_input
from mobiledet.data.shapes import shapes_folder
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.devices import open_device
from mobiledet.devices.base import BenchmarkPlan, Device
from mobiledet.errors import UserError
from mobiledet.files.cache import cache_folder
from mobiledet.files.locks import locked_target
from mobiledet.ops.images import normalize
from mobiledet.profile.config import ProfileConfig
from mobiledet.profile.latency_table import (
    LatencyRow,
    LatencyTable,
    Shape,
    Timing,
    default_table_path,
    read_table,
    write_table,
)
from mobiledet.progress import shown_steps
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.config import ExportConfig, Precision
from mobiledet_converters.export import export
from mobiledet_converters.process import require_converter

# of each family a narrow, a middle and a wide network
FAMILIES = (
    ("mobilenet_v1_0.25x", "mobilenet_v1_0.5x", "mobilenet_v1_1x"),
    ("mobilenet_v2_0.35x", "mobilenet_v2_0.75x", "mobilenet_v2_1x"),
    ("shufflenet_v1_0.5x_g3", "shufflenet_v1_1x_g2", "shufflenet_v1_1x_g8"),
    ("shufflenet_v2_0.5x", "shufflenet_v2_1x", "shufflenet_v2_1.5x"),
    ("ghostnet_0.5x", "ghostnet_1x", "ghostnet_1.3x"),
    ("fd_mobilenet_0.25x", "fd_mobilenet_0.5x", "fd_mobilenet_1x"),
)
SMALL, LARGE = (160, 160, 5), (320, 320, 80)  # height, width, classes
OTHER_DETECTORS = ("ssdlite", "nanodet_plus", "faster_rcnn", "faster_rcnn_fpn")
SHAPES = (
    # for every other family the narrow network has a large input and the wide one a small input, else vice versa
    *(
        Shape(backbone, "ssdlite_fpn", *size)
        for number, (narrow, middle, wide) in enumerate(FAMILIES)
        for backbone, size in (
            (narrow, SMALL if number % 2 else LARGE),
            (middle, (256, 256, 20)),
            (wide, LARGE if number % 2 else SMALL),
        )
    ),
    *(Shape("shufflenet_v2_1x", detector, 256, 256, 20) for detector in OTHER_DETECTORS),
    *(Shape("mobilenet_v2_0.5x", detector, 320, 320, 5) for detector in OTHER_DETECTORS),
    Shape("ghostnet_1x", "nanodet_plus", 416, 416, 80),
    Shape("mobilenet_v1_0.75x", "nanodet_plus", 192, 192, 3),
    Shape("shufflenet_v1_0.5x_g3", "faster_rcnn_fpn", 192, 192, 80),
)
PRECISIONS: tuple[Precision, ...] = ("float16", "int8")
CALIBRATION_IMAGES, PARITY_IMAGES = 8, 1
FAST = 0.1  # quantile of the runs
SEEDS = 3  # random initialisations that are tried before a network is left out
ROUNDS = 5  # over all networks, so that a slow minute of the device does not affect only one of them
PLAN = BenchmarkPlan(warmup_seconds=0.5, warmup_limit_seconds=5.0, runs=30, seconds=1.0)


def survey(config: ProfileConfig, console: Console, shapes: Sequence[Shape] = SHAPES) -> LatencyTable:
    """Measure the networks that are missing in the table of a device.

    Args:
        config: names the device and the file of the table.
        console: for progress and the result.
        shapes: the networks.

    Raises:
        UserError: the device cannot be reached, another process is writing the same table, or the existing table is of
            another device.
    """
    require_converter("tflite")
    path = config.out or default_table_path(config.device, config.threads)
    with (
        locked_target(path, "measuring latencies"),
        closing(open_device(config.device, config.token)) as device,
        shown_steps(console) as on_step,
    ):
        table = _begun(path, device, config.threads)
        failed: set[Shape] = set()
        for turn, (number, shape) in product(range(1, ROUNDS + 1), enumerate(shapes, start=1)):
            if shape in failed or _rounds(table, shape) >= turn:
                continue
            of_all = f"round {turn} of {ROUNDS}, network {number} of {len(shapes)}, {shape}"
            try:
                bundle = bundle_of(shape, partial(on_step, f"{of_all}: exporting"))
                on_step(f"{of_all}: measuring")
                table = _measured(table, device, bundle, shape, config.threads, turn)
            except UserError as error:
                failed.add(shape)
                table = dataclasses.replace(table, left_out=(*table.left_out, f"{shape}: {error}"))
                console.print(f"left out: {table.left_out[-1]}", highlight=False, markup=False)
            write_table(path, table)
    left_out = f", {len(table.left_out)} networks left out" if table.left_out else ""
    console.print(f"{len(table.rows)} files measured{left_out}; table: {path}", highlight=False, soft_wrap=True)
    return table


def bundle_of(shape: Shape, on_export: Callable[[], None]) -> Bundle:
    """The bundle of a network from the cache; if it is missing, ``on_export`` is called and it is exported.

    Raises:
        UserError: it cannot be exported.
    """
    name = f"{shape.backbone}-{shape.detector}-{shape.height}x{shape.width}-{shape.classes}"
    path = cache_folder() / "survey" / mobiledet.__version__ / f"{name}.mobiledet"
    if path.exists() and not (bundle := open_bundle(path)).left_out:
        return bundle
    on_export()
    labels = tuple(f"class {number}" for number in range(1, shape.classes + 1))
    size = InputSpec(shape.height, shape.width)
    spec = ModelSpec(name, shape.backbone, shape.detector, size, labels, tuple(range(1, shape.classes + 1)))
    for seed in range(SEEDS):  # some random weights cannot be quantised well; others are tried then
        shutil.rmtree(path, ignore_errors=True)
        bundle = _exported(spec, path, seed)
        if not bundle.left_out:
            break
    return bundle


def _exported(spec: ModelSpec, path: Path, seed: int) -> Bundle:
    checkpoint = path.with_suffix(".ckpt")
    images = shapes_folder(train=2 * CALIBRATION_IMAGES, val=0) / "train2017"
    save_checkpoint(checkpoint, Checkpoint(spec, _untrained(spec, list_images(images), seed).state_dict()))
    try:
        return export(
            ExportConfig(
                checkpoint,
                path,
                ("tflite",),
                PRECISIONS,
                calibration=str(images),
                calibration_images=CALIBRATION_IMAGES,
                images=images,
                parity_images=PARITY_IMAGES,
                measure=False,
                judge=False,
                force=True,  # of random weights, which nobody will ship
            )
        )
    finally:
        checkpoint.unlink(missing_ok=True)


def _untrained(spec: ModelSpec, images: Sequence[Path], seed: int) -> Detector:
    """The network with random weights and the normalisation of some images, without which numbers grow or vanish from
    layer to layer, and no file of integers would compute anything."""
    torch.manual_seed(seed)
    network = detector_from_spec(spec).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics become those of the one pass below
    pixels = np.stack([resize_to_input(load_rgb(image), spec.input) for image in images])
    with torch.no_grad():
        network(normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2), spec.input))
    return network.eval()


def _begun(path: Path, device: Device, threads: int) -> LatencyTable:
    """The table that is there, without what could not be measured, which is tried again; else an empty one."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not path.exists():
        return LatencyTable(device.info(), "", threads, now, mobiledet.__version__, ())
    table = dataclasses.replace(read_table(path), left_out=())
    here = device.info()
    if (table.device.model, table.device.cpu, table.threads) != (here.model, here.cpu, threads):
        raise UserError(
            f"{path} holds latencies of {table.device.model} ({table.device.cpu}) with {table.threads} threads, not of "
            f"{here.model} ({here.cpu}) with {threads}; give another --out"
        )
    return table


def _rounds(table: LatencyTable, shape: Shape) -> int:
    """In which all files of a network were measured."""
    rounds = {row.precision: len(row.timings) for row in table.rows if row.shape == shape}
    return min(rounds.get(precision, 0) for precision in PRECISIONS)


def _measured(
    table: LatencyTable, device: Device, bundle: Bundle, shape: Shape, threads: int, turn: int
) -> LatencyTable:
    """The table after a round of the files of a bundle.

    There is no golden gate: random weights rank hundreds of boxes that are all alike.
    """
    missing = [precision for precision in PRECISIONS if precision not in {file.precision for file in bundle.files}]
    if missing:
        raise UserError(f"no file of {', '.join(missing)}: {'; '.join(map(str, bundle.left_out))}")
    for file in bundle.files:
        row = next((row for row in table.rows if row.shape == shape and row.precision == file.precision), None)
        if row and len(row.timings) >= turn:
            continue
        session = device.load(bundle, file, "auto", threads)
        samples = session.benchmark(PLAN)
        if samples is None:
            raise UserError(f"{device.info().name} interprets or emulates files, so that its times say nothing")
        timing = Timing(float(np.quantile(samples.infer_ns, FAST)) / 1e6, len(samples.infer_ns))
        timings = (*row.timings, timing) if row else (timing,)
        table = dataclasses.replace(
            table,
            # the runtime is known when a file has been loaded
            device=device.info(),
            accelerator=session.execution.actual,
            threads=session.execution.threads,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=(
                *(other for other in table.rows if other is not row),
                LatencyRow(shape, file.precision, file.bytes, timings),
            ),
        )
    return table
