"""Weighted essentially non-oscillatory reconstruction of orders 3, 5 and 7.

All coefficients are computed from their definitions on first use, in float64: each
candidate polynomial has the given cell averages, the linear weights combine the
candidates to the full order, and the smoothness of a candidate p is Σ_l ∫ (d^l p/dξ^l)²
dξ over the cell. Everything is written in differences of neighbouring averages, so that
smoothness is a sum of squares, free of cancellation in float32.
"""

from functools import lru_cache
from itertools import pairwise
from math import factorial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_choice
from physcon._numerics.safe import over_power_of_two
from physcon._typing import Array, Float
from physcon.fv._stage import stage
from physcon.fv.ghost import take
from physcon.fv.law import Law
from physcon.fv.reconstruction import Variables, primitive

Weights = Literal["z", "js"]


class WENO(eqx.Module):
    """Weighted reconstruction from r candidate stencils of r cells each, order 2 r - 1.

    ``weights="z"`` keeps the order at smooth extrema and is invariant to scaling of u
    (its ε is relative to the stencil's own smoothness); ``"js"`` is the classic choice
    with ε = 1e-6. With ``"characteristic"`` the stencil of conservative variables is
    projected on the waves of the mean of the two cells at a face.

    The order holds for smooth one-dimensional flow in ``"conservative"`` or
    ``"characteristic"`` variables. Primitive averages are not averages of primitive
    variables: there, and for nonlinear laws in two or more dimensions (one flux point
    per face), the order is 2, with small constants. In characteristic variables a wave
    family that is nearly absent keeps its limiting, which costs smooth accuracy (order
    2.5 instead of 5 seen in an isentropic simple wave).

    Source: Jiang and Shu, J. Comput. Phys. 126 (1996) 202; Balsara and Shu, J. Comput.
    Phys. 160 (2000) 405; Borges, Carmona, Costa and Don, J. Comput. Phys. 227 (2008)
    3191 (Z); Castro, Costa and Don, J. Comput. Phys. 230 (2011) 1766 (τ of order 7);
    Don, Li, Wang and Wang, J. Comput. Phys. 448 (2022) 110724 (scale invariance).
    """

    order: Literal[3, 5, 7] = eqx.field(static=True, default=5)
    weights: Weights = eqx.field(static=True, default="z")
    variables: Variables = eqx.field(static=True, default="conservative")

    def __check_init__(self) -> None:
        require(
            self.order in (3, 5, 7),
            "order 3, 5 or 7",
            self.order,
            "use MUSCL for order 2",
        )
        require_choice(self.weights, Weights, "weights")
        require_choice(self.variables, Variables, "variables")

    @property
    def ghosts(self) -> int:
        """Cells read on each side of a face."""
        return (self.order + 1) // 2

    def __call__(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right states of the faces; uniform axes only."""
        self._require_uniform(widths, axis)
        if self.variables == "characteristic":
            return self._by_waves(u, law, axis)
        if self.variables == "conservative":
            return self._by_channels(u, axis)
        left, right = self.primitive_faces(u, law, axis, widths)
        return law.conservative(left), law.conservative(right)

    def primitive_faces(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right primitive variables of the faces."""
        self._require_uniform(widths, axis)
        return self._by_channels(primitive(law, u), axis)

    def _require_uniform(self, widths: Array, axis: int) -> None:
        require(
            widths.ndim == 0,
            "a uniform axis",
            f"stretched axis {axis}",
            "use MUSCL there",
        )

    def _stencil(self, u: Array, axis: int) -> list[Array]:
        """The 2 r cells around each face, from the lowest to the highest."""
        faces = u.shape[1 + axis] - 2 * self.ghosts + 1
        return [take(u, k, k + faces, axis) for k in range(2 * self.ghosts)]

    @stage
    def _by_channels(self, u: Array, axis: int) -> tuple[Array, Array]:
        """Both states of each face, channel by channel."""
        scale = _over_field(u) if self._is_scaled(u) else None
        return self._both_sides(self._stencil(u, axis), scale)

    @stage
    def _by_waves(self, u: Array, law: Law, axis: int) -> tuple[Array, Array]:
        """Both states of each face, from wave amplitudes at the face's mean state."""
        cells = self._stencil(u, axis)
        mean = 0.5 * (cells[self.ghosts - 1] + cells[self.ghosts])
        w_mean = law.primitive(mean)

        def project(du: Array) -> Array:
            dw = jax.jvp(law.primitive, (mean,), (du,))[1]
            return law.strengths(dw, w_mean, axis)

        def restore(strengths: Array) -> Array:
            dw = law.increment(strengths, w_mean, axis)
            return mean + jax.jvp(law.conservative, (w_mean,), (dw,))[1]

        amplitudes = [project(cell - mean) for cell in cells]
        scale = _over_face(amplitudes) if self._is_scaled(u) else None
        left, right = self._both_sides(amplitudes, scale)
        return restore(left), restore(right)

    def _is_scaled(self, u: Array) -> bool:
        """Whether differences are brought to sizes near 1 before they are squared.

        Not in float64, where fourth powers of 1e30 are in range, and not for the JS
        weights, which hold an absolute number.
        """
        return self.weights == "z" and u.dtype != jnp.float64

    def _both_sides(
        self, cells: list[Array], scale: Array | None
    ) -> tuple[Array, Array]:
        """Left state from all cells but the last; right state by mirroring."""
        left = self.interpolate(cells[:-1], scale)
        return left, self.interpolate(cells[:0:-1], scale)

    def interpolate(self, cells: list[Array], scale: Array | None = None) -> Array:
        """Value at the upper face of the middle one of 2 r - 1 cells.

        Args:
            scale: brings the differences to sizes near 1, so that no square under- or
                overflows. The Z weights do not depend on it, nor do their derivatives.
                None: not needed.
        """
        r = self.ghosts
        candidates, linear, factors = _tables(r)
        d = [b - a for a, b in pairwise(cells)]
        scaled = d if scale is None else [scale * x for x in d]
        rises, smooth = [], []
        for k in range(r):
            own = slice(k, k + r - 1)
            rises.append(_combine(candidates[k], d[own]))
            smooth.append(sum(_combine(row, scaled[own]) ** 2 for row in factors[k]))
        alphas = self._alphas(linear, smooth)
        weighted = sum(a * q for a, q in zip(alphas, rises, strict=True))
        return cells[r - 1] + weighted / sum(alphas)

    def _alphas(self, linear: np.ndarray, smooth: list[Array]) -> list[Array]:
        """Unnormalised nonlinear weights."""
        pairs = list(zip(linear.tolist(), smooth, strict=True))
        if self.weights == "js":
            return [g / (1e-6 + b) ** 2 for g, b in pairs]
        between = [0] * (len(smooth) - 2)
        signs = (1, 3, -3, -1) if len(smooth) == 4 else (1, *between, -1)
        tau = jnp.abs(_combine(np.array(signs), smooth))
        # Relative ε: |τ/(β + ε)|² < 1e24 stays finite in float32. √tiny only guards
        # 0/0, also in the derivative, which divides by the square.
        floor = 1e-12 * sum(smooth) + float(jnp.finfo(tau.dtype).tiny) ** 0.5
        return [g * (1 + (tau / (b + floor)) ** 2) for g, b in pairs]


@stage
def _over_field(u: Array) -> Array:
    """One over the size of each channel, constant in derivatives."""
    axes = tuple(range(1, u.ndim))
    return over_power_of_two(jnp.max(jnp.abs(u), axis=axes, keepdims=True))


def _over_face(cells: list[Array]) -> Array:
    """One over the size of the differences at each face, constant in derivatives."""
    sizes = [jnp.abs(b - a) for a, b in pairwise(cells)]
    return over_power_of_two(sum(sizes[1:], sizes[0]))


def _combine(coefficients: np.ndarray, terms: list[Array]) -> Array:
    """Σ c_j x_j with plain numbers, zeros left out."""
    return sum(float(c) * x for c, x in zip(coefficients, terms, strict=True) if c)  # type: ignore


@lru_cache
def _tables(r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates, linear weights, and factors of the smoothness.

    Cells have unit width, and the middle one is centred at 0. Candidate k has the cells
    k-r+1 ... k, and everything acts on the r - 1 differences of its cells.

    Shapes: ``(r, r-1)``, ``(r,)`` and ``(r, r-1, r-1)``.
    """
    full = _at_face(np.arange(1 - r, r))
    stencils = [np.arange(k - r + 1, k + 1) for k in range(r)]
    own = np.zeros((r, 2 * r - 1))
    for k, cells in enumerate(stencils):
        own[k, k : k + r] = _at_face(cells)
    linear = np.linalg.lstsq(own.T, full, rcond=None)[0]
    candidates = np.zeros((r, r - 1))
    factors = np.zeros((r, r - 1, r - 1))
    for k, cells in enumerate(stencils):
        # v_j - v_middle as sums of differences.
        sums = np.tril(np.ones((r, r - 1)), -1)
        sums = sums - sums[r - 1 - k]
        candidates[k] = own[k, k : k + r] @ sums
        to_power = np.linalg.inv(_averages(cells))
        form = sums.T @ to_power.T @ _seminorm(r) @ to_power @ sums
        factors[k] = np.linalg.cholesky(form).T
    return np.where(np.abs(candidates) < 1e-12, 0, candidates), linear, factors


def _averages(cells: np.ndarray) -> np.ndarray:
    """Averages of x^m over unit cells: row per cell, column per m."""
    m = np.arange(1, len(cells) + 1)
    upper, lower = (cells + 0.5)[:, None], (cells - 0.5)[:, None]
    return (upper**m - lower**m) / m


def _at_face(cells: np.ndarray) -> np.ndarray:
    """Coefficients on the averages of the polynomial's value at x = 1/2."""
    return np.linalg.solve(_averages(cells).T, 0.5 ** np.arange(len(cells)))


def _seminorm(r: int) -> np.ndarray:
    """Q with aᵀ Q a = Σ_{l=1}^{r-1} ∫_{-1/2}^{1/2} (p^(l))² for p = Σ a_m x^m."""
    q = np.zeros((r, r))
    for l in range(1, r):
        for i in range(l, r):
            for j in range(l, r):
                from_i = factorial(i) / factorial(i - l)
                scale = from_i * factorial(j) / factorial(j - l)
                power = i + j - 2 * l + 1
                q[i, j] += scale * (0.5**power - (-0.5) ** power) / power
    return q
