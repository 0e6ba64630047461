"""Work divided among devices: the caller passes a `jax.sharding.Mesh`, `jax.shard_map` does the
rest. Every result equals that of one device up to rounding, values and gradients alike.
"""

from physcon.parallel.domain import solve as solve
from physcon.parallel.domain import tendency as tendency
from physcon.parallel.mesh import shard as shard
