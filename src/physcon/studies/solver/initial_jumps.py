"""Initial states with jumps: Riemann problems, discs, quadrants."""

from collections.abc import Sequence

import numpy as np

from physcon._checks import require
from physcon.studies.solver.initial_fields import Numbers, fill, per_axis, square


def uniform(x: np.ndarray, channels: int, *, state: Numbers) -> np.ndarray:
    """The same state everywhere."""
    return fill(state, channels, "state", x) + np.zeros_like(x[0])


def riemann(
    x: np.ndarray,
    channels: int,
    *,
    left: Numbers,
    right: Numbers,
    position: Numbers = (0.5,),
) -> np.ndarray:
    """Two states that meet at a position on the first axis."""
    sides = (fill(s, channels, n, x) for s, n in ((left, "left"), (right, "right")))
    return np.where(x[0] < position[0], *sides)


def dam_break(
    x: np.ndarray,
    channels: int,
    *,
    left: Numbers,
    right: Numbers = (0.0,),
    position: Numbers = (0.5,),
) -> np.ndarray:
    """Water at rest, with a different depth on either side."""
    require(
        channels == 1 + len(x),
        "shallow water without bed",
        f"{channels} variables",
        "use the initial state riemann",
    )
    rest = (0.0,) * len(x)
    one, other = ((d[0], *rest) for d in (left, right))
    return riemann(x, channels, left=one, right=other, position=position)


def disc(
    x: np.ndarray,
    channels: int,
    *,
    inside: Numbers,
    outside: Numbers,
    radius: float,
    centre: Numbers = (0.0,),
) -> np.ndarray:
    """One state within a radius (an interval in 1-D), another beyond."""
    states = (
        fill(s, channels, n, x) for s, n in ((inside, "inside"), (outside, "outside"))
    )
    return np.where(square(x, centre) < radius**2, *states)


def blast(
    x: np.ndarray,
    channels: int,
    *,
    inside: Numbers,
    outside: Numbers,
    radius: float,
    centre: Numbers = (0.0,),
) -> np.ndarray:
    """Gas of density 1 at rest, with a high pressure within a radius."""
    require(
        channels == 2 + len(x),
        "the Euler equations",
        f"{channels} variables",
        "use the initial state disc",
    )
    rest = (1.0,) + (0.0,) * len(x)
    hot, cold = ((*rest, p[0]) for p in (inside, outside))
    return disc(x, channels, inside=hot, outside=cold, radius=radius, centre=centre)


def quadrants(
    x: np.ndarray,
    channels: int,
    *,
    states: Sequence[Numbers],
    position: Numbers = (0.5,),
) -> np.ndarray:
    """Four states: upper right, upper left, lower left, lower right of a corner.

    Source:
        Schulz-Rinne, Collins and Glaz, SIAM J. Sci. Comput. 14 (1993) 1394.
    """
    require(len(x) == 2, "two dimensions", len(x), "use the initial state riemann")
    a, b, c, d = (fill(s, channels, "each of the states", x) for s in states)
    corner = per_axis(position, 2)
    east = x[0] > corner[0]
    north = x[1] > corner[1]
    return np.where(north, np.where(east, a, b), np.where(east, d, c))


def shock_entropy(x: np.ndarray, channels: int) -> np.ndarray:
    """A shock of Mach number 3 that runs into density waves.

    It is usually solved on [-5, 5] until t = 1.8.

    Source:
        Shu and Osher, J. Comput. Phys. 83 (1989) 32, example 8.
    """
    require(
        channels == 3 and len(x) == 1,
        "the Euler equations in 1-D",
        f"{len(x)}-D",
        "use the initial state disc",
    )
    wave = np.stack(
        [1 + 0.2 * np.sin(5 * x[0]), np.zeros_like(x[0]), np.ones_like(x[0])]
    )
    behind = np.array([27 / 7, 4 * np.sqrt(35) / 9, 31 / 3])[:, None]
    return np.where(x[0] < -4, behind.reshape((3,) + (1,) * (x.ndim - 1)), wave)
