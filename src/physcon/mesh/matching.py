"""Which sides of cells form one face, and to which patch a boundary face belongs."""

from collections.abc import Callable, Mapping

import numpy as np

from physcon._checks import require
from physcon.mesh.geometry import (
    Sides,
)

#: Name -> nodes of the faces ``(n, nodes of a face)``, or a function of their centres.
Patches = Mapping[str, np.ndarray | Callable[[np.ndarray], np.ndarray]]


def joined(corners: np.ndarray, same: np.ndarray | None) -> np.ndarray:
    """The nodes, each replaced by the one that it coincides with."""
    return corners if same is None else np.where(corners < 0, -1, same[corners])


def face_keys(corners: np.ndarray, same: np.ndarray | None) -> np.ndarray:
    """The nodes of each face in increasing order: equal for both of its sides."""
    return np.sort(joined(corners, same), axis=1)


def pairs(sides: Sides, same: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """For each face its first side and its second one; -1 on the boundary."""
    keys = face_keys(sides.corners, same)
    order = np.lexsort((sides.cell, *keys.T[::-1]))
    keys = keys[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    face = np.cumsum(new) - 1
    count = np.bincount(face)
    crowded = np.flatnonzero(count > 2)
    if crowded.size:
        cells = sides.cell[order[face == crowded[0]]]
        require(
            False,
            "faces of one or two cells",
            f"a face of the cells {cells.tolist()}",
            "remove repeated or overlapping cells",
        )
    start = np.flatnonzero(new)
    second = np.where(count == 2, order[np.minimum(start + 1, len(order) - 1)], -1)
    first = order[start]
    # Faces in the order of their owners: neighbours in memory are neighbours in space.
    by_owner = np.lexsort((second, first))
    return first[by_owner], second[by_owner]


def named(
    patches: Patches | None,
    sides: Sides,
    first: np.ndarray,
    inside: np.ndarray,
    same: np.ndarray | None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The patch of each face, and the names."""
    patch = np.full(len(first), -1)
    outer = np.flatnonzero(~inside)
    keys = face_keys(sides.corners[first[outer]], same)
    known = {tuple(key[key >= 0]): face for key, face in zip(keys, outer, strict=True)}
    names = list(patches or {})
    for k, name in enumerate(names):
        members = (patches or {})[name]
        if callable(members):
            chosen = outer[np.asarray(members(sides.centre[first[outer]]), bool)]
        else:
            wanted = [tuple(sorted(key[key >= 0])) for key in np.asarray(members)]
            absent = [key for key in wanted if key not in known]
            require(
                not absent,
                f"boundary faces in patch {name!r}",
                f"{len(absent)} faces that are not, first {absent[:1]}",
                "give the nodes of faces on the boundary",
            )
            chosen = np.array([known[key] for key in wanted], dtype=int)
        taken = chosen[patch[chosen] >= 0]
        require(
            taken.size == 0,
            "every boundary face in one patch",
            f"{taken.size} faces in {name!r} and in an earlier patch",
            "make the patches disjoint",
        )
        patch[chosen] = k
    rest = outer[patch[outer] < 0]
    if rest.size:
        patch[rest] = len(names)
        names.append("boundary")
    return patch, tuple(names)
