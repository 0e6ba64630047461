"""Arrays by name, with named dimensions that are known when the fixer is built."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array

Dims = Mapping[str, tuple[str, ...]]


def axes_of(dims: Sequence[str], to: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the order of an array's axes, and where axes of length 1 are missing."""
    order = [list(dims).index(d) for d in to if d in dims]
    missing = [k for k, d in enumerate(to) if d not in dims]
    return order, missing


def aligned(x: Any, dims: Sequence[str], to: Sequence[str]) -> Any:
    """Return an array that broadcasts against one with the dimensions `to`."""
    order, missing = axes_of(dims, to)
    if isinstance(x, np.ndarray):
        return np.expand_dims(np.transpose(x, order), tuple(missing))
    return jnp.expand_dims(jnp.transpose(x, order), tuple(missing))


class Named:
    """The arrays of a step by name: forcings first, then the state, then the template.

    Args:
        dims: dimensions of each variable.
        shapes: shape of each variable.
        sources: dictionaries of arrays, in the order in which they are searched.
    """

    def __init__(
        self, dims: Dims, shapes: Mapping[str, tuple[int, ...]], *sources: Mapping
    ) -> None:
        self._dims = dims
        self._shapes = shapes
        self._sources = sources

    def __call__(self, name: str) -> Array:
        """Return a variable, with the shape that it has in the template."""
        for source in self._sources:
            if name in source:
                found = jnp.asarray(source[name])
                require(
                    found.shape == self._shapes[name],
                    f"{name!r} of shape {self._shapes[name]} {self._dims[name]}",
                    found.shape,
                    "pass one state, and use jax.vmap for several",
                )
                return found
        raise ValueError(
            f"expected {name!r} in the state or in the forcings, got "
            f"{sorted({str(k) for s in self._sources for k in s})}; add it"
        )

    def along(self, name: str, to: Sequence[str]) -> Array:
        """Return a variable that broadcasts against the dimensions `to`."""
        return aligned(self(name), self._dims[name], to)


def static_arrays(data: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the variables of a template as arrays in float64."""
    return {n: np.asarray(data[n].values, np.float64) for n in names}


def as_dtype(tree: Any, dtype: Any) -> Any:
    """Return a pytree with its floating-point arrays in one dtype."""

    def convert(x: Any) -> Any:
        array = isinstance(x, np.ndarray | jax.Array)
        if array and np.issubdtype(x.dtype, np.floating):
            return jnp.asarray(x, dtype)
        return x

    return jax.tree.map(convert, tree)
