import json
from typing import Any

import pytest

from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec, TrainingInfo

SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite",
    input=InputSpec(320, 256),
    labels=("cat", "dog"),
    category_ids=(17, 18),
    nms=NmsSpec(iou=0.6),
    detector_options={"loss": "focal"},
    training=TrainingInfo("shapes-train", "train", 10, "abc", 3),
)


def test_json_round_trip() -> None:
    values = json.loads(json.dumps(SPEC.to_json()))
    assert ModelSpec.from_json(values, "x.json") == SPEC
    assert values["outputs"]["boxes"] == "yxyx in 0..1"
    assert values["input"]["channels"] == "RGB"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("schema_version"), "no schema_version"),
        (lambda v: v.update(schema_version=99), "schema version 99 is not 1"),
        (lambda v: v.pop("labels"), "field 'labels' is missing"),
        (lambda v: v.update(labels=[]), "labels are empty"),
        (lambda v: v.update(labels=["cat", ""]), "every label must be a non-empty text"),
        (lambda v: v.update(category_ids=[1]), "2 labels but 1 category ids"),
        (lambda v: v.update(category_ids=[1, 1]), "category ids repeat"),
        (lambda v: v["input"].update(height=20), "input side 20 is not a whole number of at least 32"),
        (lambda v: v["input"].update(std=[1, 0, 1]), "is not positive"),
        (lambda v: v["input"].update(resize="crop"), "resize rule 'crop'"),
        (lambda v: v["input"].update(colour="red"), "colour"),
        (lambda v: v.update(input=3), "InputSpec must be a JSON object"),
        (lambda v: v["nms"].update(iou=2), "nms iou 2 is not between 0 and 1"),
        (lambda v: v["nms"].update(max_detections=900), "max_detections <= top_k"),
    ],
)
def test_wrong_values_are_told_with_their_file(change: Any, message: str) -> None:
    values = json.loads(json.dumps(SPEC.to_json()))
    change(values)
    with pytest.raises(UserError, match=message) as error:
        ModelSpec.from_json(values, "x.json")
    assert str(error.value).startswith("x.json")


@pytest.mark.parametrize("values", [None, [], "spec", 3])
def test_other_json_is_no_spec(values: Any) -> None:
    with pytest.raises(UserError, match="not a mobiledet model description"):
        ModelSpec.from_json(values, "x.json")
