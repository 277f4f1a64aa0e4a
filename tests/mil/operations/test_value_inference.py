"""Operations against coremltools' own value inference, which is written in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Run = Callable[..., list[np.ndarray]]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
UNIT = RNG.uniform(0.1, 0.9, (2, 3, 4)).astype(np.float32)
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.0, -0.0, 2.4999], np.float32)
INTEGERS = np.array([[-7, -3, 0, 4], [5, 7, 2, 1]], np.int32)
DIVISORS = np.array([[3, -2, 5, -4], [2, 7, -3, 1]], np.int32)
IMAGE = RNG.normal(size=(2, 8, 4, 6)).astype(np.float32)

ON_UNIT = (
    "abs acos asin atan atanh ceil cos cosh erf exp exp2 floor inverse log rsqrt sign sin sinh sqrt square tan tanh"
)
REDUCTIONS = "l1_norm l2_norm log_sum log_sum_exp max mean min prod sum sum_square"
# name -> inputs, and a program on them
CASES: dict[str, tuple[tuple[np.ndarray, ...], Callable[..., Any]]] = {
    "unary": ((UNIT,), lambda mb, x: [getattr(mb, name)(x=x) for name in ON_UNIT.split()]),
    "round": ((HALVES,), lambda mb, x: mb.round(x=x)),
    "negative sign": ((HALVES,), lambda mb, x: [mb.sign(x=x), mb.floor(x=x), mb.ceil(x=x)]),
    "clip": ((X,), lambda mb, x: mb.clip(x=x, alpha=-0.5, beta=0.25)),
    "threshold": ((X,), lambda mb, x: mb.threshold(x=x, alpha=0.125)),
    "epsilon": (
        (UNIT,),
        lambda mb, x: [mb.log(x=x, epsilon=0.5), mb.rsqrt(x=x, epsilon=0.5), mb.inverse(x=x, epsilon=1.0)],
    ),
    "binary": (
        (X, UNIT[:, :1]),
        lambda mb, x, y: [
            getattr(mb, name)(x=x, y=y)
            for name in ("add", "sub", "mul", "real_div", "floor_div", "maximum", "minimum", "mod")
        ],
    ),
    "pow": ((UNIT, X), lambda mb, x, y: mb.pow(x=x, y=y)),
    "integers": (
        (INTEGERS, DIVISORS),
        lambda mb, x, y: [getattr(mb, name)(x=x, y=y) for name in ("add", "mul", "floor_div", "mod", "maximum")],
    ),
    "comparison": (
        (INTEGERS, np.flip(INTEGERS, 1).copy()),
        lambda mb, x, y: [
            mb.cast(x=getattr(mb, name)(x=x, y=y), dtype="int32")
            for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
        ],
    ),
    "logical": (
        (INTEGERS, DIVISORS),
        lambda mb, x, y: [
            mb.cast(x=getattr(mb, name)(x=mb.greater(x=x, y=0), y=mb.greater(x=y, y=0)), dtype="int32")
            for name in ("logical_and", "logical_or", "logical_xor")
        ],
    ),
    "cast": ((X,), lambda mb, x: [mb.cast(x=mb.mul(x=x, y=3.0), dtype="int32"), mb.cast(x=x, dtype="fp16")]),
    "reduction": (
        (UNIT,),
        lambda mb, x: [
            getattr(mb, f"reduce_{name}")(x=x, axes=axes, keep_dims=keep)
            for name in REDUCTIONS.split()
            for axes, keep in (([1], True), ([-1, 0], False))
        ],
    ),
    "reduce_arg": ((X,), lambda mb, x: [mb.reduce_argmax(x=x, axis=1), mb.reduce_argmin(x=x, axis=-1, keep_dims=True)]),
    "matmul": (
        (X, RNG.normal(size=(2, 3, 5)).astype(np.float32)),
        lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True),
    ),
    "softmax": ((X,), lambda mb, x: mb.softmax(x=x, axis=1)),
    "relu": (
        (X,),
        lambda mb, x: [
            mb.relu(x=x),
            mb.relu6(x=mb.mul(x=x, y=9.0)),
            mb.sigmoid(x=x),
            mb.softplus(x=x),
            mb.softsign(x=x),
        ],
    ),
    "parametric": (
        (X,),
        lambda mb, x: [
            mb.clamped_relu(x=x, alpha=0.3, beta=0.5),
            mb.elu(x=x, alpha=0.7),
            mb.leaky_relu(x=x, alpha=0.1),
            mb.linear_activation(x=x, alpha=2.0, beta=-1.0),
            mb.scaled_tanh(x=x, alpha=1.5, beta=0.5),
            mb.sigmoid_hard(x=x, alpha=0.4, beta=0.5),
            mb.thresholded_relu(x=x, alpha=0.2),
        ],
    ),
    "by channel": (
        (IMAGE,),
        lambda mb, x: [
            mb.prelu(x=x, alpha=np.arange(8, dtype=np.float32) / 7),
            mb.softplus_parametric(
                x=x, alpha=np.arange(8, dtype=np.float32), beta=np.arange(8, 0, -1).astype(np.float32)
            ),
        ],
    ),
    "layer_norm": (
        (X,),
        lambda mb, x: mb.layer_norm(
            x=x, axes=[2], gamma=np.arange(4, dtype=np.float32), beta=np.ones(4, np.float32), epsilon=np.float32(1e-3)
        ),
    ),
    "l2_norm": ((IMAGE,), lambda mb, x: mb.l2_norm(x=x, epsilon=np.float32(0.5))),
    "gather": (
        (X,),
        lambda mb, x: [
            mb.gather(x=x, indices=np.array([[2, 0], [1, 1]], np.int32), axis=1),
            mb.gather(x=x, indices=np.array([[1, 0], [3, 2]], np.int32), axis=2, batch_dims=1),
            mb.gather_along_axis(x=x, indices=np.zeros((2, 3, 2), np.int32) + 1, axis=2),
        ],
    ),
    "pad": (
        (IMAGE,),
        lambda mb, x: [
            mb.pad(x=x, pad=[1, 2, 3, 0], mode="constant", constant_val=0.5),
            mb.pad(x=x, pad=[3, 2, 0, 1], mode="reflect"),
            mb.pad(x=x, pad=[1, 2, 2, 1], mode="replicate"),
            mb.pad(x=x, pad=[1, 0, 0, 0, 0, 2, 0, 0], mode="constant"),
        ],
    ),
    "slice_by_index": (
        (X,),
        lambda mb, x: [
            mb.slice_by_index(x=x, begin=[0, 1, -3], end=[2, 3, -1]),
            mb.slice_by_index(x=x, begin=[0, 0, 0], end=[2, 3, 4], stride=[1, 2, 3], begin_mask=[True, False, False]),
            mb.slice_by_index(x=x, begin=[1, 2, 3], end=[0, 0, 0], stride=[-1, -1, -2], end_mask=[True, True, False]),
            mb.slice_by_index(
                x=x, begin=[-1, 0, 2], end=[0, 0, 0], squeeze_mask=[True, False, True], end_mask=[False, True, False]
            ),
        ],
    ),
    "slice_by_size": ((X,), lambda mb, x: mb.slice_by_size(x=x, begin=[0, 1, 2], size=[2, -1, 1])),
    "shape": (
        (X,),
        lambda mb, x: [
            mb.reshape(x=x, shape=[0, -1, 2]),
            mb.expand_dims(x=x, axes=[0, -1]),
            mb.transpose(x=x, perm=[2, 0, 1]),
            mb.reverse(x=x, axes=[0, 2]),
            mb.flatten2d(x=x, axis=-1),
            mb.shape(x=x),
            mb.squeeze(x=mb.expand_dims(x=x, axes=[1, 3]), axes=[1]),
        ],
    ),
    "combine": (
        (X, UNIT),
        lambda mb, x, y: [
            mb.concat(values=[x, y], axis=1),
            mb.stack(values=[x, y], axis=1),
            *mb.split(x=x, split_sizes=[1, 2], axis=1),
            *mb.split(x=x, num_splits=2, axis=2),
            mb.tile(x=x, reps=[1, 2, 1]),
        ],
    ),
    "cumsum": (
        (X,),
        lambda mb, x: [
            mb.cumsum(x=x, axis=2),
            mb.cumsum(x=x, axis=-1, reverse=True),
        ],
    ),
    "band_part": ((X,), lambda mb, x: [mb.band_part(x=x, lower=1, upper=0), mb.band_part(x=x, lower=-1, upper=1)]),
    "non_zero": ((INTEGERS,), lambda mb, x: mb.non_zero(x=x)),
    "topk": (
        (RNG.permutation(24).reshape(2, 3, 4).astype(np.float32),),
        lambda mb, x: [*mb.topk(x=x, k=2, axis=2), *mb.topk(x=x, k=3, axis=1, ascending=True)],
    ),
    "argsort": ((X,), lambda mb, x: [mb.argsort(x=x, axis=1), mb.argsort(x=x, axis=2, ascending=True)]),
    "quantize": (
        (HALVES,),
        lambda mb, x: [
            mb.cast(x=mb.quantize(input=x, scale=np.float32(s), zero_point=z, output_dtype=d), dtype="int32")
            for s, z, d in ((1.0, np.int8(3), "int8"), (0.01, np.uint8(128), "uint8"), (1.0, np.uint8(1), "uint8"))
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_value_inference(run: Run, fold: Run, mil: Any, name: str) -> None:
    inputs, build = CASES[name]
    found = run(lambda *x: build(mil.mb, *x), *inputs)
    expected = fold(lambda *x: build(mil.mb, *x), *inputs)
    assert expected
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
