"""Divide the axes of a grid among devices."""

import itertools
import math
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from physcon._checks import require
from physcon._mesh import check_axes
from physcon.studies.solver.equations import AXES


def divided(cells: Sequence[int], parts: Sequence[int] = ()) -> Mesh:
    """A mesh with one axis per grid axis, over all processes if there are several.

    Args:
        parts: devices per axis. If empty, all devices are used, arranged so that a
            block sends the fewest cells.

    Raises:
        ValueError: if the devices do not divide the grid evenly.
    """
    devices = jax.devices()
    names = AXES[: len(cells)]
    parts = tuple(parts) or even_parts(cells, len(devices))
    number = math.prod(parts)
    one = jax.process_count() == 1
    several = f"{len(devices)} devices of all processes"
    require(
        len(parts) == len(cells) and min(parts) > 0,
        f"--mesh with a number of devices for each of {len(cells)} axes",
        parts,
        "1 leaves an axis whole",
    )
    require(
        number <= len(devices) if one else number == len(devices),
        f"--mesh over {f'at most {len(devices)} devices' if one else several}",
        f"{' x '.join(map(str, parts))} = {number}",
        "give other numbers, or none to have them chosen",
    )
    mesh = Mesh(np.asarray(devices[:number]).reshape(parts), names)
    check_axes(mesh, names, tuple(cells))
    return mesh


def even_parts(cells: Sequence[int], devices: int) -> tuple[int, ...]:
    """Devices per axis that divide the grid evenly.

    The blocks have the least inner surface and, among equals, are the least slender.

    >>> even_parts((128, 128), 8), even_parts((6, 100), 4), even_parts((9, 8), 2)
    ((4, 2), (1, 4), (1, 2))
    """
    factors = [n for n in range(1, devices + 1) if devices % n == 0]
    fitting = [
        parts
        for parts in itertools.product(factors, repeat=len(cells))
        if math.prod(parts) == devices
        and all(n % p == 0 for n, p in zip(cells, parts, strict=True))
    ]
    require(
        bool(fitting),
        f"grid.cells that {devices} devices divide evenly",
        tuple(cells),
        "set other cells, or say with --mesh how many devices to take of one process",
    )

    def cost(parts: tuple[int, ...]) -> tuple:
        block = [n // p for n, p in zip(cells, parts, strict=True)]
        inside = [
            math.prod(block) // b for b, p in zip(block, parts, strict=True) if p > 1
        ]
        return sum(inside), -min(block), parts[::-1]

    return min(fitting, key=cost)
