"""What holds for every operation: number formats, branches and loops, constants, errors."""

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobiledet.errors import UserError
from mobiledet.mil.model import ProgramModel

Run = Callable[..., list[np.ndarray]]
Write = Callable[..., tuple[Any, Path]]

RNG = np.random.default_rng(12)
X, Y = (RNG.normal(size=(50, 40)).astype(np.float32) for _ in range(2))


def in_half(mil: Any) -> Callable[..., Any]:
    """(x + y) * x / y in 16 bits."""

    def build(x: Any, y: Any) -> Any:
        x, y = mil.mb.cast(x=x, dtype="fp16"), mil.mb.cast(x=y, dtype="fp16")
        total = mil.mb.mul(x=mil.mb.add(x=x, y=y), y=x)
        return mil.mb.cast(x=mil.mb.real_div(x=total, y=y), dtype="fp32")

    return build


def test_16_bits_are_rounded_after_each_operation(run: Run, mil: Any) -> None:
    (found,) = run(in_half(mil), X, Y)
    x, y = X.astype(np.float16), Y.astype(np.float16)
    np.testing.assert_array_equal(found, ((x + y) * x / y).astype(np.float32))


def test_16_bits_overflow(run: Run, mil: Any) -> None:
    """320 * 320 is beyond the numbers of 16 bits: areas of boxes in pixels are."""

    def build(x: Any) -> Any:
        half = mil.mb.cast(x=x, dtype="fp16")
        return mil.mb.cast(x=mil.mb.mul(x=half, y=half), dtype="fp32")

    side = np.array([320, 200], np.float32)
    assert run(build, side)[0].tolist() == [np.inf, 40000]
    assert run(build, side, round_float16=False)[0].tolist() == [102400, 40000]


def test_16_bits_can_be_left_unrounded(run: Run, mil: Any) -> None:
    (found,) = run(in_half(mil), X, Y, round_float16=False)
    np.testing.assert_allclose(found, (X + Y) * X / Y, rtol=1e-4, atol=1e-5)


def test_short_integers_wrap(run: Run, mil: Any) -> None:
    values = np.array([70000, -1, 32768, 5], np.int32)
    found = run(
        lambda x: [
            mil.mb.cast(x=mil.mb.cast(x=x, dtype=dtype), dtype="int32") for dtype in ("int16", "uint16", "int8")
        ],
        values,
    )
    for result, dtype in zip(found, (np.int16, np.uint16, np.int8), strict=True):
        assert result.tolist() == values.astype(dtype).tolist()


def test_branches(run: Run, mil: Any) -> None:
    def build(x: Any) -> Any:
        positive = mil.mb.greater(x=mil.mb.reduce_sum(x=x, axes=[0], keep_dims=False), y=0.0)
        doubled = mil.mb.mul(x=x, y=2.0)
        return mil.mb.cond(
            pred=positive, _true_fn=lambda: mil.mb.add(x=doubled, y=x), _false_fn=lambda: mil.mb.abs(x=x)
        )

    assert run(build, np.array([1, 2], np.float32))[0].tolist() == [3, 6]
    assert run(build, np.array([1, -2], np.float32))[0].tolist() == [1, 2]


def test_loops(run: Run, mil: Any) -> None:
    """Fibonacci's numbers, as many as the input says."""

    def build(count: Any) -> Any:
        count = mil.mb.squeeze(x=count, axes=[0])
        zero = mil.mb.mul(x=count, y=0)  # no constant, whose type in the loop coremltools cannot tell
        *_, result = mil.mb.while_loop(
            _cond=lambda i, a, b: mil.mb.less(x=i, y=count),
            _body=lambda i, a, b: (mil.mb.add(x=i, y=1), b, mil.mb.add(x=a, y=b)),
            loop_vars=(zero, zero, mil.mb.add(x=zero, y=1)),
        )
        return mil.mb.expand_dims(x=result, axes=[0])

    found = [run(build, np.array([n], np.int32))[0].item() for n in (0, 1, 2, 5, 10)]
    assert found == [1, 1, 2, 8, 89]


def test_dynamic_shapes(run: Run, mil: Any) -> None:
    """A pad that is known at run time only, from the shape of the input."""

    def build(x: Any, pad: Any) -> Any:
        return mil.mb.reshape(x=mil.mb.pad(x=x, pad=pad, constant_val=1.0), shape=[-1])

    (found,) = run(build, X[:2, :3], np.array([1, 0, 0, 2], np.int32))
    np.testing.assert_array_equal(found, np.pad(X[:2, :3], [(1, 0), (0, 2)], constant_values=1).ravel())


def test_results_are_dropped_after_their_last_use(write: Write, mil: Any) -> None:
    def chain(x: Any) -> Any:
        for _ in range(6):
            x = mil.mb.sin(x=x)
        return x

    message, folder = write(chain, [X])
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def observe(_: str, values: torch.Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(values))
        most = max(most, sum(reference() is not None for reference in alive))

    ProgramModel(message, folder, True, None).run({"a": torch.from_numpy(X)}, observe)
    assert len(alive) >= 6
    assert most <= 2


def operations(message: Any) -> Any:
    (block,) = message.mlProgram.functions["main"].block_specializations.values()
    return block.operations


def test_unknown_operation_is_named(write: Write, mil: Any) -> None:
    message, folder = write(lambda x: mil.mb.sin(x=x, name="wave"), [X])
    next(op for op in operations(message) if op.type == "sin").type = "hyperdrive"
    with pytest.raises(UserError, match=r"operation hyperdrive \(wave\) is unknown to the interpreter"):
        ProgramModel(message, folder, True, None)


def test_unknown_input_is_named(write: Write, mil: Any) -> None:
    message, folder = write(lambda x: mil.mb.sin(x=x, name="wave"), [X])
    sine = next(op for op in operations(message) if op.type == "sin")
    sine.inputs["phase"].CopyFrom(sine.inputs["x"])
    with pytest.raises(UserError, match=r"operation sin \(wave\) has an input phase unknown"):
        ProgramModel(message, folder, True, None)


def test_wrong_shapes_are_told(write: Write, mil: Any) -> None:
    message, folder = write(lambda x: mil.mb.sin(x=x, name="wave"), [X])
    model = ProgramModel(message, folder, True, None)
    with pytest.raises(UserError, match=r"input a is \(5, 40\); it gives \(5, 40\) where \(50, 40\) is declared"):
        model.run({"a": torch.from_numpy(X[:5])})
    sine = next(op for op in operations(message) if op.type == "sin")
    sine.outputs[0].type.tensorType.dimensions[0].constant.size = 7
    with pytest.raises(UserError, match=r"operation sin \(wave\) cannot be run: gives \(50, 40\) where \(7, 40\)"):
        ProgramModel(message, folder, True, None).run({"a": torch.from_numpy(X)})


def test_weights_outside_of_the_package_are_refused(write: Write, mil: Any) -> None:
    weight = RNG.normal(size=(40, 40)).astype(np.float32)
    message, folder = write(lambda x: mil.mb.linear(x=x, weight=weight), [X])
    constant = next(op for op in operations(message) if op.attributes["val"].HasField("blobFileValue"))
    blob = constant.attributes["val"].blobFileValue
    for name in ("@model_path/../../../etc/passwd", "@model_path/weights/none.bin"):
        blob.fileName = name
        with pytest.raises(UserError, match="are not in the package"):
            ProgramModel(message, folder, True, None)
    blob.fileName, blob.offset = "@model_path/weights/weight.bin", 12345
    with pytest.raises(UserError, match="cannot be read as FLOAT32"):
        ProgramModel(message, folder, True, None)
