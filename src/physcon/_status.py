"""Outcomes of computations: one enumeration for every result of the package.

`settle` attaches the outcome to everything that a result holds, so that no part of a
failed result can be used unseen, neither a value nor a derivative, inside or outside of
jit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import inexact_leaves, is_traced
from physcon._derivative_rules import WithDerivative
from physcon._typing import Array, Bool, Int, PyTree


class Outcome(eqx.Enumeration):
    """The outcome of a computation, in order of severity. See docs/outcomes.md.

    `good`, `redundant` and `stopped` are successes, everything else is a failure: an
    error under ``throw=True``; under ``throw=False`` the result is what its docstring
    says, and its derivatives are NaN.
    """

    good = "The result is what was asked for."
    redundant = (
        "Some rows repeat others, or see only points of zero variance; all are met."
    )
    stopped = "The solution was stopped by its event, as requested."
    few_moves = (
        "The sampler made too few useful moves for its draws to be trusted; "
        "take more steps, or fewer rows."
    )
    max_steps = "The maximum number of steps was reached; raise max_steps."
    not_solved = "An iterative solver did not reach its tolerance."
    stalled = "The time step fell below the resolution of the time."
    not_convex = "The objective is not convex at the point that was found."
    unreachable = "No field within the bounds has the given value."
    unobservable = "The rows do not determine a quantity that was not measured."
    contradiction = "Rows contradict each other or a certain part of the prior."
    disordered = "A lower bound lies above its upper bound."
    unordered_times = "The times do not increase from the start."
    unstable = "A time step exceeded the stability limit of the explicit method."
    inadmissible = "A positive quantity (density, pressure, depth) became negative."
    not_finite = "A NaN or an infinity came in or out."


#: Outcomes that count as success.
SUCCESSES = (Outcome.good, Outcome.redundant, Outcome.stopped)
_TEXT = {name: Outcome[item] for name, item in Outcome._name_to_item.items()}


def severity(outcome: Outcome) -> Int[Array, "*batch"]:
    """The rank of an outcome: 0 for `good`, larger is worse."""
    return jnp.asarray(outcome._value)


def worse(first: Outcome, second: Outcome) -> Outcome:
    """The more severe of two outcomes; elementwise under `jax.vmap`."""
    return Outcome.where(severity(first) >= severity(second), first, second)


def _success_ranks() -> list[int]:
    return [int(np.asarray(item._value)) for item in SUCCESSES]


def failed(outcome: Outcome) -> Bool[Array, "*batch"]:
    """Whether an outcome is none of `SUCCESSES`."""
    rank = severity(outcome)
    return ~jnp.any(jnp.stack([rank == severity(o) for o in SUCCESSES]), axis=0)


def choose(*cases: tuple[Bool[Array, ""], Outcome]) -> Outcome:
    """The outcome of the first case that holds, else `good`.

    >>> choose((jnp.array(False), Outcome.redundant)) == Outcome.good
    Array(True, dtype=bool)
    """
    found = Outcome.good
    for holds, outcome in reversed(cases):
        found = Outcome.where(jnp.asarray(holds), outcome, found)
    return found


def code(outcome: Outcome, codes: Mapping[str, int]) -> Int[Array, "*batch"]:
    """The integer that version 0.1 used for an outcome in one kind of result.

    Args:
        codes: name of an outcome -> integer; any other name gets the code of
            `not_finite`.
    """
    rank = outcome._value
    numbers = [codes.get(name, codes["not_finite"]) for name in _TEXT]
    table = np.asarray(numbers, np.int32)
    if not is_traced(rank):  # one transfer, no program
        return jnp.asarray(table[np.asarray(rank)])
    return jnp.asarray(table)[rank]


class Indexed(NamedTuple):
    """Sentences for one outcome, of which an array chooses one, such as a row's."""

    sentences: Sequence[str]
    index: Int[Array, ""]


Messages: TypeAlias = Mapping[str, str | Indexed]


def settle(
    tree: PyTree,
    outcome: Outcome,
    throw: bool,
    messages: Messages | Callable[[], Messages] | None = None,
    inputs: PyTree = (),
) -> PyTree:
    """`tree` with a check of `outcome` attached to each of its arrays but outcomes.

    Args:
        throw: True: using any array of the result, or any derivative of it, raises at
            run time if the outcome is a failure. False: no check and no callback;
            values stay as they are, and derivatives are NaN after a failure.
        messages: name of an outcome -> the sentence to raise, or `Indexed` ones, or a
            function that makes them; the default is the text of `Outcome`.
        inputs: what the result was computed from. Its derivatives by all of these
            arrays are NaN after a failure, even where its value does not depend on
            them, for example because a bound holds.

    Raises:
        RuntimeError: at once where the outcome is known, which is outside of jit; else
            at run time, under ``throw=True``.
    """
    rank = outcome._value
    if not is_traced(rank) and np.isin(np.asarray(rank), _success_ranks()).all():
        return tree  # one number is read back, and nothing is computed
    wrong = failed(outcome)
    slope = jnp.where(wrong, jnp.nan, 1.0)
    if throw:
        given = messages() if callable(messages) else messages
        sentences, which = _numbered(outcome, given or {})
        if not is_traced(wrong) and not is_traced(which):
            found = int(jnp.max(jnp.where(wrong, which, 0)))
            raise eqx.EquinoxRuntimeError(sentences[found])  # as under jit
        slope = eqx.branched_error_if(slope, wrong, which, sentences)
    guard = _checked if throw else _unchecked

    leaves = inexact_leaves(inputs)

    def attach(x: Any) -> Any:
        if eqx.is_inexact_array(x):
            found = guard(x, slope.astype(x.dtype))
            gap = jnp.where(wrong, jnp.nan, 0).astype(x.dtype)
            return _linked(found, gap, leaves) if leaves else found
        if throw and eqx.is_array(x) and not isinstance(x, Outcome):
            # Added rather than selected, so that no compiler drops the check.
            raised = jnp.isnan(slope)
            return x | raised if x.dtype == bool else x + raised.astype(x.dtype)
        return x

    return jax.tree.map(attach, tree, is_leaf=lambda x: isinstance(x, Outcome))


def _numbered(
    outcome: Outcome, messages: Mapping[str, str | Indexed]
) -> tuple[list[str], Int[Array, "*batch"]]:
    """All sentences in one list, and the number of the one that applies.

    Successes keep number 0, since a batch raises the sentence of the largest number.
    """
    sentences: list[str] = []
    rank = severity(outcome)
    which = jnp.zeros_like(rank)
    for name, text in _TEXT.items():
        message = messages.get(name, text)
        one = isinstance(message, str)
        choice = Indexed([message], jnp.int32(0)) if one else message
        number = len(sentences) + choice.index
        item = severity(Outcome._name_to_item[name])
        which = jnp.where(rank == item, number, which)
        sentences += choice.sentences
    return sentences, jnp.where(failed(outcome), which, 0)


@WithDerivative
def _linked(x: Array, gap: Array, inputs: list[Array]) -> Array:
    """x; its tangent grows by `gap`, zero or NaN, times the inputs' tangents."""
    return x


@_linked.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    x, gap, inputs = primals
    dx, _, d_inputs = tangents
    total = sum(jnp.sum(d).astype(x.dtype) for d in d_inputs)
    # Selected, so that no infinite cotangent meets the zero.
    return _linked(x, gap, inputs), dx + jnp.where(gap == 0, 0, gap * total)


@WithDerivative
def _checked(x: Array, slope: Array) -> Array:
    """x, computed only after the check behind `slope` has run."""
    return x * slope


@_checked.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    x, slope = primals
    return _checked(x, slope), tangents[0] * slope


@WithDerivative
def _unchecked(x: Array, slope: Array) -> Array:
    """x; its tangent is multiplied by `slope`, which is NaN after a failure."""
    return x


@_unchecked.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    x, slope = primals
    return _unchecked(x, slope), tangents[0] * slope
