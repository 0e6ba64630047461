"""Fast approximate inverses for the Gram matrices of balance laws.

These matrices are weighted Laplacians. For G = Σ_k D_k area_k (differences across the
faces of axis k) and independent face values of variance v_k,

    S = Σ_k D_k w_k D_kᵀ + N      w_k = area_k² v_k.

If w_0 depends on the first axis alone and the other w_k are constant, sine and cosine
transforms leave one tridiagonal system per mode. The inverse is then exact, at O(n log
n). For other weights the same inverse L⁻¹, scaled to the diagonal of S, serves as a
preconditioner: e^{-1/2} L⁻¹ e^{-1/2} with e = diag S / diag L. Its number of steps
grows with the distance of the weights from a product. On many cells in the plane with
such weights the sum over levels of `physcon.conditioning._semicoarsening` replaces it.

Source:
    Concus and Golub, SIAM J. Numer. Anal. 10 (1973) 1103.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from physcon._numerics import tridiagonal
from physcon._numerics.fourier import rfft
from physcon._typing import Array, Float, Scalar
from physcon.conditioning import _multilevel as multilevel
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import Difference, Root, Sum, split_fields

Apply = Callable[[Float[Array, "*y"]], Float[Array, "*y"]]
#: Cells from which levels save more time than their compilation takes, in a few calls.
MANY = 2**18


def modes(n: int, part: Difference) -> tuple[Apply, Float[Array, " n"]]:
    """Transform to the eigenvectors of D Dᵀ (n cells), and the eigenvalues.

    The transform is orthonormal and acts on the last axis. At an end whose face is in
    the state the field is extended oddly about the ghost cell (sine). At an end whose
    face is given it is extended evenly about the face (cosine). Each transform is one
    real FFT of the extended line.

    Source:
        Strang, SIAM Review 41 (1999) 135.
    """
    k = jnp.arange(n).astype(float)
    if part.periodic:  # Hartley's real form of the Fourier transform

        def transform(x: Array) -> Array:
            real, imag = rfft(
                x
            )  # even and odd in the frequency: the other half follows
            mirror = jnp.flip(
                real[..., 1 : (n + 1) // 2] + imag[..., 1 : (n + 1) // 2], -1
            )
            return jnp.concatenate([real - imag, mirror], axis=-1) * n**-0.5

        return transform, 2 - 2 * jnp.cos(2 * jnp.pi * k / n)
    if part.ends == (True, True):

        def transform(x: Array) -> Array:
            gap = jnp.zeros_like(x[..., :1])
            odd = jnp.concatenate([gap, x, gap, -jnp.flip(x, -1)], axis=-1)
            return -rfft(odd)[1][..., 1 : n + 1] * (2 * (n + 1)) ** -0.5

        return transform, 2 - 2 * jnp.cos(jnp.pi * (k + 1) / (n + 1))
    if part.ends == (False, False):

        def transform(x: Array) -> Array:
            pair = rfft(jnp.concatenate([x, jnp.flip(x, -1)], axis=-1))
            real, imag = (part[..., :n] for part in pair)
            norm = jnp.where(k == 0, (4 * n) ** -0.5, (2 * n) ** -0.5)
            phase = jnp.pi * k / (2 * n)
            cos, sin = (
                jnp.broadcast_to(f, x.shape) for f in (jnp.cos(phase), jnp.sin(phase))
            )
            return jnp.broadcast_to(norm, x.shape) * (real * cos + imag * sin)

        return transform, 2 - 2 * jnp.cos(jnp.pi * k / n)

    def transform(x: Array) -> Array:
        x = x if part.ends[0] else jnp.flip(x, -1)
        gap = jnp.zeros_like(x[..., :1])
        even = jnp.concatenate([gap, x, jnp.flip(x, -1)], axis=-1)
        odd = jnp.concatenate([even, -even], axis=-1)
        return -rfft(odd)[1][..., 1 : 2 * n : 2] * (2 * (2 * n + 1) ** 0.5) ** -1

    return transform, 2 - 2 * jnp.cos(jnp.pi * (2 * k + 1) / (2 * n + 1))


def preconditioner(
    parts: tuple[Difference, ...],
    variances: list[Array],
    noise_variance: Float[Array, "*y"],
) -> Apply:
    """Approximate S⁻¹ on cell values; the module docstring says when it is exact."""
    weights = [p.area**2 * v for p, v in zip(parts, variances, strict=True)]
    cells = parts[0].out_shape
    line = 0 if parts[0].axis == 0 and not parts[0].periodic else None
    noise = jnp.mean(noise_variance)
    diagonal = noise_variance + sum(
        (p.both_sides(w) for p, w in zip(parts, weights, strict=True)), jnp.zeros(cells)
    )
    levels, frozen, transforms = _spectral(parts, weights, line, noise)
    if line is None:
        inner_solve = _by_division(levels)
    else:
        sides, inner_solve = _by_lines(parts[0], weights[0], levels)
        frozen = frozen + sides
    scale = jnp.sqrt(jnp.where(diagonal > 0, frozen / diagonal, 1))

    def apply(r: Array) -> Array:
        x = scale * r
        for transform, axis in transforms:
            x = _along(transform, x, axis)
        x = inner_solve(x)
        for transform, axis in reversed(transforms):
            inverse = jax.linear_transpose(
                lambda z, t=transform, a=axis: _along(t, z, a), x
            )
            (x,) = inverse(x)
        return scale * x

    return apply


def _spectral(
    parts: tuple[Difference, ...],
    weights: list[Array],
    line: int | None,
    noise: Scalar,
) -> tuple[Array, Array, list[tuple[Apply, int]]]:
    """Eigenvalues of L along the transformed axes, its diagonal, and the transforms.

    The axis `line` stays untransformed: it has one tridiagonal system per mode.
    """
    cells = parts[0].out_shape
    levels = jnp.full(cells, noise)
    transforms = []
    frozen = jnp.full(cells, noise)  # the diagonal of L
    for index, (part, w) in enumerate(zip(parts, weights, strict=True)):
        if index == line:
            continue
        axis = part.axis
        mean = jnp.mean(w)
        transform, eigenvalues = modes(cells[axis], part)
        shape = [1] * len(cells)
        shape[axis] = -1
        levels = levels + mean * jnp.broadcast_to(eigenvalues.reshape(shape), cells)
        frozen = frozen + part.both_sides(jnp.full(w.shape, mean))
        transforms.append((transform, axis))
    return levels, frozen, transforms


def _by_division(levels: Array) -> Apply:
    """The inverse of L, all of whose axes are transformed."""
    # The constant mode of a closed system may get any positive level, because the
    # right-hand side has no component along it.
    zero = levels <= 1e-12 * jnp.max(levels)
    levels = jnp.where(zero, jnp.min(jnp.where(zero, jnp.inf, levels)), levels)
    return lambda x: x / levels


def _by_lines(part: Difference, weights: Array, levels: Array) -> tuple[Array, Apply]:
    """The diagonal of the first axis, and the inverse of L by lines along it."""
    cells = part.out_shape
    others = tuple(range(1, len(cells)))
    profile = jnp.broadcast_to(
        jnp.mean(weights, axis=others, keepdims=True), weights.shape
    )
    sides = part.both_sides(profile)
    if not any(part.ends):
        zero = levels <= 1e-12 * jnp.max(levels)
        lowest = jnp.mean(profile) * (jnp.pi / cells[0]) ** 2
        levels = jnp.where(zero, lowest, levels)
    first = int(part.ends[0])
    factor = tridiagonal.factorise(
        levels + sides, -profile[first : first + cells[0] - 1]
    )
    return sides, lambda x: tridiagonal.solve(factor, x)


def _along(transform: Apply, x: Array, axis: int) -> Array:
    return jnp.moveaxis(transform(jnp.moveaxis(x, axis, -1)), -1, axis)


def of_balance(
    parts: tuple[Difference, ...], root: Root, law: LinearConstraint, *, whole: bool
) -> Apply:
    """A preconditioner of a law whose parts are differences.

    Args:
        whole: whether all cells are here, so that levels may replace transforms.
    """
    variances = variances_of(parts, root, law)
    noise = law.noise() ** 2
    if whole and law.value.size >= MANY and multilevel.suits(parts):
        return multilevel.or_else(preconditioner, parts, variances, noise)
    return preconditioner(parts, variances, noise)


def variances_of(
    parts: tuple[Difference, ...], root: Root, law: LinearConstraint
) -> list[Array]:
    """The variances of the face values of each part."""
    variance = root.gram_diagonal()
    if not isinstance(law.operator, Sum):
        return [variance]
    return split_fields(variance, tuple(p.in_shape for p in parts))


def product(parts: tuple[Difference, ...], root: Root, law: LinearConstraint) -> Apply:
    """The product with S under independent errors, as a stencil on cells."""
    variances = variances_of(parts, root, law)
    pairs = zip(parts, variances, strict=True)
    weighted = [(p.with_area(p.area**2 * v), p.with_area(1.0)) for p, v in pairs]
    noise = law.noise() ** 2

    def apply(y: Array) -> Array:
        terms = (w.mv(one.rmv(y)) for w, one in weighted)
        return sum(terms, noise * y)

    return apply
