"""The profiler on a file that TensorFlow wrote."""

import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet.errors import UserError
from mobiledet.profile.litert_profiler import ProfiledModel
from mobiledet.profile.runtime import RunTime, kind_of, measure_run_time
from mobiledet_converters.tflite.structure import CONVOLUTIONS


@pytest.fixture(scope="module")
def patch_file(patch_files: Path) -> Path:
    return patch_files / "patch.tflite"


@pytest.fixture(scope="module")
def run_time(patch_file: Path) -> RunTime:
    return measure_run_time(patch_file, 1)


def test_operations_are_those_of_the_file(patch_file: Path) -> None:
    """LiteRT's own kernels report the names in the file, XNNPACK its own ones; convolutions are neither lost nor
    seen twice."""
    model = read_model(patch_file)
    listed = [str(opcode_to_name(model, operator.opcodeIndex)) for operator in model.subgraphs[0].operators]
    profiled = ProfiledModel(patch_file, threads=1)
    first, second = ([name for name, _ in profiled.profile()] for _ in range(2))
    assert first == second
    assert {name for name in first if name.isupper()} <= set(listed)
    assert [kind_of(name) for name in first].count("convolution") == sum(name in CONVOLUTIONS for name in listed)


def test_parts_are_within_the_whole(run_time: RunTime) -> None:
    assert 0 < run_time.coverage < 1.2
    assert sum(run_time.shares.values()) == pytest.approx(1)
    assert run_time.runs >= 30


def test_whole_time_is_that_of_the_interpreter(patch_file: Path, run_time: RunTime) -> None:
    """Within a factor of three, for other processes may be busy too."""
    interpreter = Interpreter(model_path=str(patch_file), num_threads=1)
    interpreter.allocate_tensors()
    samples = []
    for _ in range(100):
        started = time.perf_counter()
        interpreter.invoke()
        samples.append(time.perf_counter() - started)
    here = float(np.mean(sorted(samples)[:50])) * 1000
    assert here / 3 < run_time.whole_ms < here * 3


def test_broken_file_is_an_error_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"LiteRT cannot profile broken.tflite: .*LiteRtCreateModelFromFile") as error:
        measure_run_time(broken, 1)
    assert "\n" not in str(error.value)
