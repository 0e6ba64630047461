"""Shallow water on the sphere by spherical harmonics: a reference for finite volumes.

Vorticity ζ, divergence δ and depth h are advanced with triangular truncation T, on a
Gaussian grid fine enough for products of two fields, by the classical Runge-Kutta
method of order 4. Nothing is shared with physcon: other unknowns, another grid, another
method.

Source: Hack and Jakob, Description of a global shallow water model based on the
spectral transform method, NCAR/TN-343+STR (1992); the fourth-order diffusion and its
coefficient at T42 are from Jakob-Chien, Hack and Williamson, J. Comput. Phys. 119
(1995) 164.
"""

from typing import NamedTuple

import numpy as np

RADIUS = 6.37122e6
GRAVITY = 9.80616
SPIN = 7.292e-5


class Transform:
    """Fields on a Gaussian grid and their coefficients ``(m, n)``, m <= n <= T."""

    def __init__(self, truncation: int):
        t = truncation
        rows = (3 * t + 2) // 2
        self.latitudes = rows + rows % 2
        self.longitudes = 2 * self.latitudes
        self.mu, self.weight = np.polynomial.legendre.leggauss(self.latitudes)
        self.waves = np.arange(t + 1)
        n = np.arange(t + 2)
        table, slope = _legendre(t, self.mu)
        self.table = table[:, :, : t + 1]
        self.slope = slope  # (1 - μ²) dP/dμ
        self.cos2 = 1 - self.mu**2
        n = n[: t + 1]
        self.laplace = -(n * (n + 1.0)) / RADIUS**2
        kept = n[None] >= self.waves[:, None]
        self.kept = kept
        self.inverse = np.where(n > 0, 1 / np.where(n > 0, self.laplace, 1), 0)

    def to_grid(self, c: np.ndarray, table: np.ndarray | None = None) -> np.ndarray:
        """Values ``(latitude, longitude)``."""
        table = self.table if table is None else table
        rows = np.einsum("mjn,mn->jm", table, c)
        return np.fft.irfft(rows, self.longitudes, axis=1) * self.longitudes

    def to_waves(self, x: np.ndarray) -> np.ndarray:
        """Fourier coefficients ``(latitude, m)``."""
        return np.fft.rfft(x, axis=1)[:, : len(self.waves)] / self.longitudes

    def analysed(self, x: np.ndarray) -> np.ndarray:
        """The coefficients of a field."""
        rows = self.to_waves(x) * self.weight[:, None]
        return np.einsum("mjn,jm->mn", self.table, rows) * self.kept

    def divergence(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Coefficients of ∂a/∂λ / (R cos²φ) + ∂b/∂μ / R, with a and b times cos φ."""
        share = (self.weight / self.cos2)[:, None] / RADIUS
        along = 1j * self.waves[None] * self.to_waves(a) * share
        across = self.to_waves(b) * share
        found = np.einsum("mjn,jm->mn", self.table, along)
        return (found - np.einsum("mjn,jm->mn", self.slope, across)) * self.kept

    def winds(self, vorticity: np.ndarray, divergence: np.ndarray) -> tuple:
        """(u cos φ, v cos φ) on the grid."""
        stream = vorticity * self.inverse
        potential = divergence * self.inverse
        turn = 1j * self.waves[:, None] / RADIUS
        east = self.to_grid(turn * potential)
        north = self.to_grid(turn * stream)
        u = east - self.to_grid(stream, self.slope) / RADIUS
        v = north + self.to_grid(potential, self.slope) / RADIUS
        return u, v


def _legendre(t: int, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P_n^m with ∫ P² dμ = 1, ``(m, latitude, n)``, and (1 - μ²) dP/dμ."""
    table = np.zeros((t + 1, len(mu), t + 2))
    diagonal = np.full(len(mu), np.sqrt(0.5))
    for m in range(t + 1):
        table[m, :, m] = diagonal
        table[m, :, m + 1] = np.sqrt(2 * m + 3) * mu * diagonal
        for n in range(m + 2, t + 2):
            table[m, :, n] = (
                mu * table[m, :, n - 1] - _factor(n - 1, m) * table[m, :, n - 2]
            ) / _factor(n, m)
        diagonal = diagonal * np.sqrt((2 * m + 3) / (2 * m + 2)) * np.sqrt(1 - mu**2)
    n = np.arange(t + 1)
    slope = np.zeros((t + 1, len(mu), t + 1))
    for m in range(t + 1):
        lower = np.zeros((len(mu), t + 1))
        lower[:, 1:] = table[m, :, :t]
        up = _factor(n + 1, m)
        down = _factor(n, m)
        slope[m] = (n + 1) * down * lower - n * up * table[m, :, 1 : t + 2]
    return table, slope


def _factor(n: int | np.ndarray, m: int) -> np.ndarray:
    """ε in μ P_n = ε_{n+1} P_{n+1} + ε_n P_{n-1}."""
    n = np.asarray(n, float)
    return np.sqrt(np.maximum(n**2 - m**2, 0) / (4 * n**2 - 1))


class Flow(NamedTuple):
    """The final state on the Gaussian grid."""

    latitude: np.ndarray
    longitude: np.ndarray
    surface: np.ndarray


def over_mountain(truncation: int, days: float, dt: float) -> Flow:
    """Williamson's test case 5 after some days."""
    of = Transform(truncation)
    angle = 2 * np.pi * np.arange(of.longitudes) / of.longitudes
    sine = of.mu[:, None] + 0 * angle[None]
    wind = 20.0
    far = np.hypot(angle[None] - 1.5 * np.pi, np.arcsin(sine) - np.pi / 6)
    reach = np.pi / 9
    bed = 2000 * (1 - np.minimum(far, reach) / reach)
    drop = RADIUS * SPIN * wind + wind**2 / 2
    depth = 5960 - drop * sine**2 / GRAVITY - bed
    bed = of.analysed(bed)
    state = np.stack(
        [
            of.analysed(2 * wind * sine / RADIUS),
            of.analysed(0 * sine),
            of.analysed(depth),
        ]
    )
    planetary = 2 * SPIN * sine
    diffusion = 5e15 * (42 / truncation) ** 3.3 * of.laplace**2

    def tendency(state: np.ndarray) -> np.ndarray:
        vorticity, divergence, depth = state
        u, v = of.winds(vorticity, divergence)
        h = of.to_grid(depth)
        total = of.to_grid(vorticity) + planetary
        speed = 0.5 * (u**2 + v**2) / of.cos2[:, None]
        head = of.analysed(speed) + GRAVITY * (depth + bed)
        spin = -of.divergence(total * u, total * v)
        spread = of.divergence(total * v, -total * u) - of.laplace * head
        mass = -of.divergence(h * u, h * v)
        return np.stack([spin, spread, mass]) - diffusion * np.stack(
            [vorticity, divergence, depth + bed]
        )

    for _ in range(round(days * 86_400 / dt)):
        a = tendency(state)
        b = tendency(state + 0.5 * dt * a)
        c = tendency(state + 0.5 * dt * b)
        d = tendency(state + dt * c)
        state = state + dt / 6 * (a + 2 * b + 2 * c + d)
    surface = of.to_grid(state[2] + bed)
    return Flow(np.arcsin(of.mu), angle, surface)
