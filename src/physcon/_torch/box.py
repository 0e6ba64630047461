"""Containers of tensors that `torch.compile` takes apart and puts together again.

PyTorch knows a few containers. A box also holds containers of JAX and Equinox, as one
container of PyTorch. All of this is traced by PyTorch, hence in plain Python.
"""
# Where PyTorch is absent, a static checker takes `import torch` for this file.
# pyright: reportAttributeAccessIssue=false

import dataclasses
from typing import Any

import equinox as eqx

from physcon._extras import needs

with needs("torch"):
    import torch
    from torch.utils import _pytree as torch_tree

_PLAIN = (bool, int, float, complex, str, type(None))


class _Kinds:
    """Has each class of containers as an attribute, which PyTorch can name in code."""


_kinds = _Kinds()


class Box:
    """Holds values in nested containers; see `boxed`."""

    values: Any


def boxed(values: Any) -> Box:
    """Return values in a box."""
    box = Box()
    box.values = values
    return box


def can_be_boxed(values: Any) -> bool:
    """Whether values are tensors, numbers and text in containers that a box takes."""
    if isinstance(values, (torch.Tensor, *_PLAIN)):
        return True
    if isinstance(values, dict):
        return all([can_be_boxed(x) for x in values.values()])
    if isinstance(values, list | tuple):
        return all([can_be_boxed(x) for x in values])
    if isinstance(values, eqx.Module):
        moving, _ = _names(type(values))
        return all([can_be_boxed(getattr(values, n)) for n in moving])
    return False


def _taken_apart(values: Any, leaves: list) -> tuple:
    """Append all tensors to a list, and return how to put them together."""
    if isinstance(values, torch.Tensor):
        leaves.append(values)
        return ("tensor",)
    if isinstance(values, dict):
        parts = [_taken_apart(x, leaves) for x in values.values()]
        return ("dict", tuple(values.keys()), tuple(parts))
    if isinstance(values, list | tuple):
        parts = [_taken_apart(x, leaves) for x in values]
        return ("sequence", _known(type(values)), tuple(parts))
    if isinstance(values, eqx.Module):
        moving, still = _names(type(values))
        parts = [_taken_apart(getattr(values, n), leaves) for n in moving]
        constants = tuple([(n, _constant(getattr(values, n))) for n in still])
        kind = _known(type(values))
        return ("module", kind, tuple(parts), tuple(moving), constants)
    return ("constant", values)


def _together(leaves: list, how: tuple) -> Any:
    """Take tensors from the front of a list, and put them together."""
    kind = how[0]
    if kind == "tensor":
        return leaves.pop(0)
    if kind == "constant":
        return how[1]
    parts = [_together(leaves, each) for each in how[2]]
    if kind == "dict":
        return {key: value for key, value in zip(how[1], parts, strict=True)}
    if kind == "sequence":
        cls = getattr(_kinds, how[1])
        return cls(*parts) if hasattr(cls, "_fields") else cls(parts)
    module = object.__new__(getattr(_kinds, how[1]))
    for name, value in zip(how[3], parts, strict=True):
        object.__setattr__(module, name, value)
    for name, (kind, value) in how[4]:
        constant = getattr(_kinds, value) if kind == "class" else value
        object.__setattr__(module, name, constant)
    return module


def _constant(value: Any) -> tuple[str, Any]:
    """Return a static field of a module, a class by its name."""
    return ("class", _known(value)) if isinstance(value, type) else ("value", value)


@torch._dynamo.assume_constant_result
def _known(kind: type) -> str:
    """Return the name of a class by which `_kinds` has it."""
    name = f"{kind.__name__}_{id(kind)}"
    setattr(_kinds, name, kind)
    return name


@torch._dynamo.assume_constant_result
def _names(module: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the fields of a module that are parts of it, and others."""
    fields = dataclasses.fields(module)  # type: ignore[arg-type]
    still = tuple(f.name for f in fields if f.metadata.get("static", False))
    return tuple(f.name for f in fields if f.name not in still), still


def _flatten(box: Box) -> tuple[list, tuple]:
    leaves: list = []
    how = _taken_apart(box.values, leaves)
    return leaves, how


def _unflatten(leaves: Any, how: tuple) -> Box:
    return boxed(_together(list(leaves), how))


torch_tree.register_pytree_node(
    Box, _flatten, _unflatten, serialized_type_name="physcon.Box"
)
