"""Conditions on control volumes, and measures of their quality."""

from typing import NamedTuple

import numpy as np

from physcon._checks import require
from physcon._show import shown
from physcon.mesh.topology import Mesh


def check(
    volume: np.ndarray,
    area: np.ndarray,
    normal: np.ndarray,
    faces: np.ndarray,
    sign: np.ndarray,
    closed: bool,
) -> None:
    """Raise unless sizes are positive and, if `closed`, outward vectors sum to 0."""
    flat = np.flatnonzero(~(volume > 0))
    require(
        flat.size == 0,
        "cells of positive volume",
        f"{flat.size} others, first cell {flat[:1]} with {volume[flat[:1]]}",
        "correct the order of the nodes, or remove degenerate cells",
    )
    empty = np.flatnonzero(~(area > 0))
    require(
        empty.size == 0,
        "faces of positive area",
        f"{empty.size} others, first face {empty[:1]}",
        "merge repeated nodes",
    )
    if not closed:
        return
    vectors = (area[:, None] * normal)[faces] * sign[..., None]
    opening = np.linalg.norm(vectors.sum(axis=1), axis=1)
    surface = np.abs(area[faces] * sign).sum(axis=1)
    open_cells = np.flatnonzero(opening > 1e-9 * surface)
    require(
        open_cells.size == 0,
        "closed cells: outward face vectors that sum to zero",
        f"{open_cells.size} open cells, first {open_cells[:1]}",
        "check that `same` joins nodes one period apart",
    )


class Quality(NamedTuple):
    """The quality of a mesh for finite volumes: each worst value and its index.

    Attributes:
        orthogonality: smallest cosine between a face's normal and the line between the
            centroids on its two sides; 1 is best.
        skewness: largest distance between a face's centre and that line, in units of
            the distance of the centroids; 0 is best.
        growth: largest ratio of the volumes on the two sides of a face; 1 is best.
    """

    orthogonality: tuple[float, int]
    skewness: tuple[float, int]
    growth: tuple[float, int]

    __repr__ = shown


def quality(mesh: Mesh) -> Quality:
    """The worst faces of a mesh by three measures; not under jit."""
    inner = np.flatnonzero(np.asarray(mesh.neighbour) >= 0)
    require(inner.size > 0, "a mesh of two or more cells", mesh.size, "refine the mesh")
    near = np.asarray(mesh.to_owner, np.float64)[inner]
    far = np.asarray(mesh.to_neighbour, np.float64)[inner]
    normal = np.asarray(mesh.normal, np.float64)[inner]
    line = near - far
    length = np.linalg.norm(line, axis=1)
    cosine = np.sum(line * normal, axis=1) / length
    along = np.sum(near * normal, axis=1) / np.sum(line * normal, axis=1)
    skew = np.linalg.norm(near - along[:, None] * line, axis=1) / length
    volume = np.asarray(mesh.volume, np.float64)
    ratio = volume[mesh.owner[inner]] / volume[mesh.neighbour[inner]]
    growth = np.maximum(ratio, 1 / ratio)

    def worst(values: np.ndarray, place: int) -> tuple[float, int]:
        return float(values[place]), int(inner[place])

    return Quality(
        worst(cosine, int(cosine.argmin())),
        worst(skew, int(skew.argmax())),
        worst(growth, int(growth.argmax())),
    )
