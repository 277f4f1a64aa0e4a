"""Shows where a quantised .tflite file loses accuracy, by comparing every tensor with that of the float32 file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file
from mobiledet_converters.tflite.float_part import FLOAT_NAMES
from mobiledet_converters.tflite.ranges import LARGEST, PreservedTensors

HIGHEST_DB = 200.0
TEXT_WIDTH = 160
WORST_COLOUR = "#c23b4a"
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class LayerError:
    """An operation of the quantised file.

    Attributes:
        number: its number in the order of execution.
        operation: its kind, such as ``CONV_2D``.
        tensor: name of its output.
        type: type of its output, such as ``int8``.
        range: highest minus lowest value of the output on the images.
        error: root mean square difference from the float32 file, relative to the range.
        sqnr_db: power of the float values over the power of the difference, in decibels.
        fall_db: loss of SQNR against the worst of its inputs, caused by this operation; 0 if there is no loss.
    """

    number: int
    operation: str
    tensor: str
    type: str
    range: float
    error: float
    sqnr_db: float
    fall_db: float


def error_table(float_file: Path, quantised: Path, images: Sequence[np.ndarray]) -> list[LayerError]:
    """Run both files on the same images and compare what their network computes, in the order of computation.

    Args:
        float_file: the float32 file that the other was made from; tensors are matched by their names.
        quantised: with integer activations or weights.
        images: height x width x 3, RGB in 0..255.

    Raises:
        UserError: a file cannot be run.
    """
    try:
        expected, found = PreservedTensors.open(float_file), PreservedTensors.open(quantised)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{quantised.name} cannot be run: {' '.join(str(error).split())}") from error
    index_of = {name: index for index, name in expected.names.items()}
    model = read_model(quantised)
    operators = model.subgraphs[0].operators
    kinds = [str(opcode_to_name(model, operator.opcodeIndex)) for operator in operators]
    rows = [
        (number, int(operator.outputs[0]), index_of[found.names[int(operator.outputs[0])]])
        for number, operator in enumerate(operators)
        if kinds[number] not in CONVERSIONS
        and found.names.get(int(operator.outputs[0])) in index_of
        # operations that rank return other rows after the smallest change, so a difference means nothing
        and not any(part in found.names[int(operator.outputs[0])] for part in FLOAT_NAMES)
    ]
    signal, noise, lowest, highest, sizes = np.zeros((5, len(rows)))
    details = {d["index"]: d for d in found.interpreter.get_tensor_details()}
    for image in images:
        expected.run(image)
        found.run(image)
        for row, (_, ours, theirs) in enumerate(rows):
            exact = expected.interpreter.get_tensor(theirs).astype(np.float64)
            values = _dequantised(found.interpreter.get_tensor(ours), details[ours])
            finite = np.abs(exact) < LARGEST
            exact, values = exact[finite], values[finite]
            signal[row] += np.square(exact).sum()
            noise[row] += np.square(exact - values).sum()
            lowest[row] = min(lowest[row], exact.min(initial=0))
            highest[row] = max(highest[row], exact.max(initial=0))
            sizes[row] += exact.size
    with np.errstate(divide="ignore", invalid="ignore"):
        sqnr = np.nan_to_num(10 * np.log10(signal / noise), nan=HIGHEST_DB, posinf=HIGHEST_DB, neginf=-HIGHEST_DB)
        rms = np.nan_to_num(np.sqrt(noise / sizes) / (highest - lowest))
    sqnr = np.minimum(sqnr, HIGHEST_DB)
    at = {ours: float(sqnr[row]) for row, (_, ours, _) in enumerate(rows)}
    for number, operator in enumerate(operators):  # a type conversion passes on the SQNR of its input
        if kinds[number] in CONVERSIONS and int(operator.inputs[0]) in at:
            at[int(operator.outputs[0])] = at[int(operator.inputs[0])]
    return [
        LayerError(
            number=number,
            operation=kinds[number],
            tensor=found.names[ours],
            type=np.dtype(details[ours]["dtype"]).name,
            range=float(highest[row] - lowest[row]),
            error=float(rms[row]),
            sqnr_db=float(sqnr[row]),
            fall_db=max(0.0, _worst_input(operators[number], at) - float(sqnr[row])),
        )
        for row, (number, ours, _) in enumerate(rows)
    ]


def worst_layers(table: Sequence[LayerError], count: int = 5) -> list[LayerError]:
    """The operations that add the most noise, worst first.

    Noise is the added power relative to the signal: a large fall in decibels from a clean input is harmless.
    """

    def added_noise(layer: LayerError) -> float:
        after, before = (10 ** (-db / 10) for db in (layer.sqnr_db, layer.sqnr_db + layer.fall_db))
        return after - before

    return sorted((layer for layer in table if layer.fall_db > 0), key=added_noise, reverse=True)[:count]


def write_table(folder: Path, name: str, table: Sequence[LayerError]) -> tuple[Path, Path, Path]:
    """Write the table as ``NAME.txt`` and ``NAME.json`` and a chart ``NAME.png``; returns the three paths.

    Raises:
        UserError: they cannot be written.
    """
    text, listing, picture = (folder / f"{name}.{suffix}" for suffix in ("txt", "json", "png"))
    with atomic_file(text) as temporary, temporary.open("w", encoding="utf-8") as file:
        Console(file=file, width=TEXT_WIDTH).print(as_table(name, table))
    with atomic_file(listing) as temporary:
        temporary.write_text(json.dumps([asdict(layer) for layer in table], indent=1) + "\n", encoding="utf-8")
    with atomic_file(picture) as temporary:
        _draw(name, table).print_png(temporary)
    return text, listing, picture


def as_table(title: str, layers: Sequence[LayerError]) -> Table:
    """The operations as a table to print."""
    table = Table("#", "operation", "tensor", "type", "range", "error", "SQNR dB", "loss dB", title=title)
    for layer in layers:
        table.add_row(
            str(layer.number),
            layer.operation,
            layer.tensor,
            layer.type,
            f"{layer.range:.3g}",
            f"{layer.error:.2%}",
            f"{layer.sqnr_db:.1f}",
            f"{layer.fall_db:.1f}" if layer.fall_db >= 0.1 else "",
        )
    return table


def _dequantised(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scales = detail["quantization_parameters"]["scales"]
    if len(scales) != 1 or not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float64)
    zero = detail["quantization_parameters"]["zero_points"][0]
    return (values.astype(np.float64) - zero) * float(scales[0])


def _worst_input(operator: Any, sqnr_at: dict[int, float]) -> float:
    return min((sqnr_at[int(t)] for t in operator.inputs if int(t) in sqnr_at), default=HIGHEST_DB)


def _draw(name: str, table: Sequence[LayerError]) -> FigureCanvasAgg:
    """Signal over noise along the network, with the worst operations named."""
    figure = Figure(figsize=(11, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(table))
    heights = np.minimum([layer.sqnr_db for layer in table], 80)
    axes.plot(places, heights, color="#2a6fdb", linewidth=1, marker="o", markersize=3)
    place_of = {layer.number: place for place, layer in enumerate(table)}
    for rank, layer in enumerate(worst_layers(table), start=1):
        point = place_of[layer.number], heights[place_of[layer.number]]
        axes.plot(*point, "o", color=WORST_COLOUR, label=f"{rank}: {layer.operation} {layer.tensor}")
        axes.annotate(str(rank), point, xytext=(4, -10), textcoords="offset points", fontsize=9, color=WORST_COLOUR)
    if axes.lines[1:]:
        axes.legend(fontsize=7, loc="best")
    axes.set_xlabel("operation, in the order of computation")
    axes.set_ylabel("signal over quantisation noise, dB")
    axes.set_title(f"{name}: signal-to-noise ratio against float32, and the operations that add the most noise")
    axes.grid(alpha=0.3)
    return FigureCanvasAgg(figure)
