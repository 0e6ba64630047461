"""Initial states in primitive variables, as functions of position.

A family takes positions ``(d, *points)``, the number of variables, and settings by
name; it returns states ``(c, *points)``. Settings without a default are required, and
unknown settings are refused.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from physcon._checks import require
from physcon.studies.solver.settings import InitialSettings

Numbers = Sequence[float]


def uniform(x: np.ndarray, channels: int, *, state: Numbers) -> np.ndarray:
    """The same state everywhere."""
    return _fill(state, channels, "state", x) + np.zeros_like(x[0])


def riemann(
    x: np.ndarray,
    channels: int,
    *,
    left: Numbers,
    right: Numbers,
    position: Numbers = (0.5,),
) -> np.ndarray:
    """Two states that meet at a position on the first axis."""
    sides = (_fill(s, channels, n, x) for s, n in ((left, "left"), (right, "right")))
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
        "riemann",
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
        _fill(s, channels, n, x) for s, n in ((inside, "inside"), (outside, "outside"))
    )
    return np.where(_square(x, centre) < radius**2, *states)


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
        "use disc",
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
    require(len(x) == 2, "two dimensions", len(x), "use riemann")
    a, b, c, d = (_fill(s, channels, "each of the states", x) for s in states)
    corner = _per_axis(position, 2)
    east, north = x[0] > corner[0], x[1] > corner[1]
    return np.where(north, np.where(east, a, b), np.where(east, d, c))


def gaussian(
    x: np.ndarray,
    channels: int,
    *,
    amplitude: Numbers,
    width: float,
    centre: Numbers = (0.5,),
    state: Numbers = (0.0,),
) -> np.ndarray:
    """state + amplitude exp(-|x - centre|²/(2 width²))."""
    bump = np.exp(-0.5 * _square(x, centre) / width**2)
    return (
        _fill(state, channels, "state", x)
        + _fill(amplitude, channels, "amplitude", x) * bump
    )


def sine(
    x: np.ndarray,
    channels: int,
    box: tuple[np.ndarray, np.ndarray],
    *,
    amplitude: Numbers,
    waves: Sequence[int] = (1,),
    state: Numbers = (0.0,),
) -> np.ndarray:
    """state + amplitude Π_axis sin(2π waves (x - lower)/(upper - lower))."""
    wave = np.ones_like(x[0])
    for phase, number in zip(_phases(x, box), _per_axis(waves, len(x)), strict=True):
        wave = wave * np.sin(number * phase)
    return (
        _fill(state, channels, "state", x)
        + _fill(amplitude, channels, "amplitude", x) * wave
    )


def random(
    x: np.ndarray,
    channels: int,
    box: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    *,
    amplitude: Numbers,
    waves: Sequence[int] = (4,),
    state: Numbers = (0.0,),
) -> np.ndarray:
    """state + amplitude times a random periodic field of variance 1.

    The field has Fourier modes of equal variance up to `waves` periods per axis,
    independent for every variable.
    """
    phases = _phases(x, box)
    modes = np.stack(
        np.meshgrid(*[np.arange(n + 1) for n in _per_axis(waves, len(x))]), -1
    )
    modes = modes.reshape(-1, len(x))[1:]
    field = np.zeros((channels, *x.shape[1:]))
    for mode in modes:
        a, b = rng.normal(size=(2, channels) + (1,) * (x.ndim - 1)) / np.sqrt(
            len(modes)
        )
        angle = sum(m * phase for m, phase in zip(mode, phases, strict=True))
        field += a * np.cos(angle) + b * np.sin(angle)
    return (
        _fill(state, channels, "state", x)
        + _fill(amplitude, channels, "amplitude", x) * field
    )


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
        "use disc",
    )
    wave = np.stack(
        [1 + 0.2 * np.sin(5 * x[0]), np.zeros_like(x[0]), np.ones_like(x[0])]
    )
    behind = np.array([27 / 7, 4 * np.sqrt(35) / 9, 31 / 3])[:, None]
    return np.where(x[0] < -4, behind.reshape((3,) + (1,) * (x.ndim - 1)), wave)


def barenblatt(
    x: np.ndarray,
    channels: int,
    law: object,
    *,
    time: float = 1.0,
    centre: Numbers = (0.0,),
) -> np.ndarray:
    """Source solution of the porous medium equation u_t = div(u^m grad u).

    It is t^(-α d) (1 - α m |x|² t^(-2 α)/2)^(1/m) with α = 1/(d m + 2).

    Source:
        Vázquez, The Porous Medium Equation (2007), sec. 4.4.1 (with m for his m - 1).
    """
    require(
        hasattr(law, "exponent"),
        "the porous medium equation",
        type(law).__name__,
        "law: pme",
    )
    m, d = float(law.exponent), len(x)  # type: ignore[attr-defined]
    a = 1 / (d * m + 2)
    inside = np.maximum(1 - 0.5 * a * m * _square(x, centre) * time ** (-2 * a), 0)
    return (time ** (-a * d) * inside ** (1 / m))[None]


FAMILIES: dict[str, Callable[..., np.ndarray]] = {
    f.__name__: f
    for f in (
        uniform,
        riemann,
        dam_break,
        disc,
        blast,
        quadrants,
        gaussian,
        sine,
        random,
    )
} | {"shock_entropy": shock_entropy, "barenblatt": barenblatt}


def states(
    settings: InitialSettings, x: np.ndarray, channels: int, **known: object
) -> np.ndarray:
    """The states of the family at positions ``(d, *points)``.

    Args:
        known: values that a family may use in addition to its settings: `box`, `rng`,
            `law`.

    Raises:
        ValueError: for a setting that the family does not take, or a missing one.
    """
    given = {k: v for k, v in asdict(settings).items() if v is not None}
    family = FAMILIES[given.pop("name")]
    taken = inspect.signature(family).parameters.values()
    options = {p.name: p for p in taken if p.kind is p.KEYWORD_ONLY}
    name = f"settings of initial.name {settings.name} ({', '.join(options) or 'none'})"
    foreign = ", ".join(set(given) - set(options))
    require(not foreign, name, foreign, "leave it out")
    missing = ", ".join(
        n for n, p in options.items() if p.default is p.empty and n not in given
    )
    require(not missing, name, f"no {missing}", "set it under initial")
    wanted = {p.name: known[p.name] for p in taken if p.name in known}
    return family(x, channels, **wanted, **given)


def _fill(state: Numbers, channels: int, name: str, x: np.ndarray) -> np.ndarray:
    """Shape a state as a column against points; one number stands for all variables."""
    require(
        len(state) in (1, channels),
        f"{channels} numbers in {name}",
        len(state),
        "one per variable",
    )
    column = np.broadcast_to(np.asarray(state, float), (channels,))
    return column.reshape((channels,) + (1,) * (x.ndim - 1))


def _per_axis(values: Sequence, dimensions: int) -> list:
    require(
        len(values) in (1, dimensions),
        f"one number per axis ({dimensions})",
        values,
        "or one",
    )
    return list(values) * (dimensions if len(values) == 1 else 1)


def _square(x: np.ndarray, centre: Numbers) -> np.ndarray:
    place = np.reshape(_per_axis(centre, len(x)), (-1,) + (1,) * (x.ndim - 1))
    return np.sum((x - place) ** 2, axis=0)


def _phases(x: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    return [2 * np.pi * (xi - a) / (b - a) for xi, a, b in zip(x, *box, strict=True)]
