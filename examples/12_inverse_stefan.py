# %% [markdown]
# # 12. What the mass says about a material
#
# A front melts its way into a solid. Twenty noisy thermometers measure the temperature
# at one time. We want the melting value p* and its uncertainty. The heat that entered
# was measured too, so the mass of the field is known. How much does this one number
# add?

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import physcon as pc
from physcon.inverse import evidence, maximum_a_posteriori
from physcon.kernels import matern52
from physcon.problems import Stefan

grid = pc.Grid.uniform(0.0, 1.0, 100)
time, noise, width = 0.05, 0.2, 0.15
places = jnp.linspace(width / 2, 0.5 - width / 2, 20)[:, None]

# %% [markdown]
# ## A model of the field, given p*
#
# The mean is the similarity solution. A smooth Gaussian process around it represents
# what the equation neglects. The parameter is the log-odds θ, so that p* = 1 / (1 +
# exp(-θ)) stays inside (0, 1).


# %%
def field(theta):
    mean = Stefan(jax.nn.sigmoid(theta[0]), throw=False).cell_averages(
        time, grid.faces()
    )
    return pc.stationary(mean, matern52, grid, 0.01, 0.1, throw=False)


parameters = pc.Gaussian.diagonal(jnp.array([0.5]), jnp.array([0.4]))
readings_of = pc.sensors(grid, places, jnp.zeros(20), noise, width=width).operator


def experiment(key):
    """A truth, its readings, its mass: what an experiment would give."""
    keys = jax.random.split(key, 3)
    theta = parameters.sample(keys[0])
    u = field(theta).sample(keys[1])
    noisy = readings_of.mv(u) + noise * jax.random.normal(keys[2], (20,))
    return theta, u, noisy, grid.integrate(u)


# %% [markdown]
# ## The likelihood of p* is the evidence of the measurements
#
# `evidence` conditions the field on one constraint after another and adds up how well
# each was predicted. Including the mass means including one more constraint. The rest
# is JAX: BFGS finds the most probable θ, the curvature gives its uncertainty, and
# `vmap` does this for all data sets.


# %%
def estimate(readings, mass, with_mass):
    data = pc.sensors(grid, places, readings, noise, width=width)
    known = (data, pc.integral(grid, mass)) if with_mass else (data,)
    found = maximum_a_posteriori(
        lambda theta: -evidence(field(theta), *known, throw=False).log_evidence,
        parameters,
        throw=False,
    )
    return found.parameters[0], found.posterior.std()[0], found.status


truth, u, readings, mass = jax.jit(jax.vmap(experiment))(
    jax.random.split(jax.random.key(0), 100)
)
rows = {}
for name, with_mass in {"20 sensors": False, "20 sensors and the mass": True}.items():
    many = jax.jit(jax.vmap(lambda r, m, w=with_mass: estimate(r, m, w)))
    theta, std, status = (np.asarray(x) for x in many(readings, mass))
    low, middle, high = (
        1 / (1 + np.exp(-(theta + s * 1.96 * std))) for s in (-1, 0, 1)
    )
    p_star = np.asarray(jax.nn.sigmoid(truth[:, 0]))
    covers = (low < p_star) & (p_star < high)
    rows[name] = low, middle, high
    print(
        f"{name:24s} interval {np.mean(high - low):.3f} wide, "
        f"contains {covers.sum()} of 100 truths"
    )
    assert (status == 0).all()
    assert covers.sum() > 88  # 95 ± 3 deviations of a binomial count

# %% [markdown]
# The mass halves the interval, and the intervals keep their coverage.

# %%
widths = [np.mean(high - low) for low, _, high in rows.values()]
assert widths[1] < 0.7 * widths[0]
figure = Figure(figsize=(8, 3.2), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
left.plot(grid.coordinates[0], u[0], "k", label="true field")
left.errorbar(
    places[:, 0], readings[0], noise, fmt=".", color="#999999", label="sensors"
)
left.set(xlabel="position x", ylabel="temperature u")
left.legend(frameon=False, fontsize=8)
order = np.argsort(p_star[:40])
styles = (("#0072B2", -0.2), ("#D55E00", 0.2))
for (name, interval), (colour, shift) in zip(rows.items(), styles, strict=True):
    low, middle, high = (x[:40][order] for x in interval)
    at = np.arange(40) + shift
    right.errorbar(
        at, middle, (middle - low, high - middle), fmt=".", color=colour, label=name
    )
right.plot(p_star[:40][order], "k_", label="truth")
right.set(xlabel="experiment, sorted", ylabel="p*, 95 % intervals")
right.legend(frameon=False, fontsize=8, loc="upper left")
Path("out").mkdir(exist_ok=True)
figure.savefig("out/12_inverse_stefan.png", dpi=120)
