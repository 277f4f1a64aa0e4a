import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mobiledet.errors import UserError
from mobiledet.evaluation.result import Result, read_result, write_result
from mobiledet.options import DetectorOptions, OtherOptions, SsdLiteOptions


def test_written_and_read_back(tmp_path: Path, result: Result) -> None:
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result
    part = dataclasses.replace(result, accuracy=None, latency=None)
    write_result(tmp_path / "result.json", part)
    assert read_result(tmp_path / "result.json") == part


@pytest.mark.parametrize(
    ("detector", "options"),
    [("ssdlite", SsdLiteOptions(layers="full")), ("theirs", OtherOptions({"depth": [1, 2]}))],
)
def test_options_of_the_detector_are_kept(result: Result, detector: str, options: DetectorOptions) -> None:
    spec = dataclasses.replace(result.spec, detector=detector, detector_options=options)
    values = json.loads(json.dumps(dataclasses.replace(result, spec=spec).to_json()))
    assert values["spec"]["detector_options"] == options.to_json()
    assert Result.from_json(values, "x.json").spec == spec


def test_result_from_before_bundles_told_more(result: Result) -> None:
    values = json.loads(json.dumps(result.to_json()))
    del values["file"]["face"], values["file"]["map"]
    assert Result.from_json(values, "old.json") == dataclasses.replace(
        result, file=dataclasses.replace(result.file, face="", map=None)
    )


def test_raw_samples_are_kept(result: Result) -> None:
    assert result.latency is not None
    values = json.loads(json.dumps(result.to_json()))
    assert values["latency"]["infer"]["samples_ns"] == list(result.latency.infer.samples_ns)
    assert len(values["latency"]["infer"]["samples_ns"]) == 30


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("kind",), "something", "is not a result of mobiledet evaluate"),
        (("schema_version",), 99, "schema version 99 is not 2"),
        (("latency", "infer", "p50_ms"), "fast", r"latency\.infer\.p50_ms is 'fast', not a number"),
        (("accuracy", "metrics", "AP"), None, r"accuracy\.metrics\.AP is None, not a number"),
        (("device", "colour"), "red", r"device\.colour is unknown"),
        (("spec", "input", "height"), 31, "input side 31 is not a whole number of at least 32"),
    ],
)
def test_damaged_results_are_named(
    tmp_path: Path, result: Result, path: tuple[str, ...], value: Any, message: str
) -> None:
    values = json.loads(json.dumps(result.to_json()))
    holder = values
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    (tmp_path / "odd.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"odd\.json.*" + message):
        read_result(tmp_path / "odd.json")


def test_files_that_are_no_results(tmp_path: Path) -> None:
    for name, text, message in (
        ("list.json", "[1, 2]", "is not a result"),
        ("bundle.json", '{"schema_version": 1}', "is not a result"),
        ("half.json", '{"kind": "mobiledet', "is not JSON"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=message):
            read_result(tmp_path / name)
    with pytest.raises(UserError, match="cannot read"):
        read_result(tmp_path / "none.json")


def test_file_in_place_of_the_folder(tmp_path: Path, result: Result) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_result(tmp_path / "file" / "result.json", result)
