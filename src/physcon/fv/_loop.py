"""Loops that run until a state is done: fast, or with derivatives in reverse mode."""

import math
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax

from physcon._typing import Array
from physcon.fv._recompute import keeping_tendencies

State = TypeVar("State")


def while_loop(
    pending: Callable[[State], Array],
    advance: Callable[[State], State],
    state: State,
    max_steps: int,
) -> State:
    """`advance` the state while it is `pending`. Forward-mode derivatives only."""
    return jax.lax.while_loop(pending, advance, state)


def checkpointed_loop(
    pending: Callable[[State], Array],
    advance: Callable[[State], State],
    state: State,
    max_steps: int,
) -> State:
    """The same loop as two nested scans of about sqrt(max_steps) steps.

    Only the states between chunks are kept; those within a chunk are computed again
    when its gradient is due, with the tendencies of each step (see `_recompute`).
    """
    length = math.isqrt(max(max_steps - 1, 0)) + 1

    def stay(state: State) -> State:
        return state

    step = keeping_tendencies(advance)

    def one(state: State, _: None) -> tuple[State, None]:
        return jax.lax.cond(pending(state), step, stay, state), None

    # Checkpointed inside of the condition, so that a chunk after the end keeps a state
    # and not the results of all its steps.
    @partial(jax.checkpoint, prevent_cse=False)
    def chunk_of_steps(state: State) -> State:
        return jax.lax.scan(one, state, None, length=length)[0]

    def chunk(state: State, _: None) -> tuple[State, None]:
        return jax.lax.cond(pending(state), chunk_of_steps, stay, state), None

    return jax.lax.scan(chunk, state, None, length=-(-max_steps // length))[0]
