# %% [markdown]
# # 1. Make predictions conserve mass
#
# A model that gives a mean and a standard deviation can be made to obey an integral law
# afterwards. Here heat diffuses in an insulated rod, so its total is known at all
# times. The predictions, which are simulated below with noise and a bias where the
# model is uncertain, miss the total by a few percent.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import physcon as pc

grid = pc.Grid.uniform(0.0, 1.0, 200)  # cells: the arrays hold cell averages
x = grid.coordinates[0]
times = jnp.linspace(0.01, 0.2, 20)


def temperature(t):
    """An insulated rod: 1 + cos(pi x) exp(-pi^2 t), total 1."""
    return 1 + jnp.cos(jnp.pi * x) * jnp.exp(-(jnp.pi**2) * t)


truth = jax.vmap(temperature)(times)
mass = 1.0

# %% [markdown]
# ## The prediction
#
# The model is certain on the left and uncertain around x = 0.7. Its errors have the
# size that it claims.

# %%
std = jnp.broadcast_to(0.01 + 0.3 * jnp.exp(-(((x - 0.7) / 0.12) ** 2)), truth.shape)
bias, noise = jax.random.normal(jax.random.key(0), (2, *truth.shape))
smooth_bias = jnp.mean(bias, axis=1, keepdims=True) + 0.8
mean = truth + std * (smooth_bias + 0.2 * noise)

# %% [markdown]
# ## One call inside jit, batched by vmap
#
# `condition` acts on one field, and `vmap` applies it to all times. Nothing is
# iterated: this is the Bayesian update of a Gaussian on one linear observation without
# noise.


# %%
@jax.jit
@jax.vmap
def conserve(mean, std):
    result = pc.condition(pc.Gaussian.diagonal(mean, std), pc.integral(grid, mass))
    return result.posterior.mean, result.posterior.std(), result.residual[0]


new_mean, new_std, residual = conserve(mean, std)

error = lambda u: np.abs(np.asarray(grid.integrate(u)) - mass).max()  # noqa: E731
rms = lambda u: float(jnp.sqrt(jnp.mean((u - truth) ** 2)))  # noqa: E731
print(f"largest mass error   {error(mean):.2e} -> {error(new_mean):.2e}")
print(f"largest residual     {float(jnp.abs(residual).max()):.2e}")
print(f"rms error            {rms(mean):.4f} -> {rms(new_mean):.4f}")
assert error(new_mean) < 1e-6
assert rms(new_mean) < 0.5 * rms(mean)

# %% [markdown]
# The correction is proportional to the variance. It is largest where the model was
# uncertain; the left half, where the model was certain, did not change. The new band is
# narrower, and every sample of the posterior conserves mass.

# %%
prior = pc.Gaussian.diagonal(mean[5], std[5])
posterior = pc.condition(prior, pc.integral(grid, mass)).posterior
samples = posterior.sample(jax.random.key(1), (500,))
print(f"largest mass error of 500 samples  {error(samples):.2e}")
assert error(samples) < 1e-6

figure = Figure(figsize=(8, 3), layout="constrained")
axes = figure.subplots(1, 2, sharey=True)
for axis, (m, s), title in zip(
    axes,
    ((mean[5], std[5]), (new_mean[5], new_std[5])),
    ("as predicted", "conserved"),
    strict=True,
):
    axis.fill_between(x, m - 1.96 * s, m + 1.96 * s, alpha=0.3, lw=0)
    axis.plot(x, m, label="mean, 95 %")
    axis.plot(x, truth[5], "k--", lw=1, label="exact")
    axis.set(xlabel="position x", title=f"{title}: mass {float(grid.integrate(m)):.3f}")
axes[0].set_ylabel("temperature u")
axes[0].legend(frameon=False)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/01_constrain_predictions.png", dpi=120)
