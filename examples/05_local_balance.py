# %% [markdown]
# # 5. Local balance in every cell
#
# The mass at a given time is one number for a whole field. A finite-volume balance is
# one law for each cell and time window,
#
#     |cell| (u^{n+1} - u^n) + Δt (F_right - F_left) = 0,
#
# and determines *where* mass can go. Here the field and the fluxes are both uncertain:
# a model predicts both, with errors, and conditioning on the balance makes them
# consistent. What leaves a cell enters its neighbour, so the local laws imply the
# global one.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import physcon as pc
from physcon.conditioning import balance, join_fields
from physcon.linear_map import split_fields

grid = pc.Grid.uniform(0.0, 1.0, 120)
times = jnp.linspace(0.0, 0.25, 61)
problem = pc.problems.Advection(1.5)

# %% [markdown]
# The exact solution is needed in the form of the balance: cell averages, and fluxes
# averaged over a time window. Both follow from the primitive P(t, x) = ∫ u dx, with F =
# inflow - ΔP / Δt.

# %%
u = jax.vmap(lambda t: problem.cell_averages(t, grid.faces()))(times)
primitive = jax.vmap(lambda t: problem.primitive(t, grid.faces()))(times)
flux = 1.5 - jnp.diff(primitive, axis=0) / jnp.diff(times)[:, None]
law = balance(
    grid, times, boundary=((1.5, None),)
)  # the inflow is known, the outflow is not
flux = flux[:, 1:]
exact = jnp.concatenate([u.reshape(-1), flux.reshape(-1)])
print(
    "largest imbalance of the exact solution: "
    f"{jnp.max(jnp.abs(law.residual(exact))):.1e}"
)

# %% [markdown]
# The model is uncertain near the jump, in the field and, to a lesser degree, in the
# fluxes.

# %%
x, faces = grid.coordinates[0], grid.faces()[1:]
front = 0.5 + 1.5 * times
std = 0.02 + 0.3 * jnp.exp(-(((x[None] - front[:, None]) / 0.06) ** 2))
flux_std = 0.02 + 0.1 * jnp.exp(-(((faces[None] - front[1:, None]) / 0.06) ** 2))
keys = jax.random.split(jax.random.key(0))
prior = pc.Gaussian.diagonal(u + std * jax.random.normal(keys[0], u.shape), std)
flux_prior = pc.Gaussian.diagonal(
    flux + flux_std * jax.random.normal(keys[1], flux.shape), flux_std
)
joint = join_fields(prior, flux_prior)

# %% [markdown]
# The prediction is compared with two posteriors: one given the exact mass at each time,
# and one given the balance of all 7200 cells and windows. The latter is also one call.
# It uses conjugate gradients with a fast cosine and sine transform as preconditioner,
# and no matrix.


# %%
@jax.jit
def by_mass(mean, std):
    def one(mean, std, mass):
        return pc.condition(
            pc.Gaussian.diagonal(mean, std), pc.integral(grid, mass), throw=False
        ).posterior.mean

    return jax.vmap(one)(mean, std, grid.integrate(u))


found = jax.jit(lambda p, c: pc.condition(p, c, throw=False))(joint, law)
balanced, balanced_flux = split_fields(found.posterior.mean, (u.shape, flux.shape))
massive = by_mass(prior.mean, std)


def errors_of(field, fluxes):
    """RMSE of u and F; the largest balance error of a cell, and of the domain."""
    missed = law.residual(jnp.concatenate([field.reshape(-1), fluxes.reshape(-1)]))
    return [
        float(jnp.sqrt(jnp.mean((field - u) ** 2))),
        float(jnp.sqrt(jnp.mean((fluxes - flux) ** 2))),
        float(jnp.max(jnp.abs(missed))),
        float(jnp.max(jnp.abs(jnp.sum(missed, axis=1)))),
    ]


errors = {}
print(f"{'':22s} {'RMSE of u':>10s} {'RMSE of F':>10s} {'cell':>10s} {'domain':>10s}")
for name, field, fluxes in (
    ("predicted", prior.mean, flux_prior.mean),
    ("one mass per time", massive, flux_prior.mean),
    ("balance in each cell", balanced, balanced_flux),
):
    errors[name] = errors_of(field, fluxes)
    print(f"{name:22s} " + " ".join(f"{e:10.1e}" for e in errors[name]))
print(f"{int(found.steps)} steps of conjugate gradients")

assert errors["balance in each cell"][0] < 0.5 * errors["one mass per time"][0]
assert errors["balance in each cell"][2] < 1e-6

# %% [markdown]
# The balance also reduces the uncertainty. The figure shows the distribution of the
# mass to the left of x = 0.7 at the last time, before and after.

# %%
left = jnp.zeros(u.shape).at[-1].set(jnp.where(x < 0.7, grid.weights(), 0.0))
row = jnp.concatenate([left.reshape(-1), jnp.zeros(flux.size)])[None]
for name, distribution in (("before", joint), ("after", found.posterior)):
    part = pc.conditioning.linear_image(distribution, pc.Rows(row))
    print(
        f"{name}: {part.mean[0]:.4f} ± {part.std()[0]:.4f} "
        f"(exact {jnp.sum(left * u):.4f})"
    )

# %%
figure = Figure(figsize=(9, 3), layout="constrained")
axes = figure.subplots(1, 3, sharex=True, sharey=True)
for axis, (name, field) in zip(
    axes,
    (("predicted", prior.mean), ("one mass per time", massive), ("balance", balanced)),
    strict=True,
):
    image = axis.pcolormesh(
        x, times, np.asarray(field - u), cmap="RdBu_r", vmin=-0.5, vmax=0.5
    )
    axis.set(title=name, xlabel="x")
axes[0].set_ylabel("t")
figure.colorbar(image, ax=axes, label="error of u")
Path("out").mkdir(exist_ok=True)
figure.savefig("out/05_local_balance.png", dpi=120)
