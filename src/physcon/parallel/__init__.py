"""Work divided among devices: the caller passes a `jax.sharding.Mesh`, `jax.shard_map`
does the rest. Every result equals that of one device up to rounding, values and
gradients alike.
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
