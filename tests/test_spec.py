import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mobiledet.errors import UserError
from mobiledet.options import NO_OPTIONS, FasterRcnnFpnOptions, NanoDetPlusOptions, SsdLiteOptions, read_words
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec, TrainingInfo, image_sides, read_json, sides_text

SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite",
    input=InputSpec(320, 256),
    labels=("cat", "dog"),
    category_ids=(17, 18),
    nms=NmsSpec(iou=0.6),
    detector_options=SsdLiteOptions(loss="focal"),
    training=TrainingInfo("shapes-train", "train", 10, "abc", 3),
)


def test_json_round_trip() -> None:
    values = json.loads(json.dumps(SPEC.to_json()))
    assert ModelSpec.from_json(values, "x.json") == SPEC
    assert values["outputs"]["boxes"] == "yxyx in 0..1"
    assert values["input"]["channels"] == "RGB"


def test_options_of_a_detector_of_another_package_are_kept_as_they_are() -> None:
    values = {**json.loads(json.dumps(SPEC.to_json())), "detector": "theirs", "detector_options": {"depth": [1, None]}}
    spec = ModelSpec.from_json(values, "x.json")
    assert spec.to_json()["detector_options"] == {"depth": [1, None]}
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "x.json") == spec


def test_options_become_those_of_the_detector() -> None:
    assert dataclasses.replace(SPEC, detector_options=NO_OPTIONS).detector_options == SsdLiteOptions()
    with pytest.raises(ValueError, match=r"detector_options.channels is unknown; there are anchors, loss, .*clip_last"):
        dataclasses.replace(SPEC, detector_options=NanoDetPlusOptions(channels=32))


def test_options_as_words_and_back() -> None:
    options = FasterRcnnFpnOptions(anchor_sides=(32.0, 64.0), layers="full", class_agnostic=False)
    assert options.words == ('layers="full"', "class_agnostic=false", "anchor_sides=[32.0, 64.0]")
    assert FasterRcnnFpnOptions().changed(**read_words(options.words, "--detector-options")) == options


def test_a_letterbox_is_kept_and_a_stretch_looks_as_before_there_was_one() -> None:
    boxed = dataclasses.replace(SPEC.input, resize="letterbox", padding="black", placement="top-left")
    spec = dataclasses.replace(SPEC, input=boxed)
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "x.json") == spec
    values = SPEC.to_json()["input"]
    assert values["resize"] == "stretch"
    assert not {"padding", "placement"} & values.keys()
    assert (SPEC.input.resize_text, boxed.resize_text) == ("stretch", "letterbox (black, top-left)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("schema_version"), "no schema_version"),
        (lambda v: v.update(schema_version=99), "schema version 99 is not 1"),
        (lambda v: v.pop("labels"), "labels is missing"),
        (lambda v: v.update(labels=[]), r"labels is \[\], not in 1..20000"),
        (lambda v: v.update(labels=["cat", ""]), "every label must be a non-empty text"),
        (lambda v: v.update(category_ids=[1]), "2 labels but 1 category ids"),
        (lambda v: v.update(category_ids=[1, 1]), "category ids repeat"),
        (lambda v: v["input"].update(height=20), "input side 20 is not a whole number of at least 32"),
        (lambda v: v["input"].update(std=[1, 0, 1]), "is not positive"),
        (lambda v: v["input"].update(resize="crop"), "input.resize is 'crop', not one of stretch, letterbox"),
        (lambda v: v["input"].update(padding="red"), "input.padding is 'red', not one of grey, black"),
        (lambda v: v["input"].update(padding=114), "input.padding is 114, not one of grey, black"),
        (lambda v: v["input"].update(placement="bottom"), "input.placement is 'bottom', not one of centre, top-left"),
        (lambda v: v["input"].update(colour="red"), "colour"),
        (lambda v: v.update(input=3), "input is 3, not an object"),
        (lambda v: v["nms"].update(iou=2), "nms iou 2.0 is not between 0 and 1"),
        (lambda v: v["nms"].update(max_detections=900), "max_detections <= top_k"),
        (lambda v: v.update(schema_version=True), "schema version True is not 1"),
        (lambda v: v.update(labels="cat"), "labels is 'cat', not a list"),
        (lambda v: v.update(labels=["cat", "two\nlines"]), "a label has more than one line"),
        (lambda v: v.update(category_ids=[17.0, 18]), r"category_ids\[0\] is 17.0, not of type int"),
        (lambda v: v.update(category_ids=[1 << 63, 18]), r"category_ids\[0\] .* not a number of 64 bits"),
        (lambda v: v.update(name=None), "name is None, not of type str"),
        (lambda v: v.update(name=""), "name is '', not in 1..200"),
        (lambda v: v.update(colour="red"), "colour is unknown"),
        (lambda v: v["input"].update(height=320_000_000), "input side 320000000 is above 4096 pixels"),
        (lambda v: v["input"].update(height=320.0), "input.height is 320.0, not of type int"),
        (lambda v: v["input"].update(mean=[1e999, 0, 0]), r"input.mean\[0\] is inf, not a finite number"),
        (lambda v: v["input"].update(mean=[10**400, 0, 0]), "not a number of 64 bits"),
        (lambda v: v["nms"].update(top_k=10**9), "nms top_k 1000000000 is above 100000"),
        (lambda v: v["detector_options"].update(clip_last=1), "detector_options.clip_last is 1, not of type bool"),
        (
            lambda v: v["detector_options"].update(layer="full"),
            r"detector_options.layer is unknown; there are .*layers",
        ),
        (lambda v: v.update(detector_options=[]), r"detector_options is \[\], not an object"),
        (
            lambda v: v.update(detector_options={"anchors": [[[0.1, float("nan")]]]}),
            r"detector_options.anchors.0.0.1 is nan, not a finite number",
        ),
        (
            lambda v: v.update(detector_options={"anchors": [[[0.1, 0]]]}),
            r"detector_options.anchors\[0\]\[0\]\[1\] is 0, not above 0",
        ),
        (lambda v: v.update(detector="theirs", detector_options={"a": float("nan")}), "not a finite number"),
        (lambda v: v["outputs"].update(boxes="xyxy"), "its outputs are not those"),
    ],
)
def test_wrong_values_are_told_with_their_file(change: Any, message: str) -> None:
    values = json.loads(json.dumps(SPEC.to_json()))
    change(values)
    with pytest.raises(UserError, match=message) as error:
        ModelSpec.from_json(values, "x.json")
    assert str(error.value).startswith("x.json")


def test_options_that_are_nested_too_deeply_are_refused() -> None:
    values = {**json.loads(json.dumps(SPEC.to_json())), "detector": "of another package"}
    for _ in range(400):
        values["detector_options"] = {"deep": values["detector_options"]}
    with pytest.raises(UserError, match="JSON of at most 32 levels"):
        ModelSpec.from_json(values, "x.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "not JSON: it is nested too deeply"),
        (b'{"a": "\xff"}', "not JSON: 'utf-8' codec can't decode"),
        (b"9" * 5000, "not JSON: Exceeds the limit"),
        (b"[" * 3000, "is not JSON"),
        (b" " * 2_000_000, "more than 1 MiB"),
    ],
)
def test_what_is_no_json_is_told_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as told:
        read_json(path, most_bytes=1 << 20)
    assert len(str(told.value).splitlines()) == 1


def test_a_device_is_no_file_and_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it is a device"):
        read_json("/dev/zero")
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "x.json") == [1]


@pytest.mark.parametrize("values", [None, [], "spec", 3])
def test_other_json_is_no_spec(values: Any) -> None:
    with pytest.raises(UserError, match="not a mobiledet model description"):
        ModelSpec.from_json(values, "x.json")


@pytest.mark.parametrize(
    ("size", "sides"), [(320, (320, 320)), ("320", (320, 320)), ("192x320", (192, 320)), ("192 X 320", (192, 320))]
)
def test_image_sizes_are_one_side_or_height_and_width(size: int | str, sides: tuple[int, int]) -> None:
    assert image_sides(size) == sides
    assert image_sides(sides_text(*sides)) == sides


@pytest.mark.parametrize("size", ["", "x", "192x", "1x2x3", "-32", "3.5", "wide", "192,320"])
def test_other_image_sizes_are_refused(size: str) -> None:
    with pytest.raises(ValueError, match="such as 192x320"):
        image_sides(size)


def test_files_from_before_sampling_keep_the_four_pixels() -> None:
    values = json.loads(json.dumps(SPEC.to_json()))
    assert values["input"]["sampling"] == "mean"
    del values["input"]["sampling"]
    assert ModelSpec.from_json(values, "x").input.sampling == "bilinear"
    values["input"]["sampling"] = "cubic"
    with pytest.raises(UserError, match="sampling"):
        ModelSpec.from_json(values, "x")
