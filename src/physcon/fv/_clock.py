"""The times of a solve, as a clock that starts at zero in every interval.

Time is counted from the last saved time. The lengths of the intervals are computed in
float64 where the times are known, so that a run may start at 1.7e9 s and end a quarter
of a second later in float32. A run that is continued from a saved time takes the same
steps as one that is not interrupted.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require, require_numbers
from physcon._typing import Array, ArrayLike, Bool, Float, Scalar


class Clock(NamedTuple):
    """When to save, in the dtype of the state.

    Attributes:
        times: the saved times, ``(k,)``.
        start: the initial time.
        lengths: of the intervals between the saved times, from the start on.
    """

    times: Float[Array, " k"]
    start: Scalar
    lengths: Float[Array, " k"]

    def is_ordered(self) -> Bool[Array, ""]:
        """Whether the times are finite and increase from the start.

        A first time that equals a start other than zero counts as rounded.
        """
        finite = jnp.isfinite(self.start) & jnp.all(jnp.isfinite(self.lengths))
        increasing = jnp.all(self.lengths[1:] > 0)
        first = self.lengths[0]
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
    require_numbers(times, "times")
    require(np.ndim(start) == 0, "one start", np.shape(start), "pass one number")
    known = not any(is_traced(x) for x in jax.tree.leaves((times, start)))
    if not known:
        rounded = jnp.asarray(times, dtype)
        start = jnp.asarray(start, dtype)
        _require_row(rounded)
        before = jnp.concatenate([start[None], rounded[:-1]])
        return Clock(rounded, start, rounded - before)
    exact = np.asarray(times, np.float64)
    origin = np.float64(np.asarray(start))
    _require_row(exact)
    finite = bool(np.isfinite(exact).all() and np.isfinite(origin))
    require(finite, "finite times", f"{exact} from {origin}", "give an end to the run")
    lengths = np.diff(exact, prepend=origin)
    ordered = bool((lengths[1:] > 0).all())
    require(ordered, "increasing times", exact, "sort them and drop repeated ones")
    require(
        bool(lengths[0] >= 0),
        f"times after the start, {origin}",
        exact,
        "pass an earlier start",
    )
    rounded = _rounded(exact, origin, lengths, dtype)
    require(
        bool(((rounded > 0) == (lengths > 0)).all()),
        f"times that differ in {np.dtype(dtype).name}",
        exact,
        "solve in float64, or pass fewer times",
    )
    as_given = jnp.asarray(exact, dtype)
    return Clock(as_given, jnp.asarray(origin, dtype), jnp.asarray(rounded))


def _rounded(
    times: np.ndarray, start: np.float64, lengths: np.ndarray, dtype: Any
) -> np.ndarray:
    """The lengths between the rounded times, or the rounded lengths between the times.

    The latter where rounded times would change a length by more than a hundredth.
    """
    between = np.diff(
        times.astype(dtype).astype(np.float64), prepend=np.float64(start.astype(dtype))
    )
    resolved = bool((np.abs(between - lengths) <= 0.01 * lengths).all())
    return (between if resolved else lengths).astype(dtype)


def _require_row(times: Any) -> None:
    require(
        times.ndim == 1 and times.shape[0] > 0,
        "a 1-D array of times",
        f"shape {times.shape}",
        "pass e.g. times=[t_end]",
    )
