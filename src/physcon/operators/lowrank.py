"""Spectral weights as products of small factors: fewer parameters for the same modes.

Source: Kossaifi et al., Multi-grid tensorized Fourier neural operator, TMLR 2024, eqs.
5 and 6; Kolda and Bader, SIAM Review 51 (2009) 455, for the decompositions.
"""

from string import ascii_lowercase

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Shape
from physcon.operators.spectral import Weights


class CPWeights(eqx.Module):
    """Σ_r Π_k F_k[:, r] over the axes (real or imaginary, out, in, *modes)."""

    factors: tuple[Float[Array, "_ r"], ...]

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        in_channels: int,
        out_channels: int,
        modes: Shape,
        *,
        rank: int,
    ) -> "CPWeights":
        """Random factors whose product has the variance of `init_spectral_weights`."""
        shape = _dense_shape(in_channels, out_channels, modes)
        scale = (2 * in_channels * rank) ** (-0.5 / len(shape))
        keys = jax.random.split(key, len(shape))
        return cls(
            tuple(
                scale * jax.random.normal(k, (n, rank))
                for k, n in zip(keys, shape, strict=True)
            )
        )

    def dense(self) -> Weights:
        """The weights as `spectral_conv` takes them."""
        axes = ascii_lowercase[: len(self.factors)]
        return jnp.einsum(",".join(f"{a}z" for a in axes) + "->" + axes, *self.factors)


class TuckerWeights(eqx.Module):
    """A small core with one factor per axis (out, in, *modes)."""

    core: Float[Array, "2 ro ri *rm"]
    factors: tuple[Float[Array, "_ _"], ...]

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        in_channels: int,
        out_channels: int,
        modes: Shape,
        *,
        rank: float,
    ) -> "TuckerWeights":
        """Random factors; an axis keeps the fraction `rank` of its size, at least 1."""
        require(
            0 < rank <= 1, "a fraction 0 < rank <= 1", rank, "1 keeps every axis whole"
        )
        shape = _dense_shape(in_channels, out_channels, modes)[1:]
        small = tuple(max(1, round(rank * n)) for n in shape)
        keys = jax.random.split(key, len(shape) + 1)
        core = (2 * in_channels) ** -0.5 * jax.random.normal(keys[0], (2, *small))
        pairs = zip(keys[1:], shape, small, strict=True)
        return cls(
            core, tuple(r**-0.5 * jax.random.normal(k, (n, r)) for k, n, r in pairs)
        )

    def dense(self) -> Weights:
        """The weights as `spectral_conv` takes them."""
        weights = self.core
        for axis, factor in enumerate(self.factors):
            moved = jnp.moveaxis(weights, axis + 1, -1)
            weights = jnp.moveaxis(
                jnp.einsum("...r,nr->...n", moved, factor), -1, axis + 1
            )
        return weights


def _dense_shape(in_channels: int, out_channels: int, modes: Shape) -> Shape:
    return (2, out_channels, in_channels, *(2 * m for m in modes[:-1]), modes[-1])
