"""Compressed weights of every kind that coremltools writes: decoded as its own decompression does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobiledet.mil.model import CoreMlModel

RNG = np.random.default_rng(11)
WEIGHT = RNG.normal(size=(64, 96)).astype(np.float32)

Compress = Callable[[Any, Any], Any]  # coremltools.optimize.coreml, model -> model


def linear(optimize: Any, **options: Any) -> Any:
    return optimize.OptimizationConfig(global_config=optimize.OpLinearQuantizerConfig(weight_threshold=0, **options))


def palette(optimize: Any, **options: Any) -> Any:
    return optimize.OptimizationConfig(global_config=optimize.OpPalettizerConfig(weight_threshold=0, **options))


def pruned(optimize: Any) -> Any:
    return optimize.OptimizationConfig(
        global_config=optimize.OpMagnitudePrunerConfig(target_sparsity=0.6, weight_threshold=0)
    )


# name -> deployment target, the operation that must come out, what makes it
WAYS: dict[str, tuple[str, str, Compress]] = {
    "int8 by channel": ("iOS16", "constexpr_affine_dequantize", lambda o, m: o.linear_quantize_weights(m, linear(o))),
    "uint8 with zero point": (
        "iOS17",
        "constexpr_affine_dequantize",
        lambda o, m: o.linear_quantize_weights(m, linear(o, mode="linear", dtype="uint8", granularity="per_tensor")),
    ),
    "int4 by block": (
        "iOS18",
        "constexpr_blockwise_shift_scale",
        lambda o, m: o.linear_quantize_weights(m, linear(o, dtype="int4", granularity="per_block", block_size=32)),
    ),
    "uint4 by block with offset": (
        "iOS18",
        "constexpr_blockwise_shift_scale",
        lambda o, m: o.linear_quantize_weights(
            m, linear(o, mode="linear", dtype="uint4", granularity="per_block", block_size=16)
        ),
    ),
    **{
        f"{bits} bit palette, iOS 16": (
            "iOS16",
            "constexpr_lut_to_dense",
            lambda o, m, bits=bits: o.palettize_weights(m, palette(o, mode="uniform", nbits=bits)),
        )
        for bits in (1, 2, 4, 6, 8)
    },
    **{
        f"{bits} bit palettes by group, iOS 18": (
            "iOS18",
            "constexpr_lut_to_dense",
            lambda o, m, bits=bits: o.palettize_weights(
                m, palette(o, mode="uniform", nbits=bits, granularity="per_grouped_channel", group_size=16)
            ),
        )
        for bits in (1, 2, 3, 4, 6)
    },
    "sparse, iOS 16": ("iOS16", "constexpr_sparse_to_dense", lambda o, m: o.prune_weights(m, pruned(o))),
    "sparse, iOS 18": ("iOS18", "constexpr_sparse_to_dense", lambda o, m: o.prune_weights(m, pruned(o))),
    "sparse and int8": (
        "iOS18",
        "constexpr_sparse_blockwise_shift_scale",
        lambda o, m: o.linear_quantize_weights(o.prune_weights(m, pruned(o)), linear(o), joint_compression=True),
    ),
    "sparse palette": (
        "iOS18",
        "constexpr_lut_to_sparse",
        lambda o, m: o.palettize_weights(
            o.prune_weights(m, pruned(o)), palette(o, mode="uniform", nbits=4), joint_compression=True
        ),
    ),
    "palette of int8": (
        "iOS18",
        "constexpr_blockwise_shift_scale",
        lambda o, m: o.linear_quantize_weights(
            o.palettize_weights(m, palette(o, mode="uniform", nbits=4)),
            linear(o, granularity="per_tensor"),
            joint_compression=True,
        ),
    ),
}


@pytest.fixture(scope="module", params=["FLOAT32", "FLOAT16"])
def original(request: pytest.FixtureRequest, coremltools: Any, mil: Any) -> Callable[[str], Any]:
    """A linear layer as a model, by deployment target."""
    made: dict[str, Any] = {}

    def model(target: str) -> Any:
        if target not in made:
            specs = [mil.mb.TensorSpec((96, 96), mil.types.fp32)]
            program = mil.mb.program(input_specs=specs, opset_version=mil.target[target])(
                lambda x: mil.mb.linear(x=x, weight=WEIGHT, name="y")
            )
            made[target] = coremltools.convert(
                program,
                convert_to="mlprogram",
                minimum_deployment_target=mil.target[target],
                compute_precision=getattr(coremltools.precision, request.param),
                skip_model_load=True,
            )
        return made[target]

    return model


def stored_weight(coremltools: Any, model: Any) -> np.ndarray:
    """The largest constant of a model without compression, read by coremltools."""
    decompressed = coremltools.optimize.coreml.decompress_weights(model)
    metadata = coremltools.optimize.coreml.get_weights_metadata(decompressed, weight_threshold=0)
    return np.asarray(max((entry.val for entry in metadata.values()), key=np.size), np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_decoded_as_coremltools_does(
    original: Callable[[str], Any], coremltools: Any, tmp_path: Path, way: str
) -> None:
    target, operation, compress = WAYS[way]
    model = compress(coremltools.optimize.coreml, original(target))
    kinds = [
        op.type
        for block in model.get_spec().mlProgram.functions["main"].block_specializations.values()
        for op in block.operations
    ]
    assert operation in kinds
    model.save(str(tmp_path / "x.mlpackage"))

    name = model.get_spec().description.input[0].name
    interpreted = CoreMlModel(tmp_path / "x.mlpackage", round_float16=False)
    found = interpreted.predict({name: np.eye(96, dtype=np.float32)})[interpreted.outputs[0]].T
    expected = stored_weight(coremltools, model)
    assert found.shape == expected.shape == WEIGHT.shape
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_vector_palettes(run: Callable[..., list[np.ndarray]], mil: Any, axis: int) -> None:
    """Each index stands for three values along an axis; two groups of rows have palettes of their own."""
    indices = RNG.integers(0, 4, (4, 5, 6)).astype(np.uint8)
    lut = RNG.normal(size=(2, 1, 1, 4, 3)).astype(np.float32)
    if axis == 0:
        lut = np.moveaxis(lut, 0, 2)  # groups along the last axis, for they cannot lie along that of the vectors
    packed = indices.astype(mil.types.nptype_from_builtin(mil.types.string_to_builtin("uint2")))
    (found,) = run(
        lambda x: mil.mb.add(x=x, y=mil.mb.constexpr_lut_to_dense(indices=packed, lut=lut, vector_axis=np.int32(axis))),
        np.zeros(1, np.float32),
        target="iOS18",
    )
    expected = np.empty((4, 5, 6, 3), np.float32)
    for place in np.ndindex(4, 5, 6):
        group = (0, 0, place[2] // 3) if axis == 0 else (place[0] // 2, 0, 0)
        expected[place] = lut[group][indices[place]]
    expected = np.moveaxis(expected, -1, axis % 3 + 1)
    shape = [side * (3 if index == axis % 3 else 1) for index, side in enumerate(indices.shape)]
    np.testing.assert_array_equal(found, expected.reshape(shape))
