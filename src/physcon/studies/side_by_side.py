"""Networks that are trained together and differ in their random numbers alone."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import PRNGKeyArray, PyTree, Scalar

Loss = Callable[..., Scalar]


def stacked(models: Sequence[PyTree]) -> PyTree:
    """Stack several modules into one: every array has a leading axis of models."""
    arrays = [eqx.filter(model, eqx.is_array) for model in models]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)
    return eqx.combine(together, models[0])


def unstacked(models: PyTree, number: int) -> list:
    """Return the single modules of a stack."""

    def at(index: int) -> PyTree:
        return jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, models)

    return [at(index) for index in range(number)]


def side_by_side(loss: Loss) -> Loss:
    """The sum over stacked networks of the loss of one task, each with its own key."""

    def total(networks: PyTree, task: PyTree, key: PRNGKeyArray) -> Scalar:
        number = jax.tree.leaves(eqx.filter(networks, eqx.is_array))[0].shape[0]
        keys = jax.random.split(key, number)
        one = eqx.filter_vmap(loss, in_axes=(eqx.if_array(0), None, 0))
        return jnp.sum(one(networks, task, keys))

    return total


def each_alone(optimizer: Any) -> Any:
    """An optimizer that treats stacked networks as if each were trained alone.

    Without it, clipping would act on the norm of all gradients together.
    """
    import optax

    return optax.GradientTransformation(
        jax.vmap(optimizer.init), jax.vmap(optimizer.update)
    )
