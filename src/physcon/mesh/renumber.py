"""Another order of the cells, so that neighbours in space are neighbours in memory."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require
from physcon.mesh.build import faces_of_cells
from physcon.mesh.topology import Mesh


class Renumbered(NamedTuple):
    """A mesh with its cells in another order.

    Attributes:
        mesh: the new mesh. Its faces are ordered by their owners.
        order: ``u[..., order]`` brings cell averages from the old mesh to the new one.
        back: ``u[..., back]`` brings cell averages from the new mesh to the old one.
    """

    mesh: Mesh
    order: np.ndarray  # (c)
    back: np.ndarray  # (c)


def renumbered(mesh: Mesh) -> Renumbered:
    """The same cells in the order of reverse Cuthill and McKee; not under jit.

    Mesh generators number cells in any order. A step then reads neighbours from all
    over the memory, which is slow where the cells don't fit in the cache.

    Source: George and Liu (1981), sec. 4.3; computed by SciPy.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    require(
        not is_traced(mesh.owner),
        "a mesh with known connections",
        "a mesh traced by jit or vmap",
        "renumber it outside of jit",
    )
    owner = np.asarray(mesh.owner)
    neighbour = np.asarray(mesh.neighbour)
    inside = neighbour >= 0
    ends = owner[inside], neighbour[inside]
    graph = coo_array((np.ones(ends[0].size), ends), shape=(mesh.size, mesh.size))
    order = reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)
    return in_order(mesh, np.asarray(order, np.int64))


def in_order(mesh: Mesh, order: np.ndarray) -> Renumbered:
    """The mesh whose i-th cell is the cell ``order[i]`` of `mesh`."""
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    owner = back[np.asarray(mesh.owner)]
    neighbour = np.asarray(mesh.neighbour)
    neighbour = np.where(neighbour >= 0, back[neighbour], -1)
    by_owner = np.lexsort((neighbour, owner))
    owner = owner[by_owner]
    neighbour = neighbour[by_owner]
    faces, sign = faces_of_cells(mesh.size, owner, neighbour)
    width = mesh.faces.shape[1] - faces.shape[1]
    faces = np.pad(faces, ((0, 0), (0, width)), constant_values=-1)
    sign = np.pad(sign, ((0, 0), (0, width)))
    of_cells = ("volume", "centroid", "corners", "vertices")
    of_faces = ("area", "normal", "patch", "to_owner", "to_neighbour")
    moved = {name: getattr(mesh, name)[order] for name in of_cells}
    moved |= {name: getattr(mesh, name)[by_owner] for name in of_faces}
    with jax.ensure_compile_time_eval():
        moved |= {
            "owner": jnp.asarray(owner, jnp.int32),
            "neighbour": jnp.asarray(neighbour, jnp.int32),
            "faces": jnp.asarray(faces, jnp.int32),
            "sign": jnp.asarray(sign, mesh.sign.dtype),
        }
    return Renumbered(replace(mesh, **moved), order, back)
