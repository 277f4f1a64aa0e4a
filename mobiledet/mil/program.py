"""A function of an ML Program, prepared once and run many times."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from mobiledet.errors import UserError
from mobiledet.mil.dtypes import FORMATS, Conform, conform_to
from mobiledet.mil.operations import OPERATIONS
from mobiledet.mil.values import Constant, Constants, declared_shape, type_name

Observe = Callable[[str, Tensor], None]
Scope = dict[str, Any]  # name -> its value


@dataclass(frozen=True)
class Step:
    """An operation, prepared with everything that does not change from run to run.

    Attributes:
        kind: kind of the operation.
        function: its kernel.
        constants: constant arguments.
        variables: other arguments: parameter, names of its values, function that makes the argument from the values.
        blocks: blocks of control flow.
        outputs: names, and conversions to the declared types.
        release: names of values that are not needed afterwards.
    """

    kind: str
    function: Callable[..., Any]
    constants: dict[str, Any]
    variables: tuple[tuple[str, tuple[str, ...], Callable[[list[Any]], Any]], ...]
    blocks: tuple["Block", ...]
    outputs: tuple[tuple[str, Conform], ...]
    release: tuple[str, ...] = ()

    def run(self, scope: Scope, observe: Observe | None = None) -> None:
        """Compute the outputs into the scope, and remove values that are no longer needed.

        Raises:
            UserError: the kernel refuses its arguments, or its result is not of the declared shape.
        """
        arguments = {parameter: adapt([scope[n] for n in names]) for parameter, names, adapt in self.variables}
        if self.blocks:
            arguments["blocks"] = [block.bind(scope) for block in self.blocks]
        try:
            results = self.function(**self.constants, **arguments)
            if isinstance(results, Tensor):
                results = (results,)
            for (name, conform), result in zip(self.outputs, results, strict=True):
                scope[name] = conform(result)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, UserError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"operation {self.kind} ({self.outputs[0][0]}) cannot be run: {reason}") from error
        if observe:
            for name, _ in self.outputs:
                observe(name, scope[name])
        for name in self.release:
            del scope[name]


class Block:
    """A sequence of operations with inputs and outputs: a function's body, or a branch or loop in it.

    Args:
        message: MIL's Block.
        inputs: names of the inputs.
        constants: decoder for constants.
        known: constants of the enclosing blocks.
        round_float16: round the results that are declared as 16-bit floats.

    Raises:
        UserError: an operation, one of its inputs or a type is unknown.
    """

    def __init__(
        self,
        message: Any,
        inputs: Sequence[str],
        constants: Constants,
        known: Mapping[str, Constant],
        round_float16: bool,
    ) -> None:
        self._inputs = tuple(inputs)
        self._outputs = tuple(message.outputs)
        self._constants: Scope = dict(known)
        self._decoder = constants
        self._round_float16 = round_float16
        steps = [step for step in map(self._prepare, message.operations) if step is not None]
        self._steps = _release_early(steps, self._outputs)
        self.used = {name for step in steps for name in _uses(step)} | set(self._outputs)

    def run(
        self, arguments: Iterable[Any], outer: Mapping[str, Any] | None = None, observe: Observe | None = None
    ) -> list[Any]:
        """Run the operations on arguments in the order of the inputs; ``outer`` has the values of the enclosing
        block."""
        scope = {**self._constants, **(outer or {}), **dict(zip(self._inputs, arguments, strict=True))}
        for step in self._steps:
            step.run(scope, observe)
        return [scope[name] for name in self._outputs]

    def bind(self, scope: Scope) -> Callable[..., list[Any]]:
        """The block as a function of its inputs."""
        return lambda *arguments: self.run(arguments, scope)

    def _prepare(self, message: Any) -> Step | None:
        """The step of an operation; None for a constant, or for an operation on constants, which is computed at
        once."""
        if message.type == "const":
            self._constants[message.outputs[0].name] = self._decoder.decode(message.attributes["val"])
            return None
        name = message.outputs[0].name if message.outputs else "no output"
        if message.type not in OPERATIONS:
            raise UserError(f"operation {message.type} ({name}) is unknown to the interpreter")
        function = OPERATIONS[message.type]
        hints = get_type_hints(function)  # of the parameters, by name
        constants: dict[str, Any] = {}
        variables = []
        for parameter, names in self._bindings(message).items():
            if parameter not in hints:
                raise UserError(
                    f"operation {message.type} ({name}) has an input {parameter} unknown to the interpreter"
                )
            adapt = _adapter(hints[parameter])
            if all(n in self._constants for n in names):
                constants[parameter] = adapt([self._constants[n] for n in names])
            else:
                variables.append((parameter, names, adapt))
        blocks = tuple(
            Block(b, [i.name for i in b.inputs], self._decoder, self._constants, self._round_float16)
            for b in message.blocks
        )
        outputs = tuple((output.name, declared_type(output, self._round_float16)) for output in message.outputs)
        step = Step(message.type, function, constants, tuple(variables), blocks, outputs)
        if variables or blocks:
            return step
        step.run(self._constants)
        return None

    def _bindings(self, message: Any) -> dict[str, tuple[str, ...]]:
        """Names of the values of each input; an immediate value gets a name."""
        result = {}
        for parameter, argument in message.inputs.items():
            names = []
            for index, binding in enumerate(argument.arguments):
                if binding.WhichOneof("binding") == "name":
                    names.append(binding.name)
                else:
                    names.append(f"{message.outputs[0].name}.{parameter}.{index}")
                    self._constants[names[-1]] = self._decoder.decode(binding.value)
            result[parameter] = tuple(names)
        for parameter, value in message.attributes.items():  # compression of iOS 16 stores its data there
            if parameter != "name":
                result[parameter] = (f"{message.outputs[0].name}.{parameter}",)
                self._constants[result[parameter][0]] = self._decoder.decode(value)
        return result


class Function:
    """A function of an ML Program.

    Args:
        message: MIL's Function.
        constants: decoder for its constants.
        round_float16: round the results that are declared as 16-bit floats; else they keep 32 bits.

    Attributes:
        inputs, outputs: names of inputs and outputs.
    """

    def __init__(self, message: Any, constants: Constants, round_float16: bool) -> None:
        body = message.block_specializations[message.opset]
        self._inputs = {i.name: declared_type(i, round_float16) for i in message.inputs}
        self._body = Block(body, list(self._inputs), constants, {}, round_float16)
        self.inputs = tuple(self._inputs)
        self.outputs = tuple(body.outputs)

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, Tensor], observe: Observe | None = None) -> dict[str, Tensor]:
        """Run the function; returns outputs by name.

        Args:
            inputs: inputs by name.
            observe: called with the name and the value of every result.

        Raises:
            UserError: an input is not of the declared shape, or an operation cannot be run.
        """
        arguments = []
        for name, conform in self._inputs.items():
            try:
                arguments.append(conform(inputs[name]))
            except ValueError as error:
                raise UserError(f"input {name} is {tuple(inputs[name].shape)}; it {error}") from error
        return dict(zip(self.outputs, self._body.run(arguments, observe=observe), strict=True))


def declared_type(message: Any, round_float16: bool) -> Conform:
    """The conversion to the type of a NamedValueType message.

    Raises:
        UserError: the type is not a tensor of numbers.
    """
    kind = message.type.WhichOneof("type")
    name = type_name(message.type.tensorType) if kind == "tensorType" else kind
    if name not in FORMATS:
        raise UserError(f"{message.name} is a {name}, which is unknown to the interpreter")
    return conform_to(name, declared_shape(message.type.tensorType), round_float16)


def _adapter(hint: Any) -> Callable[[list[Any]], Any]:
    """A function that makes an argument from the values of an input.

    Tensors are kept if the kernel's type hint asks for them, else they become Python numbers, lists and strings.
    """
    if get_origin(hint) is Sequence and get_args(hint) == (Tensor,):
        return list
    if hint is Tensor or Tensor in get_args(hint):
        return _single
    return _plain


def _single(values: list[Any]) -> Any:
    (value,) = values
    return value


def _plain(values: list[Any]) -> Any:
    plain = [value.tolist() if isinstance(value, Tensor) else value for value in values]
    return plain[0] if len(plain) == 1 else plain


def _uses(step: Step) -> set[str]:
    """Names that a step reads, including those in its blocks."""
    names = {name for _, names, _ in step.variables for name in names}
    return names.union(*(block.used for block in step.blocks))


def _release_early(steps: list[Step], outputs: tuple[str, ...]) -> list[Step]:
    """Let each step release the results that no later step reads."""
    made = {name for step in steps for name, _ in step.outputs}
    needed = set(outputs)
    result = []
    for step in reversed(steps):
        last = ((_uses(step) & made) | {name for name, _ in step.outputs}) - needed
        needed |= last
        result.append(replace(step, release=tuple(last)))
    return result[::-1]
