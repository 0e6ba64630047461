"""Convolutions in sine and cosine bases, which meet homogeneous boundary conditions.

On [0, 1] with n equispaced nodes that include both ends, for m = 0 .. M-1:

    sine         sin(π (m+1) x)     u = 0 at both ends
    cosine       cos(π m x)         ∂u/∂x = 0 at both ends; also for a free axis (time)
    sine-cosine  sin(π (m+½) x)     u = 0 below, ∂u/∂x = 0 above
    cosine-sine  cos(π (m+½) x)     ∂u/∂x = 0 below, u = 0 above

All are orthogonal under the trapezoid sum, so analysis is the weighted transpose of
synthesis. Values other than zero are added by `physcon.operators.enforce.lift`.

Source: Liu et al., SPFNO: spectral operator learning for PDEs with Dirichlet and
Neumann boundary conditions, arXiv 2312.06980 (2023), sec. 3, for the idea; the mixed
bases are DST-III and DCT-III.
"""

from functools import lru_cache
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Shape
from physcon.boundary import Boundary, Dirichlet, Neumann, Outflow, Robin
from physcon.operators.spectral import along

Basis: TypeAlias = Literal["sine", "cosine", "sine-cosine", "cosine-sine"]


def init_basis_weights(
    key: PRNGKeyArray, in_channels: int, out_channels: int, modes: Shape
) -> Float[Array, "o i *m"]:
    """Random weights of variance 1 / in_channels, ``(out, in, *modes)``, real."""
    return in_channels**-0.5 * jax.random.normal(
        key, (out_channels, in_channels, *modes)
    )


def basis_conv(
    weights: Float[Array, "o i *m"], u: Float[Array, "i *x"], bases: tuple[Basis, ...]
) -> Float[Array, "o *x"]:
    """Σ_m φ_m W(m) <φ_m, u>: the output meets the homogeneous conditions of its bases.

    Shapes: weights ``(out, in, *modes)``, u ``(in, *x)``, one basis per axis.

    Raises:
        ValueError: an axis too short for the modes; not one basis per axis.
    """
    kept = weights.shape[2:]
    space = u.shape[1:]
    require(
        len(bases) == len(space) == len(kept),
        f"{len(kept)} space axes and bases, as the weights have",
        f"{len(space)} axes and {len(bases)} bases",
        "functions act on one sample: batch with jax.vmap",
    )
    require(
        all(1 <= k <= n - 2 for k, n in zip(kept, space, strict=True)),
        f"1 to {tuple(n - 2 for n in space)} modes on axes of lengths {space}",
        kept,
        "keep other modes or refine the grid",
    )
    modes = u
    for axis, (basis, k, n) in enumerate(zip(bases, kept, space, strict=True)):
        modes = along(modes, _analysis(basis, n, k), axis + 1)
    modes = jnp.einsum("oi...,i...->o...", weights, modes)
    for axis, (basis, k, n) in enumerate(zip(bases, kept, space, strict=True)):
        modes = along(modes, _synthesis(basis, n, k), axis + 1)
    return modes


def bases_for(boundary: Boundary, ndim: int) -> tuple[Basis, ...]:
    """The basis of every axis; free axes and Robin sides take cosines."""
    names: dict[tuple[bool, bool], Basis] = {
        (True, True): "sine",
        (True, False): "sine-cosine",
        (False, True): "cosine-sine",
        (False, False): "cosine",
    }
    found: list[Basis] = []
    for axis, pair in enumerate(boundary.sides):
        require(
            all(isinstance(c, Dirichlet | Neumann | Robin | Outflow) for c in pair),
            "Dirichlet, Neumann, Robin or Outflow",
            [type(c).__name__ for c in pair],
            f"use form='lift': a Fourier basis suits axis {axis}",
        )
        found.append(
            names[isinstance(pair[0], Dirichlet), isinstance(pair[1], Dirichlet)]
        )
    free: list[Basis] = ["cosine"] * (ndim - boundary.ndim)
    return tuple(found + free)


@lru_cache(maxsize=64)
def _synthesis(basis: Basis, n: int, kept: int) -> np.ndarray:
    """φ_m(x_j), ``(m, n)``: maps modes to nodes along a trailing axis."""
    shift = {"sine": 1.0, "cosine": 0.0, "sine-cosine": 0.5, "cosine-sine": 0.5}[basis]
    phase = np.pi * np.outer(np.arange(kept) + shift, np.arange(n) / (n - 1))
    return np.sin(phase) if basis.startswith("sine") else np.cos(phase)


@lru_cache(maxsize=64)
def _analysis(basis: Basis, n: int, kept: int) -> np.ndarray:
    """<φ_m, ·> / <φ_m, φ_m> in the trapezoid sum, ``(n, m)``."""
    weights = np.full(n, 2.0 / (n - 1))
    weights[[0, -1]] *= 0.5
    matrix = (_synthesis(basis, n, kept) * weights).T
    if basis == "cosine":
        matrix[:, 0] *= 0.5
    return matrix
