"""Short tensor names."""

import pytest
from ai_edge_litert.tools.flatbuffer_utils import read_model

from mobiledet.bundle import Bundle
from mobiledet_converters.tflite.names import attribute_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"pkg.wrapper.Graph;3", b""),
        (b"pkg.wrapper.Graph/pkg.a.Post_post_process;", b"post_process"),
        (b"pkg.Graph/mobiledet.x.ShuffleNetV2_backbone/torch.nn.modules.conv.Conv2d_0;1", b"backbone/0"),
        (b"pkg.Graph/a.Conv2d_0;1;pkg.Graph/a.Conv2d_7;2", b"0"),
        (b"pkg.Graph/a.Conv2d_0;1_dequant", b"0"),
    ],
)
def test_classes_are_left_out(name: bytes, path: bytes) -> None:
    assert attribute_path(name) == path


def test_names_of_a_file_are_short_unique_and_tell_the_post_processing(exported_bundle: Bundle) -> None:
    model = read_model(exported_bundle.root / "model.float32.tflite")
    names = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert sum(map(len, names)) / len(names) < 50
    assert not any("mobiledet" in name or "torch" in name for name in names)
    assert sum("post_process" in name for name in names) > 100
    assert sum("backbone" in name for name in names) > 100
