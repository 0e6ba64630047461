"""The tables of a mesh problem, cut into one block of cells for each device.

A block has the device's own cells and, around them, all cells that their fluxes read:
the cells across their faces (one ring), and all cells that share a node with these.
Outside of the first ring the reconstruction is constant, since nothing reads it. Blocks
are padded with copies of their first cell and face, so that every value is sound.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from physcon.fv import MeshProblem

Ints = np.ndarray


class Blocks(NamedTuple):
    """Index tables of D devices; cells and faces by their number in the whole mesh.

    Attributes:
        own: own cells, ``(D, n)``.
        local: own cells and the cells around them, ``(D, m)``.
        faces: faces of the own cells and of the first ring, ``(D, f)``; the last one
            is padding.
        sound: whether a cell's neighbours are all local, ``(D, m)``.
        place: where each cell of the mesh stands in the flattened `own`, ``(c)``.
        send: which own cells go from each device to each other one, ``(D, D, h)``.
        pick: as in `Halo`, ``(D, m)``.
    """

    own: Ints
    local: Ints
    faces: Ints
    sound: Ints
    place: Ints
    send: Ints
    pick: Ints


def blocks(problem: MeshProblem, part: Ints, devices: int) -> Blocks:
    """The blocks of a partition."""
    cell = np.asarray(problem.tables.cell).T
    vertex = np.asarray(problem.tables.vertex).T
    around = np.asarray(problem.tables.around).T
    mesh_faces = np.asarray(problem.grid.faces)
    own = [np.flatnonzero(part == d) for d in range(devices)]
    near = [np.unique(np.concatenate([o, cell[o].ravel()])) for o in own]
    reach = [np.unique(around[vertex[n].ravel()].ravel()) for n in near]
    halo = [np.setdiff1d(r, o) for r, o in zip(reach, own, strict=True)]
    faces = [np.unique(mesh_faces[n][mesh_faces[n] >= 0]) for n in near]
    most = max(map(len, own))
    mine = np.stack([_padded(o, most) for o in own])
    ring = max(map(len, halo))
    local = np.stack(
        [
            np.concatenate([o, _padded_by(h, ring, int(o[0]))])
            for o, h in zip(mine, halo, strict=True)
        ]
    )
    sound = np.stack([np.isin(m, n) for m, n in zip(local, near, strict=True)])
    place = np.zeros(len(part), np.int64)
    for d, o in enumerate(own):
        place[o] = d * most + np.arange(len(o))
    longest = max(map(len, faces)) + 1
    held = np.stack([_padded(f, longest) for f in faces])
    send, pick = _messages(halo, part, place, most, ring, devices)
    return Blocks(mine, local, held, sound, place, send, pick)


def _messages(
    halo: list[Ints], part: Ints, place: Ints, most: int, ring: int, devices: int
) -> tuple[Ints, Ints]:
    """What is sent, and where what is received stands in each device's list."""
    wanted = [[h[part[h] == s] for s in range(devices)] for h in halo]
    width = max(1, max(len(w) for row in wanted for w in row))
    send = np.zeros((devices, devices, width), np.int64)
    pick = np.zeros((devices, most + ring), np.int64)
    for d, row in enumerate(wanted):
        pick[d, :most] = np.arange(most)
        slot = np.zeros(len(part), np.int64)
        for s, cells in enumerate(row):
            send[s, d, : len(cells)] = place[cells] - s * most
            slot[cells] = most + s * width + np.arange(len(cells))
        pick[d, most : most + len(halo[d])] = slot[halo[d]]
    return send, pick


def _padded(x: Ints, size: int) -> Ints:
    return _padded_by(x, size, int(x[0]))


def _padded_by(x: Ints, size: int, value: int) -> Ints:
    return np.concatenate([x, np.full(size - len(x), value)])


class OnPatch(eqx.Module):
    """The local faces of one patch, and their places in the list of the whole patch."""

    face: Any
    place: Any


def local_tables(problem: MeshProblem, b: Blocks) -> Any:
    """(mesh, tables, one `OnPatch` a patch), with a leading axis of devices."""
    arrays = jax.tree.map(np.asarray, (problem.grid, problem.tables))
    patches = [np.asarray(f) for f in problem.boundary.faces]
    vertex = arrays[1].vertex
    nodes = [np.unique(vertex[:, local]) for local in b.local]
    most = max(map(len, nodes))
    cut = []
    for d in range(len(b.own)):
        block = _Block(b.local[d], b.faces[d], b.sound[d], _padded(nodes[d], most))
        place = _positions(block.faces, arrays[0].area.size)
        held = [np.flatnonzero(place[f] >= 0) for f in patches]
        on_patch = [(place[f][h], h) for f, h in zip(patches, held, strict=True)]
        cut.append((_mesh_of(arrays[0], block), _tables_of(arrays[1], block), on_patch))
    last = b.faces.shape[1] - 1
    lists = []
    for k in range(len(patches)):
        longest = max(1, max(len(c[2][k][0]) for c in cut))
        face = [_padded_by(c[2][k][0], longest, last) for c in cut]
        where = [_padded_by(c[2][k][1], longest, 0) for c in cut]
        lists.append(OnPatch(_index(np.stack(face)), _index(np.stack(where))))
    stacked = jax.tree.map(lambda *x: np.stack(x), *[c[:2] for c in cut])
    return (*stacked, lists)


class _Block(NamedTuple):
    """Cells, faces and nodes of one device, by their numbers in the whole mesh."""

    cells: Ints
    faces: Ints
    sound: Ints
    nodes: Ints


def _mesh_of(mesh: Any, block: _Block) -> Any:
    """The mesh of one block, without its nodes."""
    cells, faces = block.cells, block.faces
    cell = _positions(cells, mesh.volume.size)
    beyond = mesh.neighbour[faces]
    names = ("area", "normal", "patch", "to_owner", "to_neighbour")
    place = _positions(faces, mesh.area.size)
    nothing = np.zeros((len(cells), 0), np.int32)
    return _with(
        mesh,
        {name: getattr(mesh, name)[faces] for name in names}
        | {
            "volume": mesh.volume[cells],
            "centroid": mesh.centroid[cells],
            "owner": _index(cell[mesh.owner[faces]]),
            "neighbour": _index(np.where(beyond >= 0, cell[beyond], -1)),
            "faces": _index(np.where(mesh.faces >= 0, place[mesh.faces], -1)[cells]),
            "sign": mesh.sign[cells],
            "points": mesh.points[:0],
            "corners": nothing,
            "vertices": nothing,
        },
    )


def _tables_of(s: Any, block: _Block) -> Any:
    """The tables of one block."""
    cells, faces = block.cells, block.faces
    size = s.cell.shape[1]
    cell = _positions(cells, size)
    place = _positions(faces, len(s.far))
    node = _positions(block.nodes, s.around.shape[1])
    kept = block.sound.astype(s.weights.dtype)
    face = place[s.face[:, cells]]
    around = cell[s.around[:, block.nodes]]
    weighted = ("weights", "filled_weights", "mean_weights", "arm", "vertex_arm")
    near = np.where(block.sound, cell[s.cell[:, cells]], np.arange(len(cells)))
    tables = {name: getattr(s, name)[..., cells] * kept for name in weighted} | {
        "cell": _index(near),
        "face": _index(np.maximum(face, 0)),
        "sign": np.where(face >= 0, s.sign[:, cells], 0),
        "far": _index(cell[s.far[faces]]),
        "gap": s.gap[faces],
        "left": _index(_side(s.left[faces], cell, len(s.cell))),
        "right": _index(_side(s.right[faces], cell, len(s.cell))),
        "vertex": _index(node[s.vertex[:, cells]]),
        "around": _index(np.where(around >= 0, around, around.max(axis=0))),
        "frame": s.frame[..., faces],
    }
    if s.up is not None:
        tables["up"] = s.up[:, cells]
    return _with(s, tables)


def _with(tree: Any, values: dict[str, Ints]) -> Any:
    """A module of NumPy arrays with some of them replaced."""
    return eqx.tree_at(
        lambda t: [getattr(t, n) for n in values], tree, [*values.values()]
    )


def _positions(listed: Ints, size: int) -> Ints:
    """Where each number stands first in a list with repetitions; -1 if nowhere."""
    found = np.full(size, -1)
    found[listed[::-1]] = np.arange(len(listed))[::-1]
    return found


def _side(side: Ints, cell: Ints, count: int) -> Ints:
    """The place of a side among the sides of the local cells, `count` of each."""
    owner, place = np.divmod(side, count)
    return cell[owner] * count + place


def _index(x: Ints) -> Ints:
    return x.astype(np.int32)
