"""Apple's runtime as a process: ``python -m mobiledet.devices.coreai_process ASSET THREADS``.

It implements the protocol of ``ServedDetector``. The duration of a run says nothing about Apple's systems.
"""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from mobiledet.devices.array_stream import receive, send
from mobiledet.errors import UserError
from mobiledet.spec import OUTPUTS

FUNCTION, IMAGE = "main", "image"
PROGRAM, HASH, METADATA = "main.mlirb", "main.hash", "metadata.json"


async def serve(path: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until the stream ends."""
    try:
        check_whole(path)
        from coreai.authoring import AIModelAsset
    except (ImportError, OSError) as error:
        send(answers, error=f"Apple's runtime does not run on this machine ({_one_line(error)}); see mobiledet doctor")
        return
    except UserError as error:
        send(answers, error=str(error))
        return
    is_loaded = False
    try:
        async with AIModelAsset.load(path).executable(_on_the_processor()) as model:
            function = model.load_function(FUNCTION)
            send(answers, size=image_size(path, function.desc))
            is_loaded = True
            while request := receive(requests):
                await _answer(path, model, function, request, answers)
    except UserError as error:
        send(answers, error=str(error))
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        if is_loaded:
            raise
        send(answers, error=f"Apple's runtime cannot load {path}: {_one_line(error)}; export it again")


def check_whole(path: Path) -> None:
    """Check that an asset is complete and undamaged.

    Raises:
        UserError: a file is missing, or the program does not match its checksum.
    """
    if not path.is_dir() or not all((path / name).is_file() for name in (PROGRAM, HASH, METADATA)):
        raise UserError(
            f"{path} is not a Core AI asset, a folder with {PROGRAM}, {HASH} and {METADATA}; export it again"
        )
    with (path / PROGRAM).open("rb") as program:
        if hashlib.file_digest(program, "sha256").digest() != (path / HASH).read_bytes():
            raise UserError(f"{path} is damaged: {PROGRAM} does not match its checksum; copy or export it again")
    try:
        json.loads((path / METADATA).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {METADATA} is not JSON; copy or export it again") from error


def image_size(path: Path, function: Any) -> tuple[int, int]:
    """Height and width of the only input.

    Raises:
        UserError: the asset is not a detector for one image.
    """
    shape = list(function.input_descriptor(IMAGE).shape) if function.input_names == [IMAGE] else []
    is_image = len(shape) == 4 and shape[:2] == [1, 3] and all(shape)
    if not is_image or list(function.output_names) != list(OUTPUTS):
        raise UserError(
            f"{path} is not a mobiledet detector: its inputs are {', '.join(function.input_names) or 'none'} and its "
            f"outputs {', '.join(function.output_names) or 'none'} instead of {IMAGE} and {', '.join(OUTPUTS)}; "
            "export it with mobiledet export"
        )
    return shape[2], shape[3]


async def _answer(path: Path, model: Any, function: Any, request: dict[str, np.ndarray], answers: IO[bytes]) -> None:
    """Run the asset once; an error is sent as an answer, and the process continues."""
    from coreai.runtime import NDArray

    height, width = image_size(path, function.desc)
    if request["image"].shape != (height, width, 3):
        send(answers, error=f"{path}: the input image is {request['image'].shape}, not ({height}, {width}, 3)")
        return
    image = np.ascontiguousarray(request["image"].transpose(2, 0, 1)[None], np.float32)
    shapes = {tuple(values.tolist()) for name, values in request.items() if name.startswith("shape.")}
    inside: list[np.ndarray] = []
    if shapes:
        function = model.load_function(FUNCTION, intermediate_logger=_logger(model, shapes, inside))
    try:
        found = await function({IMAGE: NDArray(image)})
    except (RuntimeError, ValueError) as error:
        send(answers, error=f"Apple's runtime cannot run {path}: {_one_line(error)}; export it again")
        return
    outputs = {name: found[name].numpy() for name in function.desc.output_names}
    send(answers, **outputs, **{f"inside.{index}": values for index, values in enumerate(inside)})


def _logger(model: Any, shapes: set[tuple[int, ...]], inside: list[np.ndarray]) -> Any:
    """A logger that collects the internal results with one of the given shapes."""
    from coreai.runtime import CompileIdentifiers, IntermediateLogger, NDArray

    operations = {
        operation["odixId"]
        for level in json.loads(model._debug_infos)
        for operation in level["operations"]
        if operation.get("odixId") is not None
    }

    def keep(arrays: list[Any], kind: str, _: Any) -> None:
        for array in arrays if kind == "output" else ():
            if array is not None and tuple(array.shape) in shapes and array.dtype in ("float32", "float16"):
                inside.append(np.array(NDArray._wrap(array).numpy(), np.float32))

    return IntermediateLogger([CompileIdentifiers(number) for number in sorted(operations)], keep)


def _on_the_processor() -> Any:
    """The options that exclude accelerators, which only Apple's systems have."""
    if sys.platform != "darwin":
        return None
    from coreai.runtime import SpecializationOptions

    return SpecializationOptions.cpu_only()


def _limit_cores(threads: int) -> None:
    """Restrict the process to some cores, because the runtime uses all that it may."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


if __name__ == "__main__":
    _limit_cores(int(sys.argv[2]))
    # output of the runtime must not be mixed with the answers
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(serve(Path(sys.argv[1]), sys.stdin.buffer, channel))
