"""Modes of impulses at boundary nodes, and the real transform's symmetry of modes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Inexact
from physcon.operators.spectral import (
    dft,
    hermitian_weights,
    wavenumbers,
)


def boundary_waves(
    n: int, kept: int, half: bool, nodes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Modes of an impulse at each node, and the rows that read a node from modes.

    Shapes: both ``(p, m)`` for p nodes.
    """
    shift = dft(n, kept, half)[nodes]
    times = (
        hermitian_weights(n, kept) if half else np.ones(len(wavenumbers(kept, half)))
    )
    return shift, shift.conj() * times / n


def symmetriser(
    across: tuple[tuple[int, int], ...], half_last: bool
) -> Callable[[Inexact[Array, "*a q"]], Inexact[Array, "*a q"]]:
    """The effect of the inverse real transform on transverse modes q.

    h(q) becomes (h(q) + h(-q)*) / 2. If the real axis is the eliminated one, this holds
    for all q; else for those whose mode on the real axis is its own conjugate (0 and
    n/2). A mode whose negative is not kept is halved.
    """
    folded = np.array([True])
    kept = np.array([True])
    sizes = []
    for t, (n, k) in enumerate(across):
        half = half_last and t + 1 == len(across)
        numbers = wavenumbers(k, half) % n
        own = hermitian_weights(n, k) == 1 if half else np.ones(len(numbers), bool)
        paired = own if half else np.isin((-numbers) % n, numbers)
        folded = np.logical_and.outer(folded, own).ravel()
        kept = np.logical_and.outer(kept, paired).ravel()
        sizes.append(len(numbers))

    def symmetric(h: Inexact[Array, "*a q"]) -> Inexact[Array, "*a q"]:
        other = h.reshape(*h.shape[:-1], *sizes)
        # Modes 0, 1 .. M-1, -M .. -1 become 0, -1 .. 1.
        for t in range(len(sizes) - half_last):
            axis = h.ndim - 1 + t
            first = jax.lax.slice_in_dim(other, 0, 1, axis=axis)
            rest = jax.lax.slice_in_dim(other, 1, None, axis=axis)
            other = jnp.concatenate([first, jnp.flip(rest, axis)], axis)
        shape = (1,) * (h.ndim - 1) + (-1,)
        other = jnp.where(kept.reshape(shape), other.reshape(h.shape).conj(), 0)
        return jnp.where(folded.reshape(shape), 0.5 * (h + other), h)

    return symmetric
