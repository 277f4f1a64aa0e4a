"""The operations of MIL. ``OPERATIONS`` is the whole table: name -> function.

A function's parameters are named as the inputs of the operation, with their defaults; those annotated as tensors come
as tensors, all others as numbers, lists and texts of Python. Each file holds one section of Apple's MIL reference,
https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html, for iOS 15 to 18. Where a
later version of an operation renames an input, the function takes both names.
"""

from collections.abc import Callable
from typing import Any

from mobiledet.mil.operations import (
    activation,
    compression,
    control_flow,
    conv,
    crop_resize,
    elementwise_binary,
    elementwise_unary,
    image_resizing,
    linear,
    normalization,
    pool,
    quantization,
    reduction,
    scatter_gather,
    tensor_operation,
    tensor_transformation,
)

OPERATIONS: dict[str, Callable[..., Any]] = {
    **activation.OPERATIONS,
    **compression.OPERATIONS,
    **control_flow.OPERATIONS,
    **conv.OPERATIONS,
    **crop_resize.OPERATIONS,
    **elementwise_binary.OPERATIONS,
    **elementwise_unary.OPERATIONS,
    **image_resizing.OPERATIONS,
    **linear.OPERATIONS,
    **normalization.OPERATIONS,
    **pool.OPERATIONS,
    **quantization.OPERATIONS,
    **reduction.OPERATIONS,
    **scatter_gather.OPERATIONS,
    **tensor_operation.OPERATIONS,
    **tensor_transformation.OPERATIONS,
}
