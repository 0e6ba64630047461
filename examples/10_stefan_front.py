# %% [markdown]
# # 10. A melting front that moves smoothly
#
# In u_t = (k(u) u_x)_x with k = 1 above u* = 1/2 and 0 below, heat enters from the left
# and melts the cold solid up to x = α sqrt(t). On a grid the front stays inside one
# cell for many steps. The way in which the face between two cells averages k determines
# what a sensor at a fixed place measures.

# %%
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq
from scipy.special import erf

from physcon import fv
from physcon.boundary import Boundary, Dirichlet
from physcon.grid import Grid

threshold, cells = 0.5, 60
grid = Grid.uniform(0.0, 1.0, cells)
boundary = Boundary((Dirichlet(1.0), Dirichlet(0.0)))
times = np.linspace(0, 0.1, 401)[1:]
sensor = 9  # x = 0.158

saved = {}
for face in ("harmonic", "arithmetic", "integral", "shock"):
    law = fv.Stefan(threshold, face=face)
    cold = jnp.zeros((1, cells))
    saved[face] = np.asarray(
        fv.solve(cold, law, grid, boundary, times=times, cfl=0.9).u[:, 0]
    )

# %% [markdown]
# ## Comparison with the similarity solution (Neumann 1860)
#
# The harmonic mean vanishes where either k does, so the front cannot leave the wall.
# The arithmetic mean releases it, but overshoots each time the front enters a cell. The
# integral mean is monotone but rises in steps. The shock-based face finds the front
# inside its cell and follows the exact curve.


# %%
def balance(a):
    """Heat that arrives at the front, minus what melting takes; the front is at a
    sqrt(t).
    """
    melt = threshold * a / 2 * np.exp(a**2 / 4) * erf(a / 2)
    return (1 - threshold) / np.sqrt(np.pi) - melt


alpha = brentq(balance, 1e-6, 10)
x = float(grid.coordinates[0][sensor])
exact = 1 - (1 - threshold) * erf(x / np.sqrt(4 * times)) / erf(alpha / 2)
exact = np.where(x < alpha * np.sqrt(times), exact, 0)
late = (
    times > 1.1 * ((x + 1 / cells) / alpha) ** 2
)  # the front has left the sensor's cell

print(
    "mean         error at the sensor   total variation over the exact one   "
    "front position"
)
errors, front = {}, alpha * np.sqrt(times[-1])
for face, u in saved.items():
    history = u[late, sensor]
    errors[face] = np.abs(history - exact[late]).max()
    excess = np.abs(np.diff(history)).sum() / np.ptp(exact[late])
    reached = np.sum(u[-1] > threshold / 2) / cells
    print(
        f"{face:12s} {errors[face]:.1e} {excess:27.3f} {reached:31.3f} "
        f"(exact {front:.3f})"
    )
assert (
    errors["shock"]
    < 0.3 * errors["integral"]
    < errors["arithmetic"]
    < errors["harmonic"]
)

figure = Figure(figsize=(8, 3), layout="constrained")
left, right = figure.subplots(1, 2)
for face, u in saved.items():
    left.plot(grid.coordinates[0], u[-1], lw=1.2, label=face)
    right.plot(times, u[:, sensor], lw=1.2, label=face)
left.axvline(front, color="k", ls=":", lw=1, label="exact front")
right.plot(times, exact, "k--", lw=1, label="exact")
left.set(xlabel="position x", ylabel="temperature u", title=f"t = {times[-1]:.1f}")
right.set(xlabel="time t", ylabel="temperature u", title=f"sensor at x = {x:.3f}")
right.set(xlim=(0.012, 0.05), ylim=(0.45, 0.72))
left.legend(frameon=False, fontsize=8)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/10_stefan_front.png", dpi=120)
