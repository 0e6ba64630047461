"""Smooth initial states: bumps, waves, random fields and source solutions."""

from collections.abc import Sequence

import numpy as np

from physcon._checks import require
from physcon.studies.solver.initial_fields import (
    Numbers,
    angles,
    fill,
    per_axis,
    square,
)


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
    bump = np.exp(-0.5 * square(x, centre) / width**2)
    return _around(state, amplitude, bump, channels, x)


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
    for phase, number in zip(angles(x, box), per_axis(waves, len(x)), strict=True):
        wave = wave * np.sin(number * phase)
    return _around(state, amplitude, wave, channels, x)


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
    phases = angles(x, box)
    modes = np.stack(
        np.meshgrid(*[np.arange(n + 1) for n in per_axis(waves, len(x))]), -1
    )
    modes = modes.reshape(-1, len(x))[1:]
    field = np.zeros((channels, *x.shape[1:]))
    for mode in modes:
        a, b = rng.normal(size=(2, channels) + (1,) * (x.ndim - 1)) / np.sqrt(
            len(modes)
        )
        angle = sum(m * phase for m, phase in zip(mode, phases, strict=True))
        field += a * np.cos(angle) + b * np.sin(angle)
    return _around(state, amplitude, field, channels, x)


def _around(
    state: Numbers, amplitude: Numbers, shape: np.ndarray, channels: int, x: np.ndarray
) -> np.ndarray:
    """state + amplitude times a shape, with one number for each variable."""
    base = fill(state, channels, "state", x)
    return base + fill(amplitude, channels, "amplitude", x) * shape


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
        "set law.name to pme, or use another initial state",
    )
    m = float(law.exponent)  # type: ignore[attr-defined]
    d = len(x)
    a = 1 / (d * m + 2)
    inside = np.maximum(1 - 0.5 * a * m * square(x, centre) * time ** (-2 * a), 0)
    return (time ** (-a * d) * inside ** (1 / m))[None]
