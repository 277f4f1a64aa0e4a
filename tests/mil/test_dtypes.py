"""Stored numbers against coremltools' own packing, and what a result is made of."""

from typing import Any

import numpy as np
import pytest
import torch

from mobiledet.errors import UserError
from mobiledet.mil.dtypes import FORMATS, conform_to, format_of, sign_extend, unpack_bits

RNG = np.random.default_rng(14)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_unpacking_inverts_packing(coremltools: Any, bits: int, count: int) -> None:
    from coremltools.optimize._utils import pack_elements_into_bits

    values = RNG.integers(0, 2**bits, count).astype(np.uint8)
    np.testing.assert_array_equal(unpack_bits(pack_elements_into_bits(values, bits), bits, count), values)


def test_signed_unpacking_inverts_packing(coremltools: Any) -> None:
    from coremltools.optimize._utils import pack_elements_into_bits

    values = np.arange(-8, 8, dtype=np.int8)
    packed = pack_elements_into_bits(values, 4)
    np.testing.assert_array_equal(sign_extend(unpack_bits(packed, 4, 16), 4), values)


def test_every_format_of_mil_is_known(coremltools: Any) -> None:
    names = set(coremltools.proto.MIL_pb2.DataType.keys())
    unknown = names - set(FORMATS)
    assert {n for n in unknown if n.startswith(("INT", "UINT", "FLOAT", "BOOL"))} <= {
        "UINT64",
        "FLOAT8E4M3FN",
        "FLOAT8E5M2",
    }
    assert format_of("fp16") is format_of("FLOAT16") is FORMATS["FLOAT16"]
    with pytest.raises(UserError, match="unknown number format 'bfloat17'"):
        format_of("bfloat17")


def test_rounding_is_ieees() -> None:
    values = torch.tensor([1 + 2**-11, 1 + 3 * 2**-11, 65519.0, 65520.0, 2**-25, 2**-24, 1e-9])
    rounded = conform_to("FLOAT16", (7,), round_float16=True)(values)
    with np.errstate(over="ignore"):
        expected = values.numpy().astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(rounded, expected)
    assert torch.equal(conform_to("FLOAT16", (7,), round_float16=False)(values), values)


def test_unknown_sides_take_anything() -> None:
    conform = conform_to("FLOAT32", (None, 3), round_float16=True)
    assert conform(torch.zeros(5, 3)).shape == (5, 3)
    with pytest.raises(ValueError, match=r"gives \(5, 4\) where \(None, 3\) is declared"):
        conform(torch.zeros(5, 4))
