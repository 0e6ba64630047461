"""Which intermediate results a compiled program writes to memory.

A CPU is fastest when each stage of a scheme is computed once and stored. A GPU is
fastest when nothing is stored. `Scheme.evaluate` makes the choice, and `stage` marks
the functions whose results are stored.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import is_traced
from physcon._typing import Array

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

#: How a tendency is evaluated. ``"staged"``: whole arrays, each stage stored, best on a
#: CPU. ``"fused"``: whole arrays, left to the compiler. ``"cells"``: each cell from its
#: own stencil in one kernel, best on a GPU. ``"auto"``: by the default backend.
Evaluate = Literal["auto", "staged", "fused", "cells"]

_stored: ContextVar[bool] = ContextVar("stored", default=False)


def resolved(evaluate: Evaluate) -> Evaluate:
    """The choice that ``"auto"`` makes; any other choice as it is."""
    if evaluate != "auto":
        return evaluate
    choices: dict[str, Evaluate] = {"cpu": "staged", "gpu": "cells"}
    return choices.get(jax.default_backend(), "fused")


@contextmanager
def storing_stages(stored: bool) -> Iterator[None]:
    """Within this context the result of every `stage` is stored, or none is."""
    with having(_stored, stored):
        yield


@contextmanager
def having(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Give a context variable a value within this context."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def stage(fn: F) -> F:
    """Decorator: the function's result is written to memory before anything reads it.

    XLA's CPU backend fuses a chain of stencils and stacked channels into its last
    consumer, and then evaluates the chain once per neighbour and channel that the
    consumer reads: two to three times slower for the Euler equations in two dimensions.
    No fusion crosses a conditional, and `optimization_barrier` hides that this
    condition always holds. Outside of a trace there is no fusion to prevent.
    """

    @wraps(fn)
    def call(*args: Any) -> Any:
        traced, rest = eqx.partition(args, is_traced)
        if not _stored.get() or not jax.tree.leaves(traced):
            return fn(*args)

        # A reverse pass keeps the arguments of a stage and computes the rest again when
        # it needs it: what it would keep is copied out of the conditional.
        @partial(jax.checkpoint, prevent_cse=False)
        def compute(traced: Any) -> Any:
            return fn(*eqx.combine(traced, rest))

        return separately(compute, traced, jax.eval_shape(compute, traced))

    return call  # type: ignore[return-value]


def arranged(x: Array) -> Array:
    """An array that a stage writes in its own order of entries, if stages are stored.

    XLA leaves a transposed array where it is, and every reader takes long strides or
    copies it. Behind a barrier an array with one axis has one order only.
    """
    return jax.lax.optimization_barrier(x) if _stored.get() else x


def separately(compute: Callable[[Any], Any], given: Any, shapes: Any) -> Any:
    """``compute(given)``, a tree of `shapes`, in a computation of its own."""

    def unreachable(_: Any) -> Any:
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    always = jax.lax.optimization_barrier(jnp.ones((), bool))
    return jax.lax.cond(always, compute, unreachable, given)
