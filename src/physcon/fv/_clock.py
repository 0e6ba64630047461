"""The times of a solve, as a clock that starts at zero.

Times are counted from the start, in float64 where they are known, so that a run may
start at 1.7e9 s and end a quarter of a second later in float32.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar


class Clock(NamedTuple):
    """When to save, in the dtype of the state.

    Attributes:
        times: the saved times, ``(k,)``.
        start: the initial time.
        since: times - start.
    """

    times: Float[Array, " k"]
    start: Scalar
    since: Float[Array, " k"]

    def is_ordered(self) -> Bool[Array, ""]:
        """Whether the times are finite and increase from the start.

        A first time that equals a start other than zero counts as rounded.
        """
        finite = jnp.isfinite(self.start) & jnp.all(jnp.isfinite(self.since))
        increasing = jnp.all(self.since[1:] > self.since[:-1])
        first = self.since[0]
        after_start = (first > 0) | ((first == 0) & (self.start == 0))
        return finite & increasing & after_start


def clock(
    times: ArrayLike | Sequence[ArrayLike], start: ArrayLike, dtype: Any
) -> Clock:
    """The clock of a run.

    Raises:
        ValueError: times that are known not to be finite and to increase from the
            start, before or after rounding to `dtype`.
    """
    require(np.ndim(start) == 0, "one start", np.shape(start), "pass one number")
    known = not any(is_traced(x) for x in jax.tree.leaves((times, start)))
    if not known:
        rounded = jnp.asarray(times, dtype)
        start = jnp.asarray(start, dtype)
        _require_row(rounded)
        return Clock(rounded, start, rounded - start)
    exact = np.asarray(times, np.float64)
    origin = np.float64(np.asarray(start))
    _require_row(exact)
    finite = bool(np.isfinite(exact).all() and np.isfinite(origin))
    require(finite, "finite times", f"{exact} from {origin}", "give an end to the run")
    since = exact - origin
    ordered = bool((np.diff(since) > 0).all())
    require(ordered, "increasing times", exact, "sort them and drop repeated ones")
    require(
        bool(since[0] >= 0),
        f"times after the start, {origin}",
        exact,
        "pass an earlier start",
    )
    rounded = since.astype(dtype)
    apart = bool((np.diff(rounded) > 0).all())
    after_start = bool((rounded[0] > 0) == (since[0] > 0))
    require(
        apart and after_start,
        f"times that differ in {np.dtype(dtype).name}",
        exact,
        "solve in float64, or pass a start close to the times",
    )
    as_given = jnp.asarray(exact, dtype)
    return Clock(as_given, jnp.asarray(origin, dtype), jnp.asarray(rounded))


def _require_row(times: Any) -> None:
    require(
        times.ndim == 1 and times.shape[0] > 0,
        "a 1-D array of times",
        f"shape {times.shape}",
        "pass e.g. times=[t_end]",
    )
