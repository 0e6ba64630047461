# %% [markdown]
# # 23. A wind tunnel with a step
#
# Gas enters a tunnel at Mach 3 and meets a step. A detached shock forms, is reflected
# by the walls, and meets itself in a triple point (Emery 1968; Woodward and Colella
# 1984). The tunnel is not a box, so that its cells are a mesh.

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import physcon as pc
from physcon import fv, mesh
from physcon.boundary import Dirichlet, Outflow, Reflective
from physcon.report import plot_cells

# %% [markdown]
# ## The cells
#
# The squares of a grid, without the ones in the step. `mesh.renumbered` orders them so
# that neighbours are near each other in memory.

# %%
n = 40
box = mesh.from_grid(pc.Grid.uniform((0.0, 0.0), (3.0, 1.0), (3 * n, n)))
centre = np.asarray(box.centroid)
open_cells = (centre[:, 0] < 0.6) | (centre[:, 1] > 0.2)
tunnel = mesh.from_cells(
    np.asarray(box.points),
    np.asarray(box.corners)[open_cells],
    {
        "inlet": lambda c: c[:, 0] < 1e-6,
        "outlet": lambda c: c[:, 0] > 3 - 1e-6,
        "walls": lambda c: (c[:, 0] > 1e-6) & (c[:, 0] < 3 - 1e-6),
    },
)
tunnel = mesh.renumbered(tunnel).mesh
print(f"{tunnel.size} cells, patches {tunnel.patches}")

# %% [markdown]
# ## The flow
#
# Density and pressure stay positive behind the corner (`fv.Positive`).

# %%
gas = fv.Euler(1.4)
inflow = gas.conservative(jnp.array([1.4, 3.0, 0.0, 1.0])[:, None])
u = jnp.broadcast_to(inflow, (4, tunnel.size))
sides = {"inlet": Dirichlet(inflow[:, 0]), "outlet": Outflow(), "walls": Reflective()}
scheme = fv.Scheme(fv.Positive(fv.Linear()), fv.hllc, fv.ssp_rk2)
solution = fv.solve(u, gas, tunnel, sides, scheme, times=[0.5, 4.0])
print(f"{solution.steps} steps")

# %%
figure, axes = plt.subplots(2, 1, figsize=(9, 6.6), layout="constrained")
for ax, state, t in zip(axes, solution.u, solution.times, strict=True):
    density = gas.primitive(state)[0]
    plot_cells(ax, tunnel, density, "density", limits=(0.3, 6.4), cmap="viridis")
    ax.set_title(f"t = {float(t):g}")
plt.show()

# %% [markdown]
# What enters through the inlet leaves through the outlet or stays: the mass balance
# closes to rounding, since each flux leaves one cell and enters the next.

# %%
flux = fv.face_flux(solution.u[-1], gas, tunnel, sides, scheme)[0]
through = flux * tunnel.area
change = fv.tendency(solution.u[-1], gas, tunnel, sides, scheme)[0]
enters = -through[tunnel.boundary_faces("inlet")].sum()
leaves = through[tunnel.boundary_faces("outlet")].sum()
stored = tunnel.integrate(change)
print(f"enters {enters:.5f}, leaves {leaves:.5f}, stored {stored:.5f}")
