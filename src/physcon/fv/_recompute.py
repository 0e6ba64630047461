"""What the reverse pass of a run keeps of each step, and what it computes again.

Of a step it keeps the state and the tendencies of the stages. Everything else is
computed again, one tendency at a time: a step holds the intermediate results of a
tendency only while it differentiates that tendency.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

import equinox as eqx
import jax
from jax.ad_checkpoint import checkpoint_name

from physcon._typing import Array, Scalar
from physcon.fv._stage import having, resolved, separately

F = TypeVar("F", bound=Callable[..., Any])

_TENDENCY = "physcon.fv.tendency"
#: Whether the tendencies of a step are computed again, see `recomputed`.
_keeping: ContextVar[bool] = ContextVar("keeping", default=False)


def keeping_tendencies(step: F) -> F:
    """Decorator for a step whose reverse pass keeps its state and its tendencies."""
    policy = jax.checkpoint_policies.save_only_these_names(_TENDENCY)

    @wraps(step)
    def call(*args: Any) -> Any:
        with having(_keeping, True):
            return step(*args)

    kept = jax.checkpoint(call, policy=policy, prevent_cse=False)
    return kept  # type: ignore[return-value]


def keeps_tendencies() -> bool:
    """Whether a step is traced whose reverse pass keeps its tendencies."""
    return _keeping.get()


def recomputed(tendency: F) -> F:
    """Decorator: a tendency ``problem(u, t)`` that a reverse pass computes again."""

    @wraps(tendency)
    def call(problem: Any, u: Array, t: Scalar) -> Array:
        if not _keeping.get():
            return tendency(problem, u, t)
        arrays, rest = eqx.partition((problem, u, t), eqx.is_array)

        @jax.checkpoint
        def again(arrays: Any) -> Array:
            return tendency(*eqx.combine(arrays, rest)).astype(u.dtype)

        if resolved(problem.scheme.evaluate) != "staged":
            return checkpoint_name(again(arrays), _TENDENCY)
        # In a computation of its own, so that no schedule computes all stages first.
        return checkpoint_name(separately(again, arrays, u), _TENDENCY)

    return call  # type: ignore[return-value]
