"""Perturbed targets of an uncertain law, one for each member of an ensemble."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array
from physcon.datasets.rollouts._rows import Rows
from physcon.datasets.rollouts._spreads import Spread


def perturbed(
    left: Sequence[Array],
    rows: Sequence[Rows],
    spreads: Sequence[Spread],
    seed: int,
    step: Array,
) -> list[Array]:
    """Give each member of an ensemble its own target, if a law is uncertain.

    The perturbations are drawn anew at each step. They have mean zero over the members,
    and the standard deviation of the law.
    """
    members = [str(s.value) for s in spreads if s.kind == "ensemble"]
    found = []
    for law, missing in zip(rows, left, strict=True):
        axes = [law.dims.index(m) for m in members if m in law.dims]
        if law.std and axes:
            key = jax.random.fold_in(jax.random.key(np.uint32(seed)), law.number)
            key = jax.random.fold_in(key, step)
            draws = _standard(key, law.shape[axes[0]], missing.dtype)
            shape = [n if k == axes[0] else 1 for k, n in enumerate(law.shape)]
            shift = jnp.broadcast_to(draws.reshape(shape), law.shape)
            missing = missing + law.std * shift.reshape(-1)
        found.append(missing)
    return found


def _standard(key: Array, count: int, dtype: np.dtype) -> Array:
    """Return normal draws, shifted and scaled to mean zero and standard deviation 1."""
    draws = jax.random.normal(key, (count,), dtype)
    draws = draws - jnp.mean(draws)
    return draws / jnp.std(draws, ddof=1)
