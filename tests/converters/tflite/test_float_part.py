"""Operations that stay float in files of integers."""

from pathlib import Path

import torch
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model
from torch import Tensor, nn

from mobiledet.ops.roi_align import gathered_roi_align
from mobiledet_converters.tflite.float_part import float_operations
from mobiledet_converters.tflite.lower import lower

CELLS, RESOLUTION, LINES = 16, 2, 8


class Regions(nn.Module):
    """A convolution, regions of its map, and a convolution on them."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.behind = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, RESOLUTION)
        self.register_buffer("cells", torch.arange(2 * LINES**2).view(2, LINES, LINES) % CELLS)
        self.register_buffer("weights", torch.rand(2, LINES, LINES))

    def forward(self, image: Tensor) -> Tensor:
        table = self.before(image).permute(0, 2, 3, 1).reshape(CELLS, 4)
        regions = gathered_roi_align(table, self.cells.to(torch.int32), self.weights, RESOLUTION)  # type: ignore[operator]
        return self.behind(regions).flatten()


def test_looked_up_rows_are_floats_until_they_are_regions(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    lower(Regions().eval(), torch.rand(1, 3, 4, 4), path)
    model = read_model(path)
    graph, floats = model.subgraphs[0], float_operations(model)
    kinds: dict[str, set[bool]] = {}
    for operation in graph.operators:
        is_float = graph.tensors[operation.outputs[0]].name.decode() in floats
        kinds.setdefault(str(opcode_to_name(model, operation.opcodeIndex)), set()).add(is_float)
    assert all(kinds[kind] == {True} for kind in ("EMBEDDING_LOOKUP", "MUL", "MEAN"))
    assert kinds["CONV_2D"] == {False}
