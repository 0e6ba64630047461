"""Errors of wrong arguments, in the terms of the caller.

The functions of a public package are wrapped: if a call fails in an unplanned way, its
arguments are compared with the annotations, and the first that does not fit is named.
A call that succeeds costs nothing more, and nothing is refused that used to work.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import fields
from functools import lru_cache, wraps
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from jaxtyping import AbstractArray, Shaped, jaxtyped

_UNPLANNED = (AttributeError, TypeError, IndexError, KeyError, ValueError)
_ARRAY_LIKE = "ArrayLike"
_INNER: dict[Callable[..., Any], Callable[..., Any]] = {}


def name_wrong_arguments(namespace: MutableMapping[str, Any]) -> None:
    """Let the functions in ``__all__`` of a package name wrong arguments.

    To be called at the end of the package's ``__init__``. The functions are then
    pickled by their public names.
    """
    for name in namespace["__all__"]:
        if inspect.isfunction(namespace.get(name)):
            namespace[name] = public(namespace[name], namespace["__name__"])


def public(fn: Callable[..., Any], package: str) -> Callable[..., Any]:
    """Return `fn` of a public package, which names wrong arguments when it fails."""
    found = naming(fn)
    found.__module__ = package
    found.__qualname__ = fn.__name__
    return found


def check_fields(module: Any) -> None:
    """Raise ValueError for a field that is text, None or a number in place of a part.

    For the ``__check_init__`` of a class, whose fields are not looked at before they
    are used. Tracers and abstract values pass.
    """
    hints = _field_hints(type(module))
    for name, hint in hints.items():
        value = getattr(module, name, None)
        several = get_origin(hint) is tuple and isinstance(value, tuple)
        each = get_args(hint)[0] if several and get_args(hint) else hint
        for one in tuple(value or ()) if several else (value,):
            plain = isinstance(one, str | int | float | None)
            number = plain and not isinstance(one, str | None)
            wanted = _mismatch(each, one) if plain else None
            if wanted is not None and not (number and _takes_arrays(each)):
                raise _error(name, wanted, one)


@lru_cache
def _field_hints(kind: type) -> dict[str, Any]:
    try:
        hints = get_type_hints(kind)
    except (NameError, TypeError, AttributeError):  # names for type checkers only
        return {}
    return {f.name: hints[f.name] for f in fields(kind) if f.init}


@lru_cache
def naming(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fn`, which names wrong arguments when it fails."""

    @wraps(fn)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return fn(*args, **options)
        except _UNPLANNED as error:
            if isinstance(error, ValueError) and str(error).startswith("expected"):
                raise
            planned = _sentence(fn, args, options)
            if planned is None:
                raise
            raise planned from None

    _INNER[call] = fn
    return call


def inner(fn: Any) -> Any:
    """Return the function inside of `naming`, by which the package knows it."""
    return _INNER.get(fn, fn) if inspect.isfunction(fn) else fn


def _sentence(
    fn: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]
) -> Exception | None:
    """The error that names the first wrong argument of a call, or None."""
    signature = inspect.signature(fn)
    try:
        given = signature.bind(*args, **options).arguments
    except TypeError as error:
        return _misspelt(fn.__name__, [*signature.parameters], options, str(error))
    hints = _hints(fn)
    parameters = signature.parameters
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [n for n in given if n in hints and parameters[n].kind in plain]
    for name in known:
        wanted = _mismatch(hints[name], given[name])
        if wanted is not None:
            return _error(name, wanted, given[name])
    return _other_shape({n: (hints[n], given[n]) for n in known})


def _misspelt(
    name: str, names: list[str], options: Mapping[str, Any], text: str
) -> Exception | None:
    """The error of an unknown keyword, with the name that was probably meant."""
    wrong = [key for key in options if key not in names]
    close = difflib.get_close_matches(wrong[0], names, 1) if wrong else []
    return TypeError(f"{name}() {text}; did you mean {close[0]!r}?") if close else None


def _error(name: str, wanted: str, value: object) -> ValueError:
    got = repr(value) if value is None or isinstance(value, str) else _article(value)
    remedy = "look at the order of the arguments"
    return ValueError(f"expected {name}: {wanted}, got {got}; {remedy}")


def _article(value: object) -> str:
    name = "array" if _is_array(value) else type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.unwrap(fn))
    except (NameError, TypeError, AttributeError):  # names for type checkers only
        return {k: v for k, v in fn.__annotations__.items() if not isinstance(v, str)}


def _mismatch(hint: Any, value: object) -> str | None:
    """What an argument should have been, if it is certainly something else."""
    if get_origin(hint) in (Union, UnionType):
        several = [_mismatch(one, value) or "" for one in get_args(hint)]
        return None if "" in several else " or ".join(dict.fromkeys(several))
    if hint is None or hint is type(None):
        return None if value is None else "None"
    if get_origin(hint) is Literal:
        names = ", ".join(map(repr, get_args(hint)))
        return None if value in get_args(hint) else f"one of {names}"
    if isinstance(hint, type) and hint.__name__ == _ARRAY_LIKE:
        return None if _is_numbers(value) else "a number or an array"
    if _is_array_hint(hint):
        return None if _is_array(value) else "an array"
    if get_origin(hint) is not None:
        return _mismatch(get_origin(hint), value)
    if hint is Callable or getattr(hint, "__name__", "") == "Callable":
        return None if callable(value) else "a function"
    if hint is float:
        return None if _is_numbers(value) else "a number"
    if not isinstance(hint, type) or hint in (object, type, Any):
        return None
    if getattr(hint, "_is_protocol", False) or isinstance(value, hint):
        return None
    if hint in (int, bool) and _is_numbers(value):
        return None
    return _kind(hint)


def _kind(hint: type) -> str:
    words = {int: "an integer", bool: "True or False", str: "text"}
    return words.get(hint, f"a {hint.__name__}")


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_numbers(value: object) -> bool:
    return isinstance(value, int | float | complex | np.number) or _is_array(value)


def _takes_arrays(hint: Any) -> bool:
    return any(map(_is_array_hint, (hint, *get_args(hint))))


def _is_array_hint(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


def _other_shape(given: Mapping[str, tuple[Any, Any]]) -> ValueError | None:
    """The error of the first array whose shape does not fit, of any type.

    Args:
        given: annotation and value of each argument, by name.
    """
    arrays = {
        name: (hint.dim_str, x)
        for name, (hint, x) in given.items()
        if _is_array_hint(hint) and _is_array(x)
    }
    with jaxtyped("context"):  # a letter means one length in all arguments
        for name, (letters, x) in arrays.items():
            kind: Any = Shaped[type(x), letters]
            try:
                fits = isinstance(x, kind)
            except (NameError, AttributeError):  # a length that nothing has stated yet
                continue
            if not fits:
                shape = ", ".join(letters.split())
                got = f"{tuple(np.shape(x))}; reshape it, or batch with jax.vmap"
                return ValueError(f"expected {name} of shape ({shape}), got {got}")
    return None
