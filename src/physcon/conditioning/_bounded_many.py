"""`bounded` for many rows and for correlated errors: by the search of `constrained`."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.float64 import in_float64
from physcon._status import Outcome, choose, worse
from physcon._typing import Array
from physcon.conditioning._bounded_messages import MESSAGES, unreachable_rows
from physcon.conditioning._constrained import Constrained, most_probable
from physcon.conditioning._constrained_messages import messages
from physcon.conditioning._unmeasured import refusal
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.refined import independent_std
from physcon.conditioning.solvers.row_variance import entrywise
from physcon.linear_map import LinearMap, Pointwise, Rows, Sparse, Stack
from physcon.linear_map.basic import size

#: Entries of dense rows from which a structured law is not written out.
DENSE = 2**14


class Reach(NamedTuple):
    """What the rows can be within bounds, and which exact values are beyond."""

    lowest: Array
    highest: Array
    outside: Array


def has_many_rows(operator: LinearMap) -> bool:
    """Whether `bounded` uses the rows as they are, instead of as a dense array."""
    if isinstance(operator, Pointwise):
        return True
    entries = size(operator.in_shape) * size(operator.out_shape)
    return isinstance(operator, (Sparse, Stack)) and entries > DENSE


def bounded_by_rows(
    prior: Gaussian, constraint: LinearConstraint, low: Array, high: Array
) -> tuple[Constrained, Outcome, dict[str, str]]:
    """The most probable field in its box, the outcome, and the sentences to raise."""
    known = jax.lax.stop_gradient((prior, constraint, low, high))
    reach = reach_of_rows(*known)
    value = constraint.value
    exact = constraint.noise() == 0
    nearest = jnp.clip(value, reach.lowest, reach.highest)
    value = jnp.where(exact & reach.outside, nearest, value)
    law = LinearConstraint(constraint.operator, value, constraint.noise_std)
    count = value.size
    ends = value, value
    found, gap, lost = most_probable(prior, law, (low, high), ends, count)
    unreachable = jnp.any(reach.outside)
    outcome = worse(found.outcome, choose((unreachable, Outcome.unreachable)))
    sentences = messages(found.multiplier, gap, count, count, "bounded")
    sentences = {**MESSAGES, **sentences, "unobservable": refusal(lost, "bounded")}
    sentences["unreachable"] = unreachable_rows(
        reach.outside, reach.lowest, reach.highest, constraint.value
    )
    found = found._replace(multiplier=found.multiplier[:count].reshape(value.shape))
    return found, outcome, sentences


def reach_of_rows(
    prior: Gaussian, law: LinearConstraint, low: Array, high: Array
) -> Reach:
    """Smallest and largest value of every row; points without variance don't move."""
    std = independent_std(prior.root)
    spread = jnp.abs(std).reshape(low.shape) if std is not None else jnp.ones_like(low)
    rest = jnp.clip(prior.mean, low, high)
    least = jnp.where(spread > 0, low, rest)
    most = jnp.where(spread > 0, high, rest)
    reached = partial(_reach, eps=3 * float(jnp.finfo(low.dtype).eps))
    return in_float64(reached)(law, least, most)


def _reach(law: LinearConstraint, least: Array, most: Array, eps: float) -> Reach:
    operator = law.operator
    positive = entrywise(operator, lambda x: jnp.maximum(x, 0))
    negative = entrywise(operator, lambda x: jnp.minimum(x, 0))
    if positive is None or negative is None:
        rows = operator.rows().reshape(-1, *operator.in_shape)
        positive = Rows(jnp.maximum(rows, 0))
        negative = Rows(jnp.minimum(rows, 0))
    lowest, low_size = _extreme(positive, negative, least, most)
    highest, high_size = _extreme(positive, negative, most, least)
    lowest = lowest.reshape(law.value.shape)
    highest = highest.reshape(law.value.shape)
    value = law.value
    size_of_value = jnp.abs(value)
    below = eps * (low_size.reshape(value.shape) + size_of_value)
    above = eps * (high_size.reshape(value.shape) + size_of_value)
    outside = (value < lowest - below) | (value > highest + above)
    return Reach(lowest, highest, outside & (law.noise() == 0))


def _extreme(
    positive: Any, negative: Any, first: Array, second: Array
) -> tuple[Array, Array]:
    """P first + N second, infinite where such a term is, and the size of its terms."""
    total = jnp.zeros((), first.dtype)
    terms = jnp.zeros((), first.dtype)
    for operator, end in ((positive, first), (negative, second)):
        finite = jnp.where(jnp.isfinite(end), end, 0)
        total = total + operator.mv(finite)
        terms = terms + operator.magnitude(finite)
        open_end = jnp.where(jnp.isfinite(end), 0, jnp.sign(end))
        total = total + _infinite(operator.mv(open_end))
    return total, terms


def _infinite(x: Array) -> Array:
    return jnp.where(x == 0, 0, jnp.sign(x) * jnp.inf)
