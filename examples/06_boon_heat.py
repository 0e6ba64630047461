# %% [markdown]
# # 6. An operator that obeys its boundary conditions
#
# A rod is insulated on the left and heated on the right: u_t = k u_xx with u_x = 0 and
# u_x = U sin(π t) at its ends. A Fourier neural operator learns the map from the
# initial state to the state at t = 0.5. Without a correction it satisfies the boundary
# conditions only approximately. With the correction it satisfies them to rounding, for
# any weights.

# %%
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

from physcon import Boundary, Neumann
from physcon.operators import residuals
from physcon.studies.boon.data import samples, study_grid
from physcon.studies.boon.networks import evaluated, trained
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.session import Session

config = BoonConfig(
    problem="heat",
    nodes=65,
    train=100,
    test=40,
    width=12,
    modes=10,
    steps=300,
    seeds=(0,),
)
grid = study_grid(config)
train_key, test_key, order_key = jax.random.split(jax.random.key(0), 3)
train, test = (
    samples(train_key, config, config.train),
    samples(test_key, config, config.test),
)

# %% [markdown]
# ## Three networks of one size
#
# The first network is plain, the second has its boundary nodes overwritten. The third
# works with cosines, which have no slope at the walls, and lifts the flux onto them in
# every layer. Data, batches and steps are the same.

# %%
networks = {}
print("method       relative L2   boundary residual (rms of u_x - flux)")
for method in ("plain", "overwrite", "basis"):
    stacked = trained(
        method, config, grid, train, order_key, Session(progress=False)
    ).params
    errors, _ = evaluated(stacked, method, config, grid, test)
    networks[method] = jax.tree.map(lambda a: a[0] if eqx.is_array(a) else a, stacked)
    error, misfit = errors.relative_l2.mean(), errors.misfit.mean() ** 0.5
    print(f"{method:12s} {error:.4f}        {misfit:.1e}")
    assert method == "plain" or misfit < 1e-3

# %% [markdown]
# ## At the insulated wall
#
# The slope is zero in the data, but not in the output of the plain network.

# %%
sample = jax.tree.map(lambda a: a[0], test)
predictions = {
    "plain": networks["plain"].fno(sample.u),
    "basis": networks["basis"](sample.u, sample.boundary, grid),
}
for name, u in predictions.items():
    left, right = residuals(u, sample.boundary, grid, config.order)
    errors = [float(side.value[0]) for side in (left, right)]
    print(f"{name:6s} slope error left {errors[0]:+.1e}, right {errors[1]:+.1e}")

figure = Figure(figsize=(8, 3), layout="constrained")
whole, wall = figure.subplots(1, 2)
x = grid.coordinates[0]
whole.plot(x, sample.answer[0], "k--", label="exact")
for name, u in predictions.items():
    whole.plot(x, u[0], label=name)
    slope = jnp.diff(u[0]) / jnp.diff(x)
    exact = jnp.diff(sample.answer[0]) / jnp.diff(x)
    wall.plot(x[:8], (slope - exact)[:8], ".-", label=name)
wall.axhline(0, color="k", ls="--", lw=1)
whole.set(xlabel="x", ylabel="u(0.5, x)")
wall.set(xlabel="x", ylabel="error of the slope", title="at the insulated wall")
whole.legend(frameon=False, loc="lower left", fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/06_boon_heat.png", dpi=120)

# %% [markdown]
# ## Another flux, the same program
#
# Boundary values are arguments. A new value does not recompile the program, the
# predictions obey it, and they have a gradient with respect to it. All training data
# had the same U, however, so a correct slope at the wall does not imply a correct
# interior.

# %%


@jax.jit
def wall_temperature(flux):
    boundary = Boundary((Neumann(0.0), Neumann(flux)))
    u = networks["basis"](sample.u, boundary, grid)
    return u[0, -1], residuals(u, boundary, grid, config.order)[1].value[0]


with_gradient = jax.value_and_grad(wall_temperature, has_aux=True)
for flux in (4.0, 5.0, 6.0):
    (value, misfit), slope = with_gradient(jnp.asarray(flux))
    print(
        f"flux {flux}: u(0.5, 1) = {float(value):.4f}, "
        f"derivative {float(slope):+.4f}, slope error {float(misfit):+.1e}"
    )
