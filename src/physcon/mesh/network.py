"""Networks: nodes that store an amount, and edges that carry it between them."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_no_negative
from physcon._typing import Array, ArrayLike, Float, Int
from physcon.mesh.topology import ControlVolumes


class Network(ControlVolumes):
    """Control volumes without a geometry: rivers, pipes, roads; see `network`.

    n nodes, e edges. All arrays are leaves: another network of the same sizes doesn't
    recompile. A law on a network takes the flow along each edge, ``(e)``, where a law
    on a mesh takes the flux through each face.

    Attributes:
        volume: what a node holds per unit of the stored field, ``(n)``: the area of a
            tank for a water level, or 1 where the field is the amount itself.
        area: flow along an edge per unit of the flux, ``(e)``; 1 where the field is
            the flow itself.
        capacity: the largest flow in either direction, ``(e)``; infinite if unlimited.
        owner: the node that each edge leaves, ``(e)``; -1: it enters from outside.
        neighbour: the node that it enters, ``(e)``; -1: it leaves the network.
        patch: position in `patches` of each outer edge's group, ``(e)``; -1 inside.
        patches: names of the groups of outer edges.
    """

    volume: Float[Array, " n"]
    area: Float[Array, " e"]
    capacity: Float[Array, " e"]
    owner: Int[Array, " e"]
    neighbour: Int[Array, " e"]
    patch: Int[Array, " e"]
    patches: tuple[str, ...] = eqx.field(static=True, default=())

    def outflow(self, flux: Float[Array, "*b e"]) -> Float[Array, "*b n"]:
        """What leaves each node along its edges less what enters it."""
        require(
            flux.shape[-1:] == (self.face_count,),
            f"edge values on the last axis, of length {self.face_count}",
            flux.shape,
            "put the axis of the edges last",
        )
        area = jnp.broadcast_to(self.area.astype(flux.dtype), flux.shape)
        through = jnp.moveaxis(flux * area, -1, 0)
        size = self.size + 1  # the last place collects what lies outside
        leaving = jax.ops.segment_sum(through, self.owner % size, size)
        entering = jax.ops.segment_sum(through, self.neighbour % size, size)
        return jnp.moveaxis((leaving - entering)[:-1], 0, -1)


def network(
    edges: ArrayLike | Sequence[Sequence[int]],
    nodes: int,
    *,
    storage: ArrayLike = 1.0,
    capacity: ArrayLike = jnp.inf,
    patches: Mapping[str, ArrayLike] | None = None,
) -> Network:
    """A network from its edges.

    Args:
        edges: integers ``(e, 2)``: from and to which node, counted from 0; -1 on one
            end: the edge comes from outside, or leads there.
        nodes: the number of nodes, n.
        storage: what a node holds per unit of the field, a scalar or ``(n)``.
        capacity: the largest flow along each edge, a scalar or ``(e)``.
        patches: name -> positions in `edges` of the outer edges of this group. Outer
            edges without a group belong to ``"boundary"``.

    Raises:
        ValueError: a node out of range, an edge with both ends outside or on one node,
            a storage that is not positive, or a group of edges that are not outer ones.

    >>> pipe = network([[-1, 0], [0, 1], [1, -1]], 2, patches={"inlet": np.array([0])})
    >>> pipe.patches, pipe.outflow(jnp.array([2.0, 2.0, 1.5])).tolist()
    (('inlet', 'boundary'), [0.0, -0.5])
    """
    ends = checked_ends(edges, nodes)
    volume = np.broadcast_to(np.asarray(storage, float), (nodes,))
    empty = np.flatnonzero(~(volume > 0))
    require(
        empty.size == 0,
        "a positive storage at every node",
        f"{empty.size} others, first node {empty[:1].tolist()}",
        "use divergence_free for nodes that store nothing",
    )
    patch, names = _grouped(ends, dict(patches or {}))
    limit = jnp.asarray(capacity, jnp.result_type(float))
    require_no_negative(
        limit, "a capacity", "pass the largest flow in either direction"
    )
    return Network(
        volume=jnp.asarray(volume, float),
        area=jnp.ones(len(ends)),
        capacity=jnp.broadcast_to(limit, (len(ends),)),
        owner=jnp.asarray(ends[:, 0], jnp.int32),
        neighbour=jnp.asarray(ends[:, 1], jnp.int32),
        patch=jnp.asarray(patch, jnp.int32),
        patches=names,
    )


def checked_ends(edges: ArrayLike | Sequence[Sequence[int]], nodes: int) -> np.ndarray:
    """The two nodes of each edge, an integer array ``(e, 2)``; or an error."""
    ends = np.asarray(edges)
    require(
        ends.ndim == 2 and ends.shape[1] == 2 and np.issubdtype(ends.dtype, np.integer),
        "edges as integers of shape (e, 2)",
        f"shape {ends.shape} of {ends.dtype}",
        "give the two nodes of each edge",
    )
    wrong = np.flatnonzero((ends < -1).any(axis=1) | (ends >= nodes).any(axis=1))
    require(
        wrong.size == 0,
        f"nodes from -1 (outside) to {nodes - 1}",
        f"other numbers in edge(s) {wrong[:5].tolist()}",
        "number the nodes from 0",
    )
    loops = np.flatnonzero(ends[:, 0] == ends[:, 1])
    require(
        loops.size == 0,
        "edges between two nodes, or between a node and the outside",
        f"equal ends at edge(s) {loops[:5].tolist()}",
        "remove these edges: their flow leaves no node",
    )
    return ends


def _grouped(
    ends: np.ndarray, groups: dict[str, ArrayLike]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The group of each outer edge, and the names of the groups."""
    outer = np.asarray((ends < 0).any(axis=1))
    patch = np.full(len(ends), -1)
    for k, (name, members) in enumerate(groups.items()):
        chosen = np.atleast_1d(np.asarray(members, int))
        known = chosen[(chosen >= 0) & (chosen < len(ends))]
        fits = known.size == chosen.size and bool(outer[known].all())
        require(
            fits,
            f"edges of group {name!r} with one end outside (-1)",
            f"edges {chosen[:5].tolist()}",
            "list the positions of outer edges",
        )
        require(
            bool((patch[chosen] < 0).all()),
            "every outer edge in one group",
            f"edges of {name!r} in an earlier group",
            "make the groups disjoint",
        )
        patch[chosen] = k
    names = list(groups)
    rest = outer & (patch < 0)
    if rest.any():
        patch[rest] = len(names)
        names.append("boundary")
    return patch, tuple(names)
