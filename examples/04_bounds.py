# %% [markdown]
# # 4. Bounds and conservation together
#
# A concentration lies between 0 and 1, its total is known, and its profile decreases
# with the distance from the source. A model that does not know this overshoots at a
# sharp front. Conditioning on the total alone keeps the overshoots, and clipping alone
# changes the total. `bounded` finds the most probable field that obeys both, `monotone`
# one that also decreases, and `sample_bounded` draws from the fields that remain
# possible.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import physcon as pc
from physcon.conditioning import bounded, marginal_moments, monotone, sample_bounded

grid = pc.Grid.uniform(0.0, 1.0, 120)
x = grid.coordinates[0]
times = jnp.linspace(0.1, 0.5, 9)


def front(t):
    """A smooth front at x = t, between 1 and 0."""
    return 0.5 * (1 - jnp.tanh((x - t) / 0.01))


truth = jax.vmap(front)(times)
mass = grid.integrate(truth)

# %% [markdown]
# ## A model that oscillates at the front
#
# Its standard deviation is large where it is uncertain. Its mean leaves [0, 1] and
# misses the total.

# %%
distance = x[None] - times[:, None] - 0.02
ringing = 0.25 * jnp.exp(-jnp.abs(distance) / 0.06) * jnp.cos(40 * jnp.pi * distance)
noise = jax.random.normal(jax.random.key(0), truth.shape)
std = 0.02 + 0.2 * jnp.exp(-((distance / 0.1) ** 2))
mean = truth + ringing - 0.4 * std + 0.3 * std * noise

# %% [markdown]
# ## Three ways to obey, batched over time
#
# All three are called inside `jit` and `vmap`, and each has a derivative.


# %%
@jax.jit
@jax.vmap
def obey(mean, std, mass):
    prior, law = pc.Gaussian.diagonal(mean, std), pc.integral(grid, mass)
    free = pc.condition(prior, law).posterior
    inside = bounded(prior, law, 0.0, 1.0)
    ordered = monotone(prior, law, 0.0, 1.0, decreasing=True)
    _, spread = marginal_moments(prior, law, 0.0, 1.0)
    return free.mean, inside.mean, ordered.mean, free.std(), spread


free, inside, ordered, free_std, spread = obey(mean, std, mass)
assert float(inside.min()) >= 0
assert float(inside.max()) <= 1
assert bool(jnp.all(ordered[:, 1:] <= ordered[:, :-1]))
assert bool(jnp.all(spread <= free_std * 1.0001))
clipped = jnp.clip(mean, 0, 1)

print(f"{'':12}{'mass error':>12}{'smallest':>10}{'largest':>9}{'rms error':>11}")
rows = {"model": mean, "clipped": clipped, "condition": free, "bounded": inside}
for name, u in (rows | {"monotone": ordered}).items():
    error = float(jnp.abs(grid.integrate(u) - mass).max())
    rms = float(jnp.sqrt(jnp.mean((u - truth) ** 2)))
    print(
        f"{name:12}{error:12.1e}{float(u.min()):10.3f}{float(u.max()):9.3f}{rms:11.4f}"
    )

# %% [markdown]
# ## What remains possible
#
# Every sample of the truncated Gaussian is a field within the bounds with the right
# total.

# %%
at = 4
prior, law = pc.Gaussian.diagonal(mean[at], std[at]), pc.integral(grid, mass[at])
draw = jax.jit(lambda key: sample_bounded(key, prior, law, 0.0, 1.0, (200,), sweeps=60))
draws = np.asarray(draw(jax.random.key(1)))
low, high = np.quantile(draws, [0.05, 0.95], axis=0)
assert draws.min() >= 0
assert draws.max() <= 1
missed = np.abs(np.asarray(grid.integrate(jnp.asarray(draws))) - float(mass[at])).max()
print(
    f"draws in [{draws.min():.3f}, {draws.max():.3f}], mass error at most {missed:.1e}"
)
assert missed < 1e-6

# %%
figure = Figure(figsize=(11, 3.4), layout="constrained")
axes = figure.subplots(1, 3, sharey=True)
axes[0].set_title("the model, and its total corrected")
axes[0].plot(x, mean[at], color="0.6", label="model")
axes[0].plot(x, free[at], color="C1", label="condition")
axes[1].set_title("within bounds; in order")
axes[1].plot(x, inside[at], color="C0", label="bounded")
axes[1].plot(x, ordered[at], color="C3", label="monotone")
axes[2].set_title("truncated Gaussian, 5 to 95 %")
axes[2].fill_between(x, low, high, color="C0", alpha=0.3, label="200 draws")
axes[2].plot(x, draws[0], color="C0", linewidth=0.8, label="one draw")
for axis in axes:
    axis.plot(x, truth[at], "k--", linewidth=1, label="truth")
    axis.axhspan(-0.4, 0, color="0.92")
    axis.axhspan(1, 1.4, color="0.92")
    axis.set(xlabel="x", ylim=(-0.4, 1.4))
    axis.legend(loc="upper right", fontsize=8)
axes[0].set_ylabel("concentration")
Path("out").mkdir(exist_ok=True)
figure.savefig("out/04_bounds.png", dpi=120)
