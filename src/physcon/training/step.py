"""Steps of an optimizer, compiled in chunks, and the state that they change."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, PRNGKeyArray, PyTree


@runtime_checkable
class Optimizer(Protocol):
    """An optax `GradientTransformation`, or any object with the same two functions."""

    @property
    def init(self) -> Callable[..., Any]: ...

    @property
    def update(self) -> Callable[..., Any]: ...


class TrainingState(NamedTuple):
    """The part of a run that a step changes; the content of a checkpoint."""

    arrays: PyTree
    opt_state: PyTree
    losses: Any  # of the present chunk while running; of all steps in a checkpoint


def initial_state(arrays: PyTree, optimizer: Optimizer) -> TrainingState:
    """The state before the first step.

    It is a copy, because the compiled loop donates its state.
    """
    arrays = jax.tree.map(jnp.copy, arrays)
    return TrainingState(arrays, optimizer.init(arrays), np.zeros(0))


def compiled_chunk(loss_fn: Callable, static: PyTree, optimizer: Optimizer) -> Callable:
    """Compile ``run((batches, key, start, stop), state) -> state``.

    The state has room for the losses.
    """

    def step_once(
        batches: Callable,
        key: PRNGKeyArray,
        step: Array,
        state: TrainingState,
        start: Array,
    ):
        batch_key, loss_key = jax.random.split(key)
        batch = batches(batch_key, step)

        def loss_of(arrays):
            return loss_fn(
                eqx.combine(arrays, static), batch, jax.random.fold_in(loss_key, step)
            )

        loss, gradient = jax.value_and_grad(loss_of)(state.arrays)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.arrays)
        arrays = eqx.apply_updates(state.arrays, updates)
        return TrainingState(arrays, opt_state, state.losses.at[step - start].set(loss))

    @eqx.filter_jit(donate="all-except-first")
    def run(inputs: tuple, state: TrainingState) -> TrainingState:
        batches, key, start, stop = inputs
        # A loop whose bounds are data gives one program for full and partial chunks, so
        # an interruption cannot change how a step is compiled.
        return jax.lax.fori_loop(
            start, stop, lambda step, s: step_once(batches, key, step, s, start), state
        )

    return run
