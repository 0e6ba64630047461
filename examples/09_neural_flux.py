# %% [markdown]
# # 9. Learn a flux and keep conservation
#
# Snapshots of traffic-like waves are known, but their flux law is not. A small network
# replaces it by mapping u to F(u). The scheme around it is a finite-volume scheme: for
# any network, what leaves one cell enters the next. The total is therefore kept to
# rounding, before, during and after training.

# %%
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from physcon import fv
from physcon.boundary import Boundary, Periodic
from physcon.grid import Grid

grid = Grid.uniform(0.0, 1.0, 48)
x = grid.coordinates[0]
boundary = Boundary(Periodic())
scheme = fv.Scheme(fv.MUSCL(fv.limiter.van_leer), fv.rusanov, fv.ssp_rk2)
times = jnp.array([0.05, 0.1, 0.15, 0.2])


class LearnedFlux(fv.Law):
    """A scalar law whose flux is a network; speeds come from its derivative."""

    network: eqx.nn.MLP

    def flux(self, u, axis=0):
        return jax.vmap(self.network)(u.reshape(-1)).reshape(u.shape)


def waves(key):
    """A smooth random density between 0 and 1."""
    a, b = jax.random.uniform(key, (2, 3, 1), minval=-1.0)
    k = 2 * jnp.pi * jnp.arange(1, 4)[:, None] * x
    return jax.nn.sigmoid(jnp.sum(a * jnp.sin(k) + b * jnp.cos(k), axis=0))[None]


@eqx.filter_jit
def simulate(law, starts):
    """Snapshots at `times` for a batch of initial states, with gradients in bounded
    memory.
    """

    def one(u):
        return fv.solve(
            u,
            law,
            grid,
            boundary,
            scheme,
            times=times,
            dt=0.005,
            max_steps=12,
            loop="checkpointed",
            throw=False,
        ).u

    return jax.vmap(one)(starts)


starts = jax.vmap(waves)(jax.random.split(jax.random.key(0), 8))
truth = simulate(fv.Traffic(), starts)

# %% [markdown]
# ## Training through the solver

# %%
law = LearnedFlux(
    eqx.nn.MLP("scalar", "scalar", 16, 2, jnp.tanh, key=jax.random.key(1))
)
optimizer = optax.adam(1e-2)
state = optimizer.init(eqx.filter(law, eqx.is_array))


@eqx.filter_jit
def train_step(law, state):
    misfit = lambda law: jnp.mean((simulate(law, starts) - truth) ** 2)  # noqa: E731
    loss, gradient = eqx.filter_value_and_grad(misfit)(law)
    updates, state = optimizer.update(gradient, state)
    return eqx.apply_updates(law, updates), state, loss


losses = []
for _ in range(150):
    law, state, loss = train_step(law, state)
    losses.append(float(loss))
print(f"mean squared misfit {losses[0]:.1e} -> {losses[-1]:.1e}")

# %% [markdown]
# The flux is found up to a constant, which no snapshot determines. On waves that were
# not in the training data the model predicts, and conserves.

# %%
fresh = jax.vmap(waves)(jax.random.split(jax.random.key(7), 4))
predicted, expected = simulate(law, fresh), simulate(fv.Traffic(), fresh)
error = float(jnp.sqrt(jnp.mean((predicted - expected) ** 2)))
before = np.asarray(grid.integrate(fresh), np.float64)[:, None]
drift = np.abs(np.asarray(grid.integrate(predicted)) - before).max()
print(f"rms error on new waves {error:.4f}, largest change of the total {drift:.1e}")
assert losses[-1] < 0.02 * losses[0]
assert error < 0.03
assert drift < 1e-6

figure = Figure(figsize=(8, 3), layout="constrained")
left, right = figure.subplots(1, 2)
u = jnp.linspace(0.05, 0.95, 50)[None]
learned, true = law.flux(u)[0], fv.Traffic().flux(u)[0]
left.plot(u[0], true, "k--", lw=1, label="true flux")
left.plot(
    u[0], learned + jnp.mean(true - learned), lw=1.2, label="learned, up to a constant"
)
left.set(xlabel="density u", ylabel="flux F(u)")
right.plot(x, fresh[0, 0], lw=1, label="t = 0")
right.plot(x, expected[0, -1, 0], "k--", lw=1, label="t = 0.2, true")
right.plot(x, predicted[0, -1, 0], lw=1.2, label="t = 0.2, learned")
right.set(xlabel="position x", ylabel="density u")
for axes in (left, right):
    axes.legend(frameon=False, fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/09_neural_flux.png", dpi=120)
