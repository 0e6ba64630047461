# %% [markdown]
# # 13. A Flax network that conserves, exported as one file
#
# A Flax NNX network predicts a temperature profile from an earlier one. The rod is
# insulated, so its heat content is known: it is the integral of the input. The network
# is trained in a Flax loop, through the constraint. Then network and constraint
# together are exported to one file for CPU, GPU and TPU.

# %%
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import physcon as pc
from physcon.cli import main

grid = pc.Grid.uniform(0.0, 1.0, 64)  # cells
x, volumes = grid.coordinates[0], grid.weights()
modes = jnp.cos(jnp.pi * jnp.arange(8)[:, None] * x)


def pairs(key, number):
    """Profiles Σ a_k cos(k π x) and the same after a while, when mode k has decayed by
    k² π² t.
    """
    a = jax.random.normal(key, (number, 8)) / (1 + jnp.arange(8.0))
    decay = jnp.exp(-((jnp.pi * jnp.arange(8)) ** 2) * 0.01)
    return a @ modes, (a * decay) @ modes


class Network(nnx.Module):
    """Mean and standard deviation of the later profile."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 64, rngs=rngs)
        self.heads = nnx.Linear(64, 128, rngs=rngs)

    def __call__(self, u):
        mean, raw = jnp.split(self.heads(nnx.gelu(self.hidden(u))), 2)
        return mean, nnx.softplus(raw) + 1e-3


def conserved(network, u):
    """The prediction, given that the heat stays."""
    law = pc.integral(grid, volumes @ u)
    return pc.condition(pc.Gaussian.diagonal(*network(u)), law, throw=False).posterior


# %% [markdown]
# ## Training in Flax
#
# `condition` is a function of arrays and is used in the loss like any other. The same
# network is also trained without it, for comparison.

# %%


def loss(network, u, later, through):
    def one(u, later):
        mean, std = network(u)
        mean = conserved(network, u).mean if through else mean
        return jnp.mean(0.5 * ((later - mean) / std) ** 2 + jnp.log(std))

    return jnp.mean(jax.vmap(one)(u, later))


@partial(nnx.jit, static_argnames="through")
def step(network, optimizer, u, later, through):
    value, gradient = nnx.value_and_grad(loss)(network, u, later, through)
    optimizer.update(network, gradient)
    return value


def train(through):
    network = Network(nnx.Rngs(0))
    rate = optax.cosine_decay_schedule(3e-3, 600)
    optimizer = nnx.Optimizer(network, optax.adam(rate), wrt=nnx.Param)
    losses = [float(step(network, optimizer, u, later, through)) for _ in range(600)]
    name = "through the constraint" if through else "without"
    print(f"{name}: loss {losses[0]:.2f} -> {losses[-1]:.2f}")
    return network


u, later = pairs(jax.random.key(1), 1024)
plain, network = train(False), train(True)

# %% [markdown]
# ## One file
#
# `FromNNX` turns the network into a pytree that contains its weights. The exported
# program takes batches of any size. With `throw=False` it never calls back to Python.

# %%
model = pc.flax.FromNNX(network)


def predict(u):
    found = conserved(model, u)
    return {"mean": found.mean, "std": found.std()}


Path("out").mkdir(exist_ok=True)
artifact = pc.export(
    predict,
    "out/rod.physcon",
    {"u": u[0]},
    description="temperature after 0.01, given that the heat content stays",
    cite=[pc.condition],
    force=True,
)
print(artifact.describe())

# %% [markdown]
# ## Run without this program
#
# This is the same as `physcon predict out/rod.physcon out/rod_in.npz -o
# out/rod_out.npz` in a shell.

# %%
test, truth = (np.asarray(part) for part in pairs(jax.random.key(2), 50))
np.savez("out/rod_in.npz", u=test)
main(
    ["predict", "out/rod.physcon", "out/rod_in.npz", "-o", "out/rod_out.npz", "--force"]
)

with np.load("out/rod_out.npz") as out:
    served = out["mean"]
weights = np.asarray(volumes, float)
for name, mean in {
    "plain": np.asarray(jax.vmap(plain)(test)[0]),
    "served": served,
}.items():
    missed = np.abs((mean.astype(float) - test) @ weights).max()
    error = np.sqrt(np.mean((mean - truth) ** 2))
    print(f"{name:8s} heat missed: {missed:.1e}   rms error: {error:.4f}")
assert np.abs((served.astype(float) - test) @ weights).max() < 1e-6
