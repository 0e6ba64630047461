"""Exact solutions of Riemann problems of an ideal gas and of shallow water."""

import numpy as np
from scipy.optimize import brentq

#: Points in each cell over which an exact solution is averaged.
POINTS = 64


def gas(left, right, speed: np.ndarray, gamma: float = 1.4) -> np.ndarray:
    """Density, velocity and pressure at x / t = `speed`; ``(3, *s)``.

    Source: Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics (2009),
    ch. 4.
    """
    p = brentq(
        lambda p: _jump(p, left, gamma) + _jump(p, right, gamma) + right[1] - left[1],
        1e-12,
        1e4,
    )
    v = 0.5 * (left[1] + right[1])
    v = v + 0.5 * (_jump(p, right, gamma) - _jump(p, left, gamma))
    on_left = _side(left, p, v, speed, gamma)
    mirrored = _side((right[0], -right[1], right[2]), p, -v, -speed, gamma)
    on_right = mirrored * np.array([1.0, -1.0, 1.0])[:, None]
    return np.where(speed < v, on_left, on_right)


def _jump(p: float, state, gamma: float) -> float:
    """Change of velocity across the wave next to a state (Toro eq. 4.6)."""
    rho, _, p_side = state
    if p > p_side:
        a = 2 / ((gamma + 1) * rho)
        b = (gamma - 1) / (gamma + 1) * p_side
        return (p - p_side) * np.sqrt(a / (p + b))
    sound = np.sqrt(gamma * p_side / rho)
    power = (gamma - 1) / (2 * gamma)
    return 2 * sound / (gamma - 1) * ((p / p_side) ** power - 1)


def _side(state, p: float, v: float, speed: np.ndarray, gamma: float) -> np.ndarray:
    """The solution left of the contact (Toro secs. 4.5.1 and 4.5.2)."""
    rho, v0, p0 = state
    sound = np.sqrt(gamma * p0 / rho)
    before = np.array(state)[:, None] + 0 * speed
    g = (gamma - 1) / (gamma + 1)
    if p > p0:
        ratio = p / p0
        behind = rho * (ratio + g) / (g * ratio + 1)
        front = v0 - sound * np.sqrt(
            (gamma + 1) / (2 * gamma) * ratio + (gamma - 1) / (2 * gamma)
        )
        after = np.array([behind, v, p])[:, None] + 0 * speed
        return np.where(speed < front, before, after)
    behind = rho * (p / p0) ** (1 / gamma)
    tail = v - sound * (p / p0) ** ((gamma - 1) / (2 * gamma))
    after = np.array([behind, v, p])[:, None] + 0 * speed
    c = np.maximum(2 / (gamma + 1) + g / sound * (v0 - speed), 0)
    fan = np.stack(
        [
            rho * c ** (2 / (gamma - 1)),
            2 / (gamma + 1) * (sound + (gamma - 1) / 2 * v0 + speed),
            p0 * c ** (2 * gamma / (gamma - 1)),
        ]
    )
    inside = np.where(speed < tail, fan, after)
    return np.where(speed < v0 - sound, before, inside)


def dam(h_left: float, h_right: float, speed: np.ndarray, g: float) -> np.ndarray:
    """Depth at x / t = `speed` after a dam breaks onto still water.

    Source: Stoker, Water Waves (1957), sec. 10.8.
    """
    c_left = np.sqrt(g * h_left)

    def mismatch(h):
        through_fan = 2 * (c_left - np.sqrt(g * h))
        through_bore = (h - h_right) * np.sqrt(0.5 * g * (1 / h + 1 / h_right))
        return through_fan - through_bore

    h = brentq(mismatch, h_right, h_left)
    v = 2 * (c_left - np.sqrt(g * h))
    bore = h * v / (h - h_right)
    fan = (2 * c_left - speed) ** 2 / (9 * g)
    after = np.where(speed < bore, h, h_right)
    inside = np.where(speed < v - np.sqrt(g * h), fan, after)
    return np.where(speed < -c_left, h_left, inside)


def averaged(exact, cells: int, lower: float, upper: float) -> np.ndarray:
    """Cell averages of ``exact(x)`` by the midpoint rule in `POINTS` parts."""
    width = (upper - lower) / (cells * POINTS)
    x = lower + width * (np.arange(cells * POINTS) + 0.5)
    return exact(x).reshape(cells, POINTS).mean(axis=1)
