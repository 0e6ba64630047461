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

    The perturbations are drawn anew for each row and step. They have mean zero over the
    members, and the standard deviation of the law.
    """
    members = [str(s.value) for s in spreads if s.kind == "ensemble"]
    found = []
    for law, missing in zip(rows, left, strict=True):
        axes = [law.dims.index(m) for m in members if m in law.dims]
        if law.std and axes:
            key = jax.random.fold_in(jax.random.key(np.uint32(seed)), law.number)
            key = jax.random.fold_in(key, step)
            shift = _standard(key, law.shape, axes[0], missing.dtype)
            missing = missing + law.std * shift.reshape(-1)
        found.append(missing)
    return found


def _standard(key: Array, shape: tuple[int, ...], axis: int, dtype: np.dtype) -> Array:
    """Return normal draws with mean zero and standard deviation 1 along the members."""
    draws = jax.random.normal(key, shape, dtype)
    draws = draws - jnp.mean(draws, axis, keepdims=True)
    return draws / jnp.std(draws, axis, ddof=1, keepdims=True)
