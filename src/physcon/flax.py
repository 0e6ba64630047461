"""Equinox modules in Flax, and Flax models in physcon.

    NNX(module)               a `flax.nnx.Module` of one `nnx.Param` per array
    Linen(make)               a `flax.linen.Module` of one `self.param` per array
    FromNNX(model)            a Flax NNX model as an Equinox module
    FromLinen(model, vars)    a Flax Linen model as an Equinox module

Parameters are named by their path in the Equinox module: ``blocks.0.skip.weight``.
Arrays that are not trained (integers, PRNG keys, and those that `frozen` names) are
kept apart from the parameters. Everything that is not an array is static.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._extras import needs
from physcon._typing import Array, PRNGKeyArray, PyTree

with needs("flax"):
    from flax import linen, nnx


class Constant(nnx.Variable):
    """An array of a module that is not trained."""


class NNX(nnx.Module):
    """An Equinox module as a Flax NNX module, for `nnx.Optimizer`, `split` and `merge`.

    ``NNX(module)(*args) == module(*args)``; ``parameters["blocks.0.skip.weight"]`` is
    an `nnx.Param`. Two modules of the same structure share one compilation.

    Args:
        frozen: names, or beginnings of names (``"inputs"``), of arrays that are not
            trained.
    """

    def __init__(self, module: PyTree, frozen: tuple[str, ...] = ()):
        parameters, constants, self.skeleton = _take_apart(module, frozen)
        self.parameters = nnx.Dict(
            {name: nnx.Param(x) for name, x in parameters.items()}
        )
        self.constants = nnx.Dict({name: Constant(x) for name, x in constants.items()})

    def module(self) -> PyTree:
        """The Equinox module with the current parameters."""
        variables = {**self.parameters, **self.constants}
        return self.skeleton.put_together(
            {name: v.get_value() for name, v in variables.items()}
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the Equinox module."""
        return self.module()(*args, **kwargs)


class Linen(linen.Module):
    """An Equinox module as a Flax Linen module: ``Linen(make).apply(variables, ...)``.

    Attributes:
        make: a function from a PRNG key to the module, such as
            ``lambda key: FNO.init(key, 2, 1, modes=(16,))``; ``init(key, *args)`` calls
            it. To start from a trained module, pass ``lambda key: trained``.
        frozen: as for `NNX`. These arrays are in the collection "constants".
    """

    make: Callable[[PRNGKeyArray], Any]
    frozen: tuple[str, ...] = ()

    @linen.compact
    def module(self) -> PyTree:
        """The Equinox module: ``apply(variables, method="module")``."""
        key = jax.eval_shape(lambda: jax.random.key(0))
        shapes = eqx.filter_eval_shape(self.make, key)
        parameters, constants, skeleton = _take_apart(shapes, self.frozen)
        if self.is_initializing():
            parameters, constants, _ = _take_apart(
                self.make(self.make_rng("params")), self.frozen
            )
        arrays = {n: self.param(n, _given, x) for n, x in parameters.items()}
        for n, x in constants.items():
            arrays[n] = self.variable("constants", n, _given, None, x).value
        return skeleton.put_together(arrays)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the Equinox module."""
        return self.module()(*args, **kwargs)


class FromNNX(eqx.Module):
    """A Flax NNX model as an Equinox module, with its arrays as leaves.

    For `physcon.training.fit`, `condition` pipelines and `physcon.export`. It is pure:
    changes that a call makes in the model (running means, counters of random streams)
    are discarded, so switch dropout and batch statistics off by ``model.eval()`` first.
    """

    state: Any
    graphdef: Any = eqx.field(static=True)

    def __init__(self, model: Any):
        require(
            isinstance(model, nnx.Module),
            "a flax.nnx.Module",
            type(model).__name__,
            "pass a Linen model to FromLinen(model, variables)",
        )
        self.graphdef, self.state = nnx.split(model)

    def model(self) -> Any:
        """The Flax model with the current arrays."""
        return nnx.merge(self.graphdef, self.state)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the Flax model."""
        return self.model()(*args, **kwargs)


class FromLinen(eqx.Module):
    """A Flax Linen model with its variables as an Equinox module."""

    variables: Mapping[str, Any]
    flax: Any = eqx.field(static=True)

    def __init__(self, model: Any, variables: Mapping[str, Any]):
        require(
            isinstance(model, linen.Module),
            "a flax.linen.Module",
            type(model).__name__,
            "pass an NNX model to FromNNX(model)",
        )
        self.flax = model
        self.variables = variables

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the Flax model."""
        return self.flax.apply(self.variables, *args, **kwargs)


class _Skeleton(NamedTuple):
    """A module without its arrays. Hashable: part of what Flax compiles for."""

    treedef: Any
    names: tuple[str, ...]
    static: tuple[Hashable, ...]

    def put_together(self, arrays: Mapping[str, Array]) -> PyTree:
        leaves = [
            arrays.get(n, s) for n, s in zip(self.names, self.static, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, leaves)


def _take_apart(
    module: PyTree, frozen: tuple[str, ...]
) -> tuple[dict, dict, _Skeleton]:
    """Trained arrays, other arrays, and the rest of a module.

    Arrays may be given by their `jax.ShapeDtypeStruct`.
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(module)
    leaves = {
        jax.tree_util.keystr(p, simple=True, separator="."): leaf for p, leaf in paths
    }
    arrays = {
        n: x for n, x in leaves.items() if hasattr(x, "dtype") and hasattr(x, "shape")
    }
    for start in frozen:
        known = any(_below(n, start) for n in arrays)
        require(
            known,
            "names of arrays in frozen",
            start,
            f"choose from {', '.join(arrays)}",
        )
    trained = {
        n: x
        for n, x in arrays.items()
        if jnp.issubdtype(x.dtype, jnp.inexact)
        and not any(_below(n, s) for s in frozen)
    }
    constants = {n: x for n, x in arrays.items() if n not in trained}
    static = tuple(None if n in arrays else leaf for n, leaf in leaves.items())
    return trained, constants, _Skeleton(treedef, tuple(leaves), static)


def _below(name: str, start: str) -> bool:
    return name == start or name.startswith(start + ".")


def _given(key: PRNGKeyArray | None, x: Any) -> Array:
    """`x`, or zeros where only its shape is known (Flax then uses only the shape)."""
    return (
        jnp.zeros(x.shape, x.dtype)
        if isinstance(x, jax.ShapeDtypeStruct)
        else jnp.asarray(x)
    )
