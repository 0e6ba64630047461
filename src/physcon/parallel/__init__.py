"""Computations divided among devices.

The caller passes a `jax.sharding.Mesh`, and the functions use `jax.shard_map`. Values
and gradients equal the results on one device up to rounding.
"""

from physcon._mesh import shard
from physcon.parallel.balance import Balanced, condition_balance
from physcon.parallel.batch import mean_over_tasks, vmap
from physcon.parallel.conditioning import condition
from physcon.parallel.domain import solve, tendency
from physcon.parallel.spectral import fno, spectral_conv

__all__ = [
    "Balanced",
    "condition",
    "condition_balance",
    "fno",
    "mean_over_tasks",
    "shard",
    "solve",
    "spectral_conv",
    "tendency",
    "vmap",
]
