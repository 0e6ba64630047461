"""Work divided among devices: the caller passes a `jax.sharding.Mesh`, `jax.shard_map`
does the rest. Every result equals that of one device up to rounding, values and
gradients alike.
"""

from physcon._mesh import shard as shard
from physcon.parallel.balance import Balanced as Balanced
from physcon.parallel.balance import condition_balance as condition_balance
from physcon.parallel.batch import mean_over_tasks as mean_over_tasks
from physcon.parallel.batch import vmap as vmap
from physcon.parallel.conditioning import condition as condition
from physcon.parallel.domain import solve as solve
from physcon.parallel.domain import tendency as tendency
from physcon.parallel.spectral import fno as fno
from physcon.parallel.spectral import spectral_conv as spectral_conv
