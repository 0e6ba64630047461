"""Decide from its program whether a function of a field acts point by point.

Only such a function may be applied to the block of one device, or to a single cell. The
shape of the whole field must survive every operation. Slices, sums, shifts and scans
along space either change the shape or are listed here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from physcon._checks import require
from physcon._typing import Shape

#: Parts of the names of operations that mix or distinguish the points of an axis.
_MIXING = (
    "cum",
    "sort",
    "rev",
    "fft",
    "conv_general",
    "reduce_window",
    "_solve",
    "random_bits",
)


def check_pointwise(what: str, fn: Callable[..., Any], u: Any, *rest: Any) -> None:
    """Raise ValueError if the program of ``fn(u, *rest)`` mixes points of a field.

    Args:
        what: the name of the function in the message.
        u, rest: arrays, or their shapes and dtypes.
    """
    space = u.shape[1:]
    try:
        program = jax.make_jaxpr(fn)(u, *rest)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"expected {what} that acts on the block {u.shape} of a divided grid, got "
            f"{type(error).__name__}: {error}; if it holds arrays over the grid, make "
            "it a module with a method on_block(cut) that cuts them"
        ) from error
    mixing = next(_mixing(program.jaxpr, space), None)
    require(
        mixing is None,
        f"{what} that acts point by point, where the grid is divided",
        f"`{mixing}` along space",
        "if it acts point by point all the same, give it a method on_block(cut) "
        "that returns it",
    )


def is_pointwise(fn: Callable[..., Any], u: Any, *rest: Any) -> bool:
    """Whether the program of ``fn(u, *rest)`` does not mix the points of a field.

    A function that holds arrays of another shape than the field's is not pointwise.
    """
    try:
        program = jax.make_jaxpr(fn)(u, *rest)
    except (TypeError, ValueError):
        return False
    return next(_mixing(program.jaxpr, u.shape[1:]), None) is None


def _mixing(jaxpr: Any, space: Shape) -> Iterator[str]:
    """The names of the operations that mix points."""
    for equation in _equations(jaxpr):
        if not _keeps(equation, space):
            yield equation.primitive.name


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Iterate over all equations, including the equations of called programs."""
    for equation in jaxpr.eqns:
        leaves = jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns"))
        inner = [getattr(x, "jaxpr", x) for x in leaves]
        inner = [x for x in inner if hasattr(x, "eqns")]
        if not inner or "scatter" in equation.primitive.name:
            yield equation
        for program in inner:
            yield from _equations(program)


def _keeps(equation: Any, space: Shape) -> bool:
    """Whether each point of a result depends only on the same point of the inputs."""
    name = equation.primitive.name
    params = equation.params
    shapes = [
        getattr(x.aval, "shape", ()) for x in (*equation.invars, *equation.outvars)
    ]
    inputs = shapes[: len(equation.invars)]
    outputs = shapes[len(equation.invars) :]
    if name == "iota" or (
        name == "concatenate" and not any(_contains(s, space) for s in inputs)
    ):
        # Coordinates computed from u.shape would be the coordinates of the block.
        return outputs[0][params["dimension"]] not in space
    if not any(_contains(shape, space) for shape in shapes):
        return True  # no field is involved
    if any(part in name for part in _MIXING):
        # Along the channels is allowed, if these can be told from the points.
        along = params.get("dimension", params.get("axis"))
        return along is not None and inputs[0][along] not in space
    if name == "dot_general":
        summed, _ = params["dimension_numbers"]
        free = [
            tuple(n for k, n in enumerate(shape) if k not in axes)
            for shape, axes in zip(inputs, summed, strict=True)
        ]
        pairs = zip(inputs, free, strict=True)
        return all(_contains(f, space) for s, f in pairs if _contains(s, space))
    if name == "gather":
        return _contains(params["slice_sizes"], space)
    if "scatter" in name:
        return _contains(inputs[2], space)
    if name == "dynamic_update_slice":
        return _contains(inputs[1], space)
    read = any(_contains(shape, space) for shape in inputs)
    return not read or all(_contains(shape, space) for shape in outputs)


def _contains(shape: Shape, space: Shape) -> bool:
    """Whether an array has the axes of space among its axes, in their order."""
    axes = iter(shape)
    return all(n in axes for n in space)
