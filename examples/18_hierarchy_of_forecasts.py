# %% [markdown]
# # 18. A hierarchy of forecasts
#
# Electricity is forecast for every household, every street, every town, and the whole
# region, by separate models. The forecasts don't add up. Reconciliation changes each by
# as little as its error allows, so that every group is the sum of its parts, and that
# no household consumes a negative amount.

# %%
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure

import physcon as pc

TOWNS, STREETS, HOUSES = 5, 8, 12  # towns, streets per town, houses per street
levels = {
    "region": 1,
    "town": TOWNS,
    "street": TOWNS * STREETS,
    "house": TOWNS * STREETS * HOUSES,
}

# %% [markdown]
# ## One row per group
#
# The unknowns are all series, level by level. A row says that a group less its parts is
# zero. Written like this the matrix has two or so entries per series, where the usual
# summing matrix has one for each pair of a group and a house in it.

# %%
counts = list(levels.values())
first = np.cumsum([0, *counts])  # the first series of each level
n, groups = int(first[-1]), int(first[-2])
parent = np.concatenate(
    [
        first[k] + np.arange(counts[k + 1]) // (counts[k + 1] // counts[k])
        for k in range(3)
    ]
)
rows = np.concatenate([np.arange(groups), parent])
columns = np.concatenate([np.arange(groups), np.arange(1, n)])
entries = np.concatenate([np.ones(groups), -np.ones(n - 1)])
matrix = sp.csr_matrix((entries, (rows, columns)), (groups, n))
law = pc.from_matrix(matrix, 0.0)
print(f"{n} series, {groups} rows, {matrix.nnz} entries")

# %% [markdown]
# ## Forecasts that don't add up
#
# 48 half-hours. Houses with solar cells consume nothing at noon. The forecast of a
# large group is better, relative to its size, than the one of a house.

# %%
rng = np.random.default_rng(1)
hour = np.arange(48) / 2
evening = 0.3 + np.exp(-(((hour - 19) / 2.5) ** 2)) + 0.5 * np.exp(-((hour - 7.5) ** 2))
solar = np.exp(-(((hour - 13) / 3) ** 2))
size = rng.lognormal(-0.5, 0.5, counts[-1])
cells = rng.uniform(0, 0.6, counts[-1])
houses = np.maximum(size[:, None] * evening - cells[:, None] * solar, 0)
truth = np.zeros((n, 48))
truth[groups:] = houses
for k in range(groups - 1, -1, -1):
    truth[k] = truth[np.flatnonzero(parent == k) + 1].sum(0)
std = 0.03 + 0.2 * truth.mean(1, keepdims=True) ** 0.4 * np.ones((1, 48))
forecast = truth + std * rng.normal(size=truth.shape)

# %% [markdown]
# ## Reconciled, for all half-hours at once
#
# `condition` gives the means that add up (MinT with a diagonal covariance) and their
# errors. `constrained` is also nowhere negative. Both use one sparse factor of 46 rows.


# %%
@jax.jit
@jax.vmap
def reconciled(forecast, std):
    prior = pc.Gaussian.diagonal(forecast, std)
    free = pc.condition(prior, law).posterior
    positive = pc.conditioning.constrained(prior, law, lower=0.0).mean
    return free.mean, free.std(), positive


free, free_std, positive = (
    np.asarray(u).T for u in reconciled(jnp.asarray(forecast.T), jnp.asarray(std.T))
)
assert np.abs(matrix @ positive).max() < 1e-3
assert positive.min() >= 0
clipped = np.maximum(free, 0)
print(f"{'':24}{'sums miss by':>13}{'smallest':>10}", *(f"{x:>9}" for x in levels))
shown = {
    "forecast": forecast,
    "condition": free,
    "condition, clipped": clipped,
    "constrained": positive,
}
scores = {}
for name, u in shown.items():
    error = (u - truth) ** 2
    parts = pairwise(first)
    scores[name] = [float(np.sqrt(error[a:b].mean())) for a, b in parts]
    miss = np.abs(matrix @ u).max()
    print(f"{name:24}{miss:13.1e}{u.min():10.3f}", *(f"{s:9.3f}" for s in scores[name]))
assert scores["constrained"][-1] < scores["condition"][-1] < scores["forecast"][-1]

# %% [markdown]
# Don't reconcile like this where the errors of the houses are strongly correlated (one
# weather forecast feeds all models): independent errors make the sum of many houses
# look far too certain. Pass an ensemble with independent errors on top,
# `Gaussian.from_samples(members, std=...)`. Don't reconcile a forecast that is biased
# before its bias has been removed: the bias is spread over all levels.
#
# The bounds have a price as well, which the table shows: the houses get better, the
# region gets worse. At noon many houses consume nothing, their forecasts can only be
# raised, and the sums rise with them. Use `condition` where the groups matter most.

# %%
figure = Figure(figsize=(11, 3.8), layout="constrained")
axes = figure.subplots(1, 3)
groups_shown = (0, "the region"), (int(first[2]), "one street"), (groups + 3, "a house")
for axis, (k, name) in zip(axes, groups_shown, strict=True):
    axis.plot(hour, forecast[k], ".", color="0.6", label="forecast")
    if k < groups:
        parts = np.flatnonzero(parent == k) + 1
        axis.plot(
            hour, forecast[parts].sum(0), "x", color="C3", ms=4, label="its parts"
        )
    axis.fill_between(
        hour, positive[k] - 2 * free_std[k], positive[k] + 2 * free_std[k], alpha=0.3
    )
    axis.plot(hour, positive[k], color="C0", label="reconciled, ± 2 std")
    axis.plot(hour, truth[k], "k--", lw=1, label="truth")
    axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    axis.set(title=name, xlabel="hour of the day")
axes[0].set_ylabel("consumption in kW")
axes[0].legend(fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/18_hierarchy_of_forecasts.png", dpi=120)
