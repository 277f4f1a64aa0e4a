"""Functions whose keyword arguments are the fields of a config dataclass, so that options are defined only once for the
command line and for Python."""

import ast
import dataclasses
import functools
import inspect
import numbers
import os
import shlex
import textwrap
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from mobiledet.errors import UserError
from mobiledet.options import DetectorOptions, option_words
from mobiledet.records import decode

P = ParamSpec("P")
First = TypeVar("First")
Settings = TypeVar("Settings")
Result = TypeVar("Result")


def takes(
    settings: Callable[P, Settings],
) -> Callable[[Callable[[Settings, Collection[str]], Result]], Callable[P, Result]]:
    """Give a function the fields of a dataclass as arguments.

    Args:
        settings: the dataclass. Its fields, defaults and descriptions become the function's. Callers may pass strings
            for paths, lists for tuples, and a mapping or an instance of ``DetectorOptions`` for NAME=VALUE words.

    Returns:
        a decorator for a function that takes the settings and the names of the arguments that were passed.
    """
    return functools.partial(_with_arguments, settings, lambda checked, given: (checked, tuple(given)))


def takes_after(
    settings: Callable[Concatenate[Any, P], Settings],
) -> Callable[[Callable[[First, Settings], Result]], Callable[Concatenate[First, P], Result]]:
    """Like ``takes`` for a function whose first argument may be an object with a ``path``, such as an opened bundle,
    instead of the path itself. The decorated function takes that argument and the settings."""
    return functools.partial(_with_arguments, settings, lambda checked, given: (next(iter(given.values())), checked))


def narrowed(settings: Any, kind: type[Settings]) -> Settings:
    """An instance of the base class ``kind`` with the values of an instance of a subclass."""
    return kind(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(kind)})  # type: ignore[arg-type]


def _with_arguments(
    settings: Any, arranged: Callable[[Any, Mapping[str, Any]], tuple[Any, Any]], function: Callable[[Any, Any], Any]
) -> Callable[..., Any]:
    own, fields = inspect.get_annotations(function), get_type_hints(settings)
    signature = inspect.Signature(
        [
            parameter.replace(annotation=own.get(name, fields[name]))
            for name, parameter in inspect.signature(settings).parameters.items()
        ],
        return_annotation=own.get("return"),
    )

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{function.__name__}(): {error}") from None
        return function(*arranged(_checked(settings, given), given))

    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nArguments:\n{_described(settings)}"
    return call


def _checked(settings: Any, given: Mapping[str, Any]) -> Any:
    """Build the settings from the arguments that were passed.

    Raises:
        UserError: an argument has the wrong type or is not an allowed value.
    """
    try:
        return decode(settings, {name: _plain(value) for name, value in given.items()}, filled=(settings,))
    except ValueError as error:
        raise UserError(str(error)) from error


def _plain(value: Any) -> Any:
    """The value as JSON would represent it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(getattr(value, "path", None), Path):  # such as an opened bundle
        return str(value.path)
    if isinstance(value, DetectorOptions):
        return list(value.words)
    if isinstance(value, Mapping):  # options, which the command line takes as words
        return list(option_words(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):  # also those of NumPy
        return int(value)
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else value


def option_text(name: str, value: object) -> str:
    """A field as an option of the command line, quoted for a shell.

    Args:
        name: name of the field.
        value: its value; a tuple becomes several arguments.
    """
    words = value if isinstance(value, tuple) else (value,)
    return f"--{name.replace('_', '-')} {shlex.join(map(str, words))}"


def texts_of(settings: Any) -> dict[str, str]:
    """The description below each field of a dataclass, as one line; empty if the source code is not available."""
    texts: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        if dataclasses.is_dataclass(kind):
            texts.update(_texts(kind))
    return {name: " ".join(text.split()) for name, text in texts.items()}


def _described(settings: Any) -> str:
    texts = texts_of(settings)
    paragraphs = [f"{name}: {texts.get(name, '')}" for name in inspect.signature(settings).parameters]
    indented = (textwrap.fill(text, 116, initial_indent="    ", subsequent_indent="        ") for text in paragraphs)
    return "\n".join(indented)


def _texts(kind: Any) -> dict[str, str]:
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except OSError:  # the source code is not available
        return {}
    assert isinstance(tree, ast.ClassDef)
    texts = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            texts[field.target.id] = str(below.value.value)  # type: ignore[attr-defined]
    return texts
