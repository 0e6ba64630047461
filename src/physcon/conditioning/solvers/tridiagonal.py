"""A balance with given fluxes and independent errors: two sweeps along one axis."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import safe, tridiagonal
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.interface import Solver
from physcon.conditioning.solvers.step import Step
from physcon.conditioning.solvers.unsuited import unsuited
from physcon.linear_map import Diagonal, Difference, LinearMap, Root

#: A pivot up to this share of its row's variance counts as zero: the row is redundant.
#: Pivots have no rounding errors of other terms; smaller ones don't fit float32.
REDUNDANT = 2.0**-100


class TridiagonalFactor(Factor):
    """L D Lᵀ = d S d on lines along the first axis, d powers of two."""

    scale: Float[Array, "n *lines"]  # d
    factor: tridiagonal.Factor
    axis: int = eqx.field(static=True)

    def dropped(self) -> Bool[Array, "n *lines"]:
        """Which rows are redundant."""
        return self.factor.pivots >= tridiagonal.INFINITE

    @property
    def outcome(self) -> Outcome:
        singular = jnp.any(self.dropped())
        return Outcome.where(singular, Outcome.redundant, Outcome.good)

    @property
    def log_det(self) -> Scalar:
        kept = ~self.dropped()
        pivots = jnp.where(kept, self.factor.pivots, 1)
        scale = jnp.where(kept, self.scale, 1)
        return jnp.sum(jnp.log(pivots) - 2 * jnp.log(scale))

    def rank(self, rows: int) -> Array:
        return rows - jnp.sum(self.dropped())

    def scaled(self, factor: Scalar) -> "TridiagonalFactor":
        return TridiagonalFactor(self.scale / factor, self.factor, self.axis)

    def units(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        return jnp.moveaxis(self.scale, 0, self.axis)

    def solve(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        r = self.scale * jnp.moveaxis(r, self.axis, 0)
        x = self.scale * tridiagonal.solve(self.factor, self._reachable(r))
        return jnp.moveaxis(x, 0, self.axis)

    def reachable(self, r: Float[Array, "*y"]) -> Float[Array, "*y"]:
        """The part of r that rows can meet."""
        scaled = self._reachable(self.scale * jnp.moveaxis(r, self.axis, 0))
        return jnp.moveaxis(scaled / self.scale, 0, self.axis)

    def _reachable(self, r: Float[Array, "n *lines"]) -> Float[Array, "n *lines"]:
        singular = jnp.any(self.dropped())
        return jax.lax.cond(singular, lambda r: self._consistent(r), lambda r: r, r)

    def _consistent(self, r: Float[Array, "n *lines"]) -> Float[Array, "n *lines"]:
        """The part of r that rows can meet: r less its projection on the null vectors.

        A redundant row ends a segment of rows; its null vector is 1 there and follows
        from the ratios of L before it.
        """
        dropped = self.dropped()
        ratios = self.factor.ratios
        ratios = jnp.concatenate([ratios, jnp.zeros_like(dropped[:1], ratios.dtype)])

        def null(after: Array, row: tuple) -> tuple[Array, Array]:
            ends, ratio = row
            v = jnp.where(ends, 1, -ratio * after)
            return v, v

        def add(sums: tuple, row: tuple) -> tuple[tuple, tuple]:
            v, r, ends = row
            total = sums[0] + v * r, sums[1] + v * v
            return tuple(jnp.where(ends, 0, x) for x in total), total

        def share(after: Array, row: tuple) -> tuple[Array, Array]:
            ends, product, size = row
            here = jnp.where(ends, product / jnp.where(ends, size, 1), after)
            return here, here

        zero = jnp.zeros_like(r[0])
        _, v = jax.lax.scan(null, zero, (dropped, ratios), reverse=True)
        _, (product, size) = jax.lax.scan(add, (zero, zero), (v, r, dropped))
        _, c = jax.lax.scan(share, zero, (dropped, product, size), reverse=True)
        return r - c * v

    def variance_removed(self, root: Root, operator: LinearMap) -> Array:
        # Face i bounds cells i-1 and i; with Z = S⁻¹
        # (Gᵀ Z G)_ii = area² (Z_i-1,i-1 - 2 Z_i-1,i + Z_ii)
        root, operator = _separable(root, operator)
        diagonal, off = tridiagonal.inverse_band(self.factor)
        diagonal = self.scale * (self.scale * diagonal)
        off = self.scale[:-1] * (self.scale[1:] * off)
        low, high = (int(end) for end in operator.ends)
        inner = diagonal[:-1] + diagonal[1:] - 2 * off
        last = diagonal[diagonal.shape[0] - high :]
        seen = jnp.concatenate([diagonal[:low], inner, last])
        reach = root.diagonal * operator.area
        share = reach * (reach * jnp.moveaxis(seen, 0, operator.axis))
        return root.diagonal**2 * share


class Tridiagonal(Solver):
    """Exact, O(n): one `Difference` and independent errors.

    Cells are coupled along the axis of the difference only.
    """

    scales: ClassVar[bool] = True

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "Tridiagonal | None":
        operator = law.operator
        fits = isinstance(operator, Difference) and isinstance(prior.root, Diagonal)
        return cls() if fits and not operator.periodic else None  # type: ignore

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> TridiagonalFactor:
        root, operator = _separable(prior.root, law.operator)
        w = _along(operator, operator.area * root.diagonal)
        noise = jnp.moveaxis(law.noise(), operator.axis, 0)
        size = jnp.abs(w[:-1]) + jnp.abs(w[1:]) + jnp.abs(noise)
        scale = 1 / safe.power_of_two(size)
        rows = scale * w[:-1], scale * w[1:], scale * noise
        factor = tridiagonal.factorise_chain(*rows, REDUNDANT)
        return TridiagonalFactor(scale, factor, operator.axis)

    def advance(self, prior: Gaussian, law: LinearConstraint, single: bool) -> Step:
        """The mean by a smoother along the axis, and the multipliers by the factor.

        Multipliers cancel in Σ Gᵀ λ where standard deviations differ by many decades.
        """
        del single
        root, operator = _separable(prior.root, law.operator)
        factor = self.factorise(prior, law)
        missing = law.value - operator.mv(prior.mean)
        target = factor.reachable(missing)
        multiplier = factor.solve(target)
        std = jnp.abs(operator.area * root.diagonal)
        noise = jnp.broadcast_to(jnp.abs(law.noise()), law.value.shape)
        unit = jnp.maximum(jnp.max(std, initial=0), jnp.max(noise, initial=0))
        unit = safe.power_of_two(unit)
        moved = tridiagonal.smoothed(
            _along(operator, operator.area * prior.mean),
            _along(operator, std / unit),
            jnp.moveaxis(target + operator.mv(prior.mean), operator.axis, 0),
            jnp.moveaxis(noise / unit, operator.axis, 0),
        )
        first = int(not operator.ends[0])
        count = operator.in_shape[operator.axis]
        moved = jnp.moveaxis(moved[first : first + count], 0, operator.axis)
        still = std == 0
        divisor = jnp.where(still, 1, operator.area)
        mean = jnp.where(still, prior.mean, moved / divisor)
        distance = jnp.sum(missing * multiplier)
        steps = jnp.zeros((), jnp.int32)
        return Step(mean, multiplier, distance, factor, factor.outcome, steps)


def _along(operator: Difference, x: Float[Array, "*x"]) -> Float[Array, "n *lines"]:
    """Values at all faces of each line, 0 at faces that the field does not hold."""
    x = jnp.moveaxis(x, operator.axis, 0)
    missing = [int(not end) for end in operator.ends]
    return jnp.pad(x, [tuple(missing)] + [(0, 0)] * (x.ndim - 1))


def _separable(root: Root, operator: LinearMap) -> tuple[Diagonal, Difference]:
    if (
        not (isinstance(root, Diagonal) and isinstance(operator, Difference))
        or operator.periodic
    ):
        given = root, operator
        remedy = "use ConjugateGradient"
        raise unsuited("Tridiagonal", "one Difference", given, remedy)
    return root, operator
