"""What is written to memory between the stages of a scheme depends on the device.

A CPU is fastest when every stage is computed once and stored, a GPU when nothing is
stored.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from physcon._typing import PyTree


def fuses() -> bool:
    """Whether this process computes on a GPU, bound by what it writes to memory."""
    return jax.default_backend() == "gpu"


def materialised(tree: PyTree) -> PyTree:
    """The arrays, written to memory before anything reads them (XLA's GPU and TPU
    backends).
    """
    return jax.lax.optimization_barrier(tree)


def separately(fn: Callable[..., Any], *args: Any) -> Any:
    """``fn(*args)``, on a CPU written to memory before anything reads it.

    XLA's CPU backend fuses a chain of stencils and stacked channels into its last
    consumer, and then evaluates the chain once per neighbour and channel that the
    consumer reads: two to three times slower for the Euler equations in two dimensions.
    A conditional is a border that no fusion crosses; `optimization_barrier` alone is
    none, but it hides that this condition always holds. Outside of a trace there is no
    fusion, and nothing is done.
    """
    if jax.default_backend() != "cpu" or not any(
        isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)
    ):
        return fn(*args)
    always = jax.lax.optimization_barrier(jnp.ones((), bool))

    def compute(*args: Any) -> Any:
        return fn(*args)

    def nothing(*args: Any) -> Any:
        shapes = jax.eval_shape(compute, *args)
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    return jax.lax.cond(always, compute, nothing, *args)
