"""Real Fourier transforms in the precision that a device has.

TPUs emulate float64, but not its Fourier transforms: those are computed in float32
there.
"""

import jax
import jax.numpy as jnp

from physcon._numerics.on_tpu import in_float32_on_tpu
from physcon._typing import Array, Float


def rfft(x: Float[Array, "*l n"]) -> tuple[Float[Array, "*l k"], Float[Array, "*l k"]]:
    """Real and imaginary part of the transform of the last axis."""

    def pair(x: Array) -> tuple[Array, Array]:
        modes = jnp.fft.rfft(x)
        return modes.real, modes.imag

    return in_float32_on_tpu(pair, x)


def filtered(factors: Float[Array, "*f"], x: Float[Array, "*x"]) -> Float[Array, "*x"]:
    """The field with each mode of its real transform multiplied by a factor."""

    def apply(factors: Array, x: Array) -> Array:
        modes = jnp.fft.rfftn(x)
        scaled = jax.lax.complex(factors * modes.real, factors * modes.imag)
        return jnp.fft.irfftn(scaled, x.shape)

    return in_float32_on_tpu(apply, factors, x)


def even_spectrum(x: Float[Array, "*x"]) -> Float[Array, "*f"]:
    """The transform over all axes of a field that is even about 0: it is real."""
    return in_float32_on_tpu(lambda x: jnp.fft.rfftn(x).real, x)
