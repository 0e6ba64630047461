# %% [markdown]
# # 2. What a mass row must integrate
#
# The porous medium equation u_t = (u^m u_x)_x has a front that moves at a finite speed,
# and a known total mass. A constraint is only as accurate as its row, which must
# integrate what the array holds. For values at nodes, the trapezoid sum of the *exact*
# solution differs from the true mass, most of all at m = 6, where the front is
# vertical. A row that ignores this pulls predictions away from the truth.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import physcon as pc

t = 0.5
nodes = pc.Grid.uniform(0.0, 1.0, 201, location="nodes")
cells = pc.Grid.uniform(0.0, 1.0, 201)

print("   m   trapezoid(exact) - mass   cell sum(exact) - mass")
for m in (1.0, 3.0, 6.0):
    problem = pc.problems.PorousMedium(m)
    mass = float(problem.mass(t))
    by_nodes = float(nodes.integrate(problem.solution(t, nodes.coordinates[0]))) - mass
    by_cells = float(cells.integrate(problem.cell_averages(t, cells.faces()))) - mass
    print(f"{m:4g}   {by_nodes:+.2e}                 {by_cells:+.2e}")
    assert abs(by_cells) < 1e-6

# %% [markdown]
# ## Three ways to condition the same predictions
#
# A simulated model is wrong near the front by as much as it says. Its predictions are
# conditioned (a) on an exact trapezoid row, (b) on a trapezoid row whose noise has the
# size of the quadrature error, and (c) on the exact row for cell averages.

# %%
problem = pc.problems.PorousMedium(6.0)
mass = problem.mass(t)
front = problem.front(t)


def predict(key, truth, x):
    std = 0.003 + 0.03 * jnp.exp(-(((x - front) / 0.05) ** 2))
    return truth + std * jax.random.normal(key, x.shape), std


@jax.jit
@jax.vmap
def errors(key):
    x = nodes.coordinates[0]
    truth = problem.solution(t, x)
    mean, std = predict(key, truth, x)
    prior = pc.Gaussian.diagonal(mean, std)
    defect = jnp.abs(nodes.integrate(truth) - mass)
    exact_row = pc.condition(prior, pc.integral(nodes, mass)).posterior.mean
    noisy_row = pc.condition(
        prior, pc.integral(nodes, mass, noise_std=defect)
    ).posterior.mean

    averages = problem.cell_averages(t, cells.faces())
    mean_c, std_c = predict(key, averages, cells.coordinates[0])
    cell_row = pc.condition(
        pc.Gaussian.diagonal(mean_c, std_c), pc.integral(cells, mass)
    )

    def gain(u, before, truth):  # of the squared error, by conditioning
        return 1 - jnp.sum((u - truth) ** 2) / jnp.sum((before - truth) ** 2)

    return jnp.array(
        [
            gain(exact_row, mean, truth),
            gain(noisy_row, mean, truth),
            gain(cell_row.posterior.mean, mean_c, averages),
        ]
    )


gains = np.asarray(errors(jax.random.split(jax.random.key(0), 2000)))
names = ("trapezoid row, exact", "trapezoid row, noise", "cell averages, exact")
for name, gain in zip(names, gains.T, strict=True):
    print(f"{name}: squared error reduced by {100 * gain.mean():+.2f} % on average")
assert gains[:, 2].mean() > gains[:, 1].mean() > gains[:, 0].mean()

# %% [markdown]
# With cell averages, conditioning can only reduce the error, measured in the metric of
# the prior covariance, for any prediction. This is Pythagoras' theorem: |u - mean'|^2 =
# |u - mean|^2 - (b - G mean)^2 / S.

# %%
figure = Figure(figsize=(6, 3), layout="constrained")
axis = figure.subplots()
bins = np.linspace(np.quantile(gains, 0.002), np.quantile(gains, 0.998), 60)
for name, gain in zip(names, gains.T, strict=True):
    axis.hist(100 * gain, bins=100 * bins, histtype="step", lw=1.5, label=name)
axis.axvline(0, color="black", lw=1)
axis.set(
    xlabel="reduction of the squared error by conditioning [%]", ylabel="predictions"
)
axis.legend(frameon=False, fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/02_porous_medium.png", dpi=120)
