"""Spectral convolution: a learned linear map on the lowest Fourier modes of a field.

    (K u)(x) = F⁻¹( W(m) · (F u)(m) ),   m in the kept modes, all others zero

On an equispaced axis K is block circulant. There are two ways to compute it: the FFT,
at O(n log n) for any number of modes, and products with the truncated DFT matrices, at
O(n m). The products are faster for few modes, because a matrix product runs at many
times the arithmetic rate of an FFT.

The kept modes are 0 .. M-1 on the last axis (real transform), and on the
others 0 .. M-1 and -M .. -1, in this order. Weights are real, ``(2, out, in, *modes)``:
the real and the imaginary part, so that gradients and optimisers need no complex
numbers.

Source: Li et al., Fourier neural operator, ICLR 2021, eqs. 4 and 5.
"""

from functools import lru_cache
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_choice
from physcon._typing import Array, Float, Inexact, PRNGKeyArray, Shape

Method: TypeAlias = Literal["auto", "fft", "matmul"]
Weights: TypeAlias = Float[Array, "2 o i *m"]
Modes: TypeAlias = Inexact[Array, "_ ..."]

# Number of kept modes (of all axes together, real and imaginary) per factor 2 of the
# FFT length up to which matrix products are used. CPU: of 13 shapes in one to three
# dimensions (one core, CPU time), products were faster up to 6.9, the FFT from 9.6 on.
# GPU: not measured; compiled for an H100, the FFT moves 24 bytes a number more
# (benchmarks/compiled.py), which at 3.3 TB/s takes as long as the products of twice
# this many modes at 50 TFLOP/s. TPU: a guess.
_BREAK_EVEN = {"cpu": 8.0, "gpu": 8.0, "tpu": 32.0}


def init_spectral_weights(
    key: PRNGKeyArray, in_channels: int, out_channels: int, modes: Shape
) -> Weights:
    """Random weights of variance 1 / in_channels, which keep the size of the field.

    Shapes: ``(2, out, in, 2 M_1, ..., M_d)`` for ``modes = (M_1, ..., M_d)``.
    """
    kept = (*(2 * m for m in modes[:-1]), modes[-1])
    scale = (2 * in_channels) ** -0.5
    return scale * jax.random.normal(key, (2, out_channels, in_channels, *kept))


def spectral_conv(
    weights: Weights, u: Float[Array, "c *x"], method: Method = "auto"
) -> Float[Array, "o *x"]:
    """The field after mixing its kept Fourier modes: irfft(W · rfft(u)).

    Shapes: weights ``(2, out, in, *modes)``, u ``(in, *x)``, result ``(out, *x)``; 1 to
    3 space axes. Batch with `jax.vmap`.

    Args:
        method: "fft", "matmul" (truncated DFT matrices), or "auto" (by shape and
            backend). They are equal to rounding.

    Raises:
        ValueError: an axis too short for the kept modes, or channels that do not match.
    """
    space = u.shape[1:]
    check_modes(weights.shape[3:], space)
    require(
        weights.shape[2] == u.shape[0],
        f"{weights.shape[2]} channels, as the weights have",
        u.shape[0],
        "put the channels on the first axis of the field",
    )
    method = choose_method(space, weights.shape[3:]) if method == "auto" else method
    return synthesise(
        mix(weights, analyse(u, weights.shape[3:], method)), space, method
    )


def choose_method(
    space: Shape, kept: Shape, backend: str | None = None
) -> Literal["fft", "matmul"]:
    """The faster method for a shape: matrix products for few modes on short axes."""
    backend = jax.default_backend() if backend is None else backend
    work = 2 * sum(kept) / np.log2(max(2.0, float(np.prod(space))))
    return "matmul" if work <= _BREAK_EVEN.get(backend, 1.0) else "fft"


def check_modes(kept: Shape, space: Shape) -> None:
    """Raise unless every axis resolves the kept modes."""
    require(
        1 <= len(space) <= 3 and len(space) == len(kept),
        f"{len(kept)} space axes, as the weights have",
        f"{len(space)} (shape {space})",
        "functions act on one sample: batch with jax.vmap",
    )
    most = (*space[:-1], space[-1] // 2 + 1)
    require(
        all(k <= m for k, m in zip(kept, most, strict=True)),
        f"at most {most} kept modes on axes of lengths {space}",
        kept,
        "keep fewer modes or refine the grid",
    )


def mix(weights: Weights, modes: Modes) -> Modes:
    """W(m) · X(m) for every kept mode m.

    Four real products in one batched matrix product: half the time of the complex one
    on a CPU.
    """
    shape = modes.shape[1:]
    pair = jnp.stack([modes.real, modes.imag]).reshape(2, modes.shape[0], -1)
    flat = weights.reshape(*weights.shape[:3], -1)
    y = jnp.einsum("poim,qim->pqom", flat, pair)
    return jax.lax.complex(y[0, 0] - y[1, 1], y[0, 1] + y[1, 0]).reshape(-1, *shape)


def analyse(u: Float[Array, "c *x"], kept: Shape, method: Method) -> Modes:
    """The kept Fourier modes of a field, unnormalised (as `numpy.fft.rfftn`)."""
    require_choice(method, Method, "method")
    axes = tuple(range(1, u.ndim))
    if method == "fft":
        modes = jnp.fft.rfftn(u, axes=axes)
        for axis, k in zip(axes[:-1], kept[:-1], strict=True):
            modes = lowest(modes, k, axis)
        return modes[..., : kept[-1]]
    wave = dft(u.shape[-1], kept[-1], half=True)
    pair = _product(u, np.concatenate([np.real(wave), np.imag(wave)], axis=1))
    modes = jax.lax.complex(pair[..., : kept[-1]], pair[..., kept[-1] :])
    for axis, k in zip(axes[:-1], kept[:-1], strict=True):
        modes = along(modes, dft(u.shape[axis], k, half=False), axis)
    return modes


def synthesise(modes: Modes, space: Shape, method: Method) -> Float[Array, "c *x"]:
    """The real field of the given shape that has these modes and no others."""
    axes = tuple(range(1, modes.ndim))
    if method == "fft":
        for axis in axes[:-1]:
            modes = widened(modes, space[axis - 1], axis)
        short = space[-1] // 2 + 1 - modes.shape[-1]
        modes = jnp.pad(modes, [(0, 0)] * (modes.ndim - 1) + [(0, short)])
        return jnp.fft.irfftn(modes, s=space, axes=axes)
    for axis in axes[:-1]:
        n = space[axis - 1]
        wave = dft(n, modes.shape[axis], half=False).conj().T / n
        modes = along(modes, wave, axis)
    n = space[-1]
    kept = modes.shape[-1]
    back = (hermitian_weights(n, kept) / n) * dft(
        n, kept, half=True
    ).conj()  # (n, kept)
    matrix = np.concatenate([np.real(back), -np.imag(back)], axis=1).T
    pair = jnp.concatenate([modes.real, modes.imag], axis=-1)
    return _product(pair, matrix)


def lowest(modes: Modes, kept: int, axis: int) -> Modes:
    """Modes 0 .. M-1 and -M .. -1 of an axis of the complex transform."""
    low = jax.lax.slice_in_dim(modes, 0, kept // 2, axis=axis)
    high = jax.lax.slice_in_dim(modes, modes.shape[axis] - kept // 2, None, axis=axis)
    return jnp.concatenate([low, high], axis)


def widened(modes: Modes, n: int, axis: int) -> Modes:
    """Inverse of `lowest`: all n modes of an axis, zero where none was kept."""
    half = modes.shape[axis] // 2
    low = jax.lax.slice_in_dim(modes, 0, half, axis=axis)
    high = jax.lax.slice_in_dim(modes, half, None, axis=axis)
    gap = list(modes.shape)
    gap[axis] = n - 2 * half
    return jnp.concatenate([low, jnp.zeros(gap, modes.dtype), high], axis)


@lru_cache(maxsize=64)
def dft(n: int, kept: int, half: bool) -> np.ndarray:
    """e^(-2πi j m / n) for points j < n and the kept modes m, ``(n, kept)``."""
    modes = wavenumbers(kept, half)
    # Reduced modulo n in integers: the phase keeps all its digits for long axes.
    phase = np.outer(np.arange(n), modes) % n
    return np.exp(-2j * np.pi * phase / n)


def wavenumbers(kept: int, half: bool) -> np.ndarray:
    """The integer modes kept on an axis: 0 .. M-1, and -M .. -1 unless `half`."""
    return np.arange(kept) if half else np.r_[0 : kept // 2, -(kept // 2) : 0]


def hermitian_weights(n: int, kept: int) -> np.ndarray:
    """The multiplicity of a real mode: 1 for m = 0 and m = n/2, else 2."""
    m = np.arange(kept)
    return np.where((m == 0) | (2 * m == n), 1.0, 2.0)


def along(
    u: Inexact[Array, "..."], matrix: np.ndarray, axis: int
) -> Inexact[Array, "..."]:
    """`u` with one axis multiplied by a constant ``(n, m)`` matrix, in u's dtype.

    A complex product is one real product of pairs, [a, b] [[re, im], [-im, re]]: on a
    CPU several times faster than the complex one.
    """
    u = jnp.moveaxis(u, axis, -1)
    if jnp.iscomplexobj(u):
        pair = jnp.concatenate([u.real, u.imag], axis=-1)
        real = np.real(matrix)
        imag = np.imag(matrix)
        pair = _product(pair, np.block([[real, imag], [-imag, real]]))
        u = jax.lax.complex(*jnp.split(pair, 2, axis=-1))
    else:
        u = _product(u, matrix)
    return jnp.moveaxis(u, -1, axis)


def _product(u: Float[Array, "..."], matrix: np.ndarray) -> Float[Array, "..."]:
    return jnp.matmul(u, jnp.asarray(matrix, u.dtype), precision="highest")
