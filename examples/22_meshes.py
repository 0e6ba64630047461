# %% [markdown]
# # 22. Flow past a cylinder on triangles
#
# Engineering data live on triangles and polygons. This example makes a mesh around a
# cylinder, repairs predicted fluxes through its edges so that no cell gains or loses
# fluid, and then solves the Euler equations on the same mesh.

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import Delaunay

import physcon as pc
from physcon import fv, io, mesh
from physcon.boundary import Dirichlet, Outflow, Reflective
from physcon.report import plot_cells, plot_fluxes, plot_patches

# %% [markdown]
# ## A mesh from nodes and triangles
#
# Nodes on the cylinder, nodes around it, and the triangles between them. Boundary
# patches are named by a function of the face centres. `physcon.io.read_mesh` reads
# gmsh, VTK and UGRID files instead.

# %%
radius = 0.25
middle = np.array([1.0, 0.5])
rng = np.random.default_rng(0)
x, y = np.meshgrid(np.linspace(0, 3, 49), np.linspace(0, 1, 17), indexing="ij")
nodes = np.stack([x.ravel(), y.ravel()], axis=1)
inside = (nodes > 0).all(1) & (nodes[:, 0] < 3) & (nodes[:, 1] < 1)
nodes = nodes + inside[:, None] * rng.uniform(-0.012, 0.012, nodes.shape)
nodes = nodes[np.linalg.norm(nodes - middle, axis=1) > radius + 0.03]
angle = np.linspace(0, 2 * np.pi, 29)[:-1]
ring = middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
points = np.concatenate([nodes, ring])
cells = Delaunay(points).simplices
centre = points[cells].mean(axis=1)
first, second = (points[cells[:, k]] - points[cells[:, 0]] for k in (1, 2))
area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
keep = (np.linalg.norm(centre - middle, axis=1) > 0.98 * radius) & (area > 1e-9)
tunnel = mesh.from_cells(
    points,
    cells[keep],
    {
        "inlet": lambda c: c[:, 0] < 1e-9,
        "outlet": lambda c: c[:, 0] > 3 - 1e-9,
        "walls": lambda c: (c[:, 1] < 1e-9) | (c[:, 1] > 1 - 1e-9),
        "cylinder": lambda c: np.linalg.norm(c - middle, axis=1) < 1.05 * radius,
    },
)
print(f"{tunnel.size} cells, {tunnel.face_count} faces, patches {tunnel.patches}")
print(mesh.quality(tunnel))

figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
plot_cells(ax, tunnel, tunnel.volume, "area of the cells", edges=True)
plot_patches(ax, tunnel)
plt.show()

# %% [markdown]
# ## Predicted fluxes that conserve mass
#
# A model has predicted the velocity through every face: here potential flow, with
# errors that are larger in the wake. The law says that nothing accumulates in any cell,
# that nothing passes the walls and the cylinder, and what enters. It has a row for
# each cell and each known face, and is solved by one sparse factorisation, which also
# gives the remaining uncertainty.

# %%
face = np.asarray(tunnel.centroid)[tunnel.owner] + np.asarray(tunnel.to_owner)
dx, dy = (face - middle).T
distance = dx**2 + dy**2
flow = np.stack(
    [
        1 - radius**2 * (dx**2 - dy**2) / distance**2,
        -2 * radius**2 * dx * dy / distance**2,
    ],
    axis=1,
)
truth = np.sum(flow * np.asarray(tunnel.normal), axis=1)
std = 0.03 + 0.15 * ((dx > 0) & (np.abs(dy) < 0.3))
predicted = truth + std * rng.normal(size=truth.size)
prior = pc.Gaussian.diagonal(jnp.asarray(predicted), jnp.asarray(std))

inflow = jnp.full(tunnel.boundary_faces("inlet").size, -1.0)
law = pc.divergence_free(
    tunnel, boundary={"inlet": inflow, "walls": 0.0, "cylinder": 0.0}
)
posterior = pc.condition(prior, law).posterior
before = np.abs(tunnel.outflow(prior.mean))
after = np.abs(tunnel.outflow(posterior.mean))
print(f"largest gain or loss of a cell: {before.max():.1e}, then {after.max():.1e}")
outlet = tunnel.boundary_faces("outlet")
leaving = np.sum(np.asarray(posterior.mean * tunnel.area, float)[outlet])
print(f"what leaves at the outlet: {leaving:.7f}; what enters: 1")
print(f"mean std: {np.mean(std):.3f} before, {np.mean(posterior.std()):.3f} after")
assert after.max() < 1e-6
assert abs(leaving - 1) < 1e-5

figure, axes = plt.subplots(2, 1, figsize=(9, 6.4), layout="constrained")
plot_cells(
    axes[0],
    tunnel,
    before / np.asarray(tunnel.volume),
    "|divergence| before",
    cmap="magma",
)
axes[0].set_title("The prediction creates and destroys fluid")
plot_patches(axes[1], tunnel)
plot_fluxes(axes[1], tunnel, posterior.mean - prior.mean, scale=15)
axes[1].set_title(f"The corrections: no cell gains more than {after.max():.1e}")
plt.show()

# %% [markdown]
# Do not use this where the divergence is not zero: a compressible flow, or cells that
# store water. `physcon.balance` is the law for those.
#
# ## The Euler equations on the same mesh
#
# The laws, Riemann solvers and time steps are those of grids. Conditions are given by
# the names of the patches. The tunnel is open above and below here: with walls the
# cylinder would choke it.

# %%
gas = fv.Euler()
stream = gas.conservative(jnp.array([1.0, 2 * np.sqrt(1.4), 0.0, 1.0])[:, None])
solution = fv.solve(
    jnp.broadcast_to(stream, (4, tunnel.size)),
    gas,
    tunnel,
    {
        "inlet": Dirichlet(stream[:, 0]),
        "outlet": Outflow(),
        "walls": Outflow(),
        "cylinder": Reflective(),
    },
    fv.Scheme(fv.Positive(fv.Linear()), fv.hllc),
    times=[1.2],
)
density, _, _, pressure = gas.primitive(solution.u[-1])
print(f"{solution.steps} steps; largest pressure at the nose {pressure.max():.2f}")

figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
plot_cells(ax, tunnel, density, "density", cmap="cividis")
ax.set_title("A bow shock ahead of the cylinder, Mach 2")
plt.show()

# %% [markdown]
# The pressure behind a normal shock at Mach 2, brought to rest, is 5.64 times the
# pressure ahead (Rayleigh's pitot formula). The result can be opened in ParaView:

# %%
assert 5.2 < float(pressure.max()) < 6.1
io.write_mesh("cylinder.vtu", tunnel, {"density": density, "pressure": pressure})
