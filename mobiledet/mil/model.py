"""Loads and runs Core ML packages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from google.protobuf.message import DecodeError
from torch import Tensor

from mobiledet.errors import UserError
from mobiledet.mil.program import Function, Observe
from mobiledet.mil.readers import load_readers
from mobiledet.mil.suppression import SuppressionModel
from mobiledet.mil.values import Constants

Features = Mapping[str, Any]


class Stage(Protocol):
    """A model, alone or in a pipeline.

    Attributes:
        inputs: names of the required inputs.
        outputs: names of the outputs.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, features: Features, observe: Observe | None = None) -> dict[str, Tensor]:
        """Run the stage; returns the outputs by name. ``features`` may contain more than the inputs."""


class CoreMlModel:
    """A .mlpackage with an ML Program, or with a pipeline of ML Programs and non-maximum suppression.

    Args:
        path: the package.
        round_float16: round results to 16 bits where the program declares them so, as a device does after each
            operation; else they keep 32 bits, which tells whether the program is right apart from its precision.
        function: name of the program's function; None for the default one.

    Attributes:
        inputs, outputs: names of the required inputs and of the outputs.

    Raises:
        UserError: the package cannot be read, is of another kind, or contains an unknown operation.
    """

    def __init__(self, path: Path, round_float16: bool = True, function: str | None = None) -> None:
        self._path = path
        self.message, folder = read_package(path)
        try:
            self._stages = [
                _stage(message, folder, round_float16, function) for message in _stage_messages(self.message)
            ]
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        given: set[str] = set()
        self.inputs: tuple[str, ...] = ()
        for stage in self._stages:
            self.inputs += tuple(name for name in stage.inputs if name not in given and name not in self.inputs)
            given.update(stage.outputs)
        description = _description(self.message, function)
        self.outputs = tuple(output.name for output in description.output)
        missing = [name for name in self.outputs if name not in given]
        if missing:
            raise UserError(f"{path}: no part of it computes its output {missing[0]}")

    @torch.inference_mode()
    def predict(self, features: Features, observe: Observe | None = None) -> dict[str, np.ndarray]:
        """Run the model.

        Args:
            features: inputs by name; an image is height x width x 3 RGB, or height x width if greyscale.
            observe: called with the name and the value of every internal result.

        Returns:
            outputs by name; 16-bit floats come as 32-bit ones.

        Raises:
            UserError: an input is missing or of the wrong shape, or an operation cannot be run.
        """
        known = {name: _to_feature(value) for name, value in features.items()}
        missing = [name for name in self.inputs if name not in known]
        if missing:
            raise UserError(f"{self._path} needs the input {missing[0]}")
        for stage in self._stages:
            try:
                known.update(stage.run(known, observe))
            except UserError as error:
                raise UserError(f"{self._path}: {error}") from error
        return {name: known[name].numpy() for name in self.outputs}


class ProgramModel:
    """An ML Program.

    Args:
        message: the Model message.
        folder: folder of the package's protobuf file.
        round_float16, function: as in ``CoreMlModel``.

    Attributes:
        inputs, outputs: names.

    Raises:
        UserError: the function does not exist, or an operation is unknown.
    """

    def __init__(self, message: Any, folder: Path, round_float16: bool, function: str | None) -> None:
        name = function or message.description.defaultFunctionName or "main"
        functions = message.mlProgram.functions
        if name not in functions:
            raise UserError(f"it has no function {name!r}; its functions: {', '.join(sorted(functions))}")
        self._function = Function(functions[name], Constants(folder), round_float16)
        self._images = {
            feature.name: feature.type.imageType
            for feature in _description(message, function).input
            if feature.type.WhichOneof("Type") == "imageType"
        }
        self.inputs, self.outputs = self._function.inputs, self._function.outputs

    def run(self, features: Features, observe: Observe | None = None) -> dict[str, Tensor]:
        """See ``Stage``; an image is converted to 1 x channels x height x width, as the program expects."""
        inputs = {name: features[name] for name in self.inputs}
        for name, image in self._images.items():
            inputs[name] = _to_program(inputs[name], image.ColorSpace.Name(image.colorSpace))
        return self._function.run(inputs, observe)


def read_package(path: Path) -> tuple[Any, Path]:
    """The Model message of a package, and the folder to which the paths of its weights are relative.

    Raises:
        UserError: the path is not a package, or the package is damaged.
    """
    readers = load_readers()
    if not (path / "Manifest.json").is_file():  # without it, the next line would create a package
        raise UserError(f"{path} is not a Core ML package; export it with mobiledet export --format coreml")
    message = readers.model.Model()
    try:
        file = Path(readers.package(str(path)).getRootModel().path())
        message.ParseFromString(file.read_bytes())
    except (OSError, RuntimeError, DecodeError) as error:
        raise UserError(f"{path} is a damaged Core ML package ({error}); export it again") from error
    return message, file.parent


def _stage_messages(message: Any) -> list[Any]:
    """The models of a pipeline in the order in which they run, or the model itself."""
    if message.WhichOneof("Type") == "pipeline":
        return [stage for model in message.pipeline.models for stage in _stage_messages(model)]
    return [message]


def _stage(message: Any, folder: Path, round_float16: bool, function: str | None) -> Stage:
    kind = message.WhichOneof("Type")
    if kind == "mlProgram":
        return ProgramModel(message, folder, round_float16, function)
    if kind == "nonMaximumSuppression":
        return SuppressionModel(message)
    raise UserError(f"a model of the kind {kind} is unknown to the interpreter; it runs ML Programs")


def _description(message: Any, function: str | None) -> Any:
    """The features of a function; packages with several functions describe each."""
    name = function or message.description.defaultFunctionName
    return next((f for f in message.description.functions if f.name == name), message.description)


def _to_feature(value: Any) -> Tensor:
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else torch.tensor(value)


def _to_program(image: Tensor, colours: str) -> Tensor:
    """Convert an image to the layout of a program: batch of one, channels first, RGB or BGR."""
    if colours.startswith("GRAYSCALE"):
        return image[None, None]
    image = image.flip(-1) if colours == "BGR" else image
    return image.permute(2, 0, 1)[None]
