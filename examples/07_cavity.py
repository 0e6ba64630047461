# %% [markdown]
# # 7. A lid-driven cavity, learned and solved
#
# A lid drags the fluid in a square box: ω_t + u·∇ω = ν Δω with no slip on four walls.
# physcon solves the equation in vorticity and stream function. An operator learns the
# vorticity at all times from the initial one, with the vorticity of the walls as
# boundary data.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from physcon import report
from physcon.problems.cavity import cavity_flow, stream_function, velocity
from physcon.studies.boon.data import samples, study_grid
from physcon.studies.boon.networks import evaluated, trained
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.boon.study import table
from physcon.studies.session import Session

# %% [markdown]
# ## The solver compared with a published table
#
# A uniform lid at Re = 100 drives the fluid from rest to a steady state. Ghia, Ghia and
# Shin (1982) tabulate the horizontal velocity on the vertical centre line. The
# circulation of every state equals the circulation of the lid to rounding, because with
# Thom's formula for the wall vorticity Stokes' theorem holds on the mesh.

# %%
n = 33
lid = jnp.ones(n).at[jnp.array([0, -1])].set(0.0)
states = jax.jit(
    lambda w: cavity_flow(w, lid, jnp.asarray(0.01), jnp.asarray(15.0), 1)
)(jnp.zeros((n - 2, n - 2)))
psi = stream_function(states[-1, 1:-1, 1:-1])
u = np.asarray(velocity(psi, lid)[0, n // 2])
print("y        u     Ghia et al.")
for y, published in (
    (0.1719, -0.1015),
    (0.4531, -0.2109),
    (0.7344, 0.0033),
    (0.9531, 0.6872),
):
    print(f"{y:.4f} {np.interp(y, np.linspace(0, 1, n), u):+.4f}  {published:+.4f}")
print(f"stream function at the vortex: {float(psi.min()):.4f}   published: -0.1034")
weights = np.r_[0.5, np.ones(n - 2), 0.5] / (n - 1)
circulation = weights @ np.asarray(states[-1], float) @ weights
print(f"circulation {circulation:.6f}, of the lid {-float(lid.sum()) / (n - 1):.6f}")
assert abs(circulation + float(lid.sum()) / (n - 1)) < 1e-5

# %% [markdown]
# ## Two networks
#
# One network has its walls overwritten. In the other the vorticity of the walls is
# lifted smoothly into every layer. Data, batches and steps are the same. `physcon run
# boon_cavity` is the longer version.

# %%
config = BoonConfig(
    problem="cavity",
    nodes=21,
    time=1.0,
    times=4,
    train=40,
    test=10,
    modes=5,
    width=10,
    depth=3,
    batch=5,
    steps=300,
    learning_rate=4e-3,
    seeds=(0,),
)
grid = study_grid(config)
keys = jax.random.split(jax.random.key(0), 3)
train, test = (
    samples(keys[0], config, config.train),
    samples(keys[1], config, config.test),
)
errors, predictions = {}, {}
for method in ("overwrite", "lift"):
    result = trained(method, config, grid, train, keys[2], Session(progress=False))
    errors[method], u = evaluated(result.params, method, config, grid, test)
    predictions[method] = u[0, ..., -1]
print(report.boundary_table(table(errors)))
for row in table(errors):
    assert row.boundary_error == 0.0

# %% [markdown]
# ## Vorticity at t = 1, with the truth and the error

# %%
Path("out").mkdir(exist_ok=True)
truth = np.asarray(test.answer[0, 0, ..., -1])
report.comparison_figure(
    Path("out/07_cavity.png"), truth, predictions, "cavity, t = 1", "vorticity"
)
