"""Programs of MIL written with coremltools' builder, serialised by coremltools, and run by the interpreter."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mobiledet.mil.model import ProgramModel
from mobiledet_converters.coreml.framework import load_coremltools

Build = Callable[..., Any]


@pytest.fixture(scope="session")
def coremltools() -> Any:
    return load_coremltools()


@pytest.fixture(scope="session")
def mil(coremltools: Any) -> Any:
    """The builder of MIL programs, its types, and what of coremltools makes programs of them."""
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    return SimpleNamespace(mb=Builder, types=types, target=coremltools.target)


def as_list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


@pytest.fixture(scope="session")
def write(coremltools: Any, mil: Any) -> Callable[..., tuple[Any, Path]]:
    """A program as its protobuf message and the folder of its weights: ``(build, arrays, target)``."""

    kept = []

    def write_program(build: Build, arrays: Sequence[np.ndarray], target: str = "iOS17") -> tuple[Any, Path]:
        dtypes = {"float32": mil.types.fp32, "float16": mil.types.fp16, "int32": mil.types.int32}
        specs = [mil.mb.TensorSpec(array.shape, dtypes[str(array.dtype)]) for array in arrays]

        def outputs(*inputs: Any) -> list[Any]:
            return [mil.mb.identity(x=x, name=f"out{i}") for i, x in enumerate(as_list(build(*inputs)))]

        signatures = {
            1: lambda a: outputs(a),
            2: lambda a, b: outputs(a, b),
            3: lambda a, b, c: outputs(a, b, c),
        }
        program = mil.mb.program(input_specs=specs, opset_version=mil.target[target])(signatures[len(arrays)])
        model = coremltools.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=mil.target[target],
            compute_precision=coremltools.precision.FLOAT32,
            pass_pipeline=coremltools.PassPipeline.EMPTY,
            skip_model_load=True,
        )
        kept.append(model)  # its weights lie in a folder that goes with it
        return model.get_spec(), Path(model.weights_dir).parent

    return write_program


@pytest.fixture(scope="session")
def run(write: Callable[..., tuple[Any, Path]]) -> Callable[..., list[np.ndarray]]:
    """What the interpreter makes of a program: ``(build, *arrays, target=…, round_float16=…)``."""
    import torch

    def run_program(
        build: Build, *arrays: np.ndarray, target: str = "iOS17", round_float16: bool = True
    ) -> list[np.ndarray]:
        message, folder = write(build, arrays, target)
        model = ProgramModel(message, folder, round_float16, None)
        features = {name: torch.from_numpy(a) for name, a in zip("abc", arrays, strict=False)}
        results = model.run(features)
        return [results[f"out{index}"].numpy() for index in range(len(results))]

    return run_program


@pytest.fixture(scope="session")
def fold(mil: Any) -> Callable[..., list[np.ndarray]]:
    """What coremltools' own value inference makes of the same program on constants: ``(build, *arrays, target=…)``."""

    def fold_program(build: Build, *arrays: np.ndarray, target: str = "iOS17") -> list[np.ndarray]:
        values: list[np.ndarray] = []

        def on_constants(a: Any) -> Any:
            values.extend(np.asarray(out.val) for out in as_list(build(*(mil.mb.const(val=v) for v in arrays))))
            return a

        specs = [mil.mb.TensorSpec((1,), mil.types.fp32)]
        mil.mb.program(input_specs=specs, opset_version=mil.target[target])(on_constants)
        return values

    return fold_program
