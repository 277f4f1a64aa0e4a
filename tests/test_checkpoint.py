import dataclasses
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from mobiledet.checkpoint import Checkpoint, load_checkpoint, load_detector, save_checkpoint
from mobiledet.detectors import detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec

SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite_fpn",
    input=InputSpec(64, 64),
    labels=("cat", "dog"),
    category_ids=(17, 18),
)


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt"
    save_checkpoint(path, Checkpoint(SPEC, detector_from_spec(SPEC).state_dict()))
    return path


def test_round_trip_gives_the_same_outputs(checkpoint_path: Path) -> None:
    first, spec = load_detector(checkpoint_path)
    second, _ = load_detector(checkpoint_path)
    assert spec == SPEC
    assert not first.training
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(first(images).class_logits, second(images).class_logits)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint at .*absent\.ckpt"):
        load_checkpoint(tmp_path / "absent.ckpt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged\.ckpt is not a readable checkpoint"):
        load_checkpoint(path)


def test_truncated_file(tmp_path: Path, checkpoint_path: Path) -> None:
    path = tmp_path / "cut.ckpt"
    path.write_bytes(checkpoint_path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"cut\.ckpt is not a readable checkpoint"):
        load_checkpoint(path)


def test_changed_bytes(tmp_path: Path, checkpoint_path: Path) -> None:
    content = bytearray(checkpoint_path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 0xFF
    path = tmp_path / "changed.ckpt"
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # reads over it
    with pytest.raises(UserError, match=r"changed\.ckpt is not a readable checkpoint: the checksum of .* is wrong"):
        load_checkpoint(path)


def test_full_disk_keeps_the_older_file(tmp_path: Path, checkpoint_path: Path) -> None:
    path, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    path.write_bytes(checkpoint_path.read_bytes())
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, largest[1]))  # no file may grow beyond 100 KB
    try:
        with pytest.raises(UserError, match=r"cannot write .*last\.ckpt.*check"):
            save_checkpoint(path, Checkpoint(SPEC, detector_from_spec(SPEC).state_dict()), previous)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert path.read_bytes() == checkpoint_path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_that_is_replaced_is_kept_as_the_previous_one(tmp_path: Path) -> None:
    path, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    for epoch in (1, 2, 3):
        save_checkpoint(path, Checkpoint(SPEC, {}, {"epoch": epoch}), previous)
    epochs = [(load_checkpoint(file).training or {})["epoch"] for file in (path, previous)]
    assert epochs == [3, 2]
    assert sorted(tmp_path.iterdir()) == [path, previous]


def test_somebody_elses_file(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pt"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="not a mobiledet checkpoint"):
        load_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "trap.ckpt"
    torch.save({"format": "mobiledet checkpoint", "trap": Trap()}, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    other = dataclasses.replace(SPEC, backbone="shufflenet_v2_1x")
    save_checkpoint(path, Checkpoint(SPEC, detector_from_spec(other).state_dict()))
    with pytest.raises(UserError, match=r"other\.ckpt is a checkpoint of another model: \d+ tensors differ"):
        load_detector(path)


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        save_checkpoint(tmp_path / "file" / "x.ckpt", Checkpoint(SPEC, {}))


def test_checkpoints_from_before_sampling_follow_the_rule_that_training_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ModelSpec.to_json

    def before(spec: ModelSpec) -> dict[str, Any]:
        values = written(spec)
        del values["input"]["sampling"]
        return values

    monkeypatch.setattr(ModelSpec, "to_json", before)
    save_checkpoint(tmp_path / "old.ckpt", Checkpoint(SPEC, detector_from_spec(SPEC).state_dict()))
    assert load_checkpoint(tmp_path / "old.ckpt").spec.input.sampling == "mean"
