"""Roots of stationary covariances on uniform grids, by the fast Fourier transform."""

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require_shape
from physcon._numerics.fourier import filtered
from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map.basic import Root, size


class Circulant(Root):
    """Convolution on a torus, restricted to a corner: A z = (F⁻¹ √λ F z)[corner].

    A Aᵀ is the covariance k(x - y) on the corner if λ is the transform of k on the
    torus (circulant embedding). The white noise z covers the whole torus.

    Attributes:
        root_spectrum: √λ on the half spectrum of ``rfftn``.
        shape: shape of the corner.
        torus: shape of the torus.

    Source:
        Dietrich and Newsam, SIAM J. Sci. Comput. 18 (1997) 1088; Wood and Chan, J.
        Comput. Graph. Stat. 3 (1994) 409.
    """

    root_spectrum: Float[Array, "*f"]
    shape: Shape = eqx.field(static=True)
    torus: Shape = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return self.torus

    @property
    def out_shape(self) -> Shape:
        return self.shape

    def _filter(self, x: Array) -> Array:
        return filtered(self.root_spectrum, x)

    def mv(self, x: Float[Array, "*z"]) -> Float[Array, "*x"]:
        require_shape(x, self.in_shape, "the latent field")
        return self._filter(x)[tuple(slice(n) for n in self.shape)]

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, "*z"]:
        require_shape(y, self.out_shape, "the field")
        widths = [(0, m - n) for n, m in zip(self.shape, self.torus, strict=True)]
        return self._filter(jnp.pad(y, widths))

    def gram_diagonal(self) -> Float[Array, "*x"]:
        """The mean of λ at every point."""
        total = jnp.sum(self._multiplicity() * self.root_spectrum**2)
        return jnp.full(self.shape, total / size(self.torus))

    def unit(self) -> Scalar:
        return jnp.max(jnp.abs(self.root_spectrum))

    def scaled(self, factor: Scalar) -> "Circulant":
        return Circulant(factor * self.root_spectrum, self.shape, self.torus)

    def covariance_root_rank(self) -> int | Array:
        self._check_whole()
        return size(self.torus)

    def solve(self, y: Float[Array, "*x"]) -> Float[Array, "*z"]:
        self._check_whole()
        return filtered(1 / self.root_spectrum, y)

    def log_volume(self) -> Array:
        self._check_whole()
        return jnp.sum(self._multiplicity() * jnp.log(self.root_spectrum))

    def _multiplicity(self) -> Float[Array, "*f"]:
        """Multiplicity of each frequency of the half spectrum: k represents -k too."""
        last = self.torus[-1]
        k = jnp.arange(last // 2 + 1)
        own = (k == 0) | (2 * k == last)
        return jnp.broadcast_to(jnp.where(own, 1.0, 2.0), self.root_spectrum.shape)

    def _check_whole(self) -> None:
        if self.shape != self.torus:
            raise NotImplementedError(
                "Circulant: no closed-form density on a part of the torus; draw "
                "samples "
                "instead"
            )
