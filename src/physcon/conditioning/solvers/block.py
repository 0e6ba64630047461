"""A small matrix at every point, under independent errors: one small system a point."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor, unmoved
from physcon.conditioning.solvers.interface import PriorAndLaw
from physcon.conditioning.solvers.refined import Refined, independent_std
from physcon.conditioning.solvers.unsuited import unsuited
from physcon.linear_map import LinearMap, Pointwise, Root

#: Rows per point up to which the elimination is written out.
WRITTEN_OUT = 4
#: A pivot up to this share of its row's variance is rounding: the row is redundant.
REDUNDANT = 1e-14


class BlockFactor(Factor):
    """B with B d S d Bᵀ = 1 at every point, lower triangular, d powers of two.

    Attributes:
        scale: d, ``(r, *x)``.
        whitener: B, ``(r, r, *x)``; a row of zeros where a row of S is redundant.
        present: ``(r, *x)``, false where a row of the matrix is zero: no row.
    """

    scale: Float[Array, "r *x"]
    whitener: Float[Array, "r r *x"]
    present: Bool[Array, "r *x"]

    def _diagonal(self) -> Float[Array, "r *x"]:
        return jnp.stack([self.whitener[i, i] for i in range(self.scale.shape[0])])

    def kept(self) -> Bool[Array, "r *x"]:
        """Which rows are independent of those before them."""
        return self._diagonal() != 0

    @property
    def outcome(self) -> Outcome:
        idle = jnp.any(self.present & ~self.kept())
        return Outcome.where(idle, Outcome.redundant, Outcome.good)

    @property
    def log_det(self) -> Scalar:
        return -2 * jnp.sum(safe.log(self._diagonal() * self.scale))

    def rank(self, rows: int) -> Array:
        return jnp.sum(self.kept())

    def scaled(self, factor: Scalar) -> "BlockFactor":
        return eqx.tree_at(lambda f: f.scale, self, self.scale / factor)

    def units(self, r: Float[Array, "r *x"]) -> Float[Array, "r *x"]:
        return self.scale

    def solve(self, r: Float[Array, "r *x"]) -> Float[Array, "r *x"]:
        rows = range(r.shape[0])
        scaled = self.scale * r
        # Sums of arrays: XLA reduces along leading axes ten times slower.
        white = [sum(self.whitener[i, k] * scaled[k] for k in rows) for i in rows]
        white = jax.lax.optimization_barrier(white)
        back = [sum(self.whitener[i, k] * white[i] for i in rows) for k in rows]
        return self.scale * jnp.stack(back)

    def variance_removed(self, root: Root, operator: LinearMap) -> Array:
        std = independent_std(root)
        assert std is not None
        assert isinstance(operator, Pointwise)
        std = std.reshape(operator.in_shape)
        rows = self.whitener * self.scale[None]

        def removed(c: int) -> Array:
            column = [operator.entry(r, c) * std[c] for r in range(rows.shape[0])]
            white = sum(rows[:, r] * column[r][None] for r in range(rows.shape[0]))
            return jnp.sum(jnp.square(white), axis=0)

        return std**2 * jnp.stack([removed(c) for c in range(std.shape[0])])


class BlockGram(Refined):
    """Exact, O(n): a `Pointwise` law and independent errors.

    The system of each point is factored in closed form, for all points at once.
    """

    scales: ClassVar[bool] = True

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "BlockGram | None":
        known = independent_std(prior.root) is not None
        return cls() if known and isinstance(law.operator, Pointwise) else None

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> BlockFactor:
        std, operator = independent_std(prior.root), law.operator
        if std is None or not isinstance(operator, Pointwise):
            given = prior.root, operator
            raise unsuited("BlockGram", "a Pointwise operator", given)
        r = operator.matrix.shape[0]
        require(r <= 32, "up to 32 rows per point", r, "use from_matrix for more")
        variance = std.reshape(operator.in_shape) ** 2
        # Barriers: XLA computes some of this again for every entry otherwise.
        gram = jax.lax.optimization_barrier(_gram(operator.matrix, variance))
        noise = jnp.broadcast_to(law.noise(), operator.out_shape) ** 2
        diagonal = jnp.stack([gram[i, i] + noise[i] for i in range(r)])
        # Zero, not one, for a row without variance: one has a unit.
        scale = 1 / safe.power_of_two(safe.sqrt(diagonal))
        scale = jnp.where(diagonal == 0, 0, scale)
        gram = scale[:, None] * gram * scale[None, :]
        gram, scale, diagonal = jax.lax.optimization_barrier((gram, scale, diagonal))
        present = jax.lax.optimization_barrier(jnp.any(operator.matrix != 0, axis=1))
        present = present.reshape((r,) + (present.shape[1:] or (1,) * (std.ndim - 1)))
        present = jnp.broadcast_to(present, operator.out_shape)
        whitener = _whitener(gram, scale**2 * diagonal, present)
        return BlockFactor(scale, whitener, present)

    def tangent(self, factor: Any, primals: PriorAndLaw, tangents: PriorAndLaw) -> Any:
        def whitener(prior: Gaussian, law: LinearConstraint) -> Array:
            gram, diagonal = _scaled_gram(prior, law, factor.scale)
            return _whitener(gram, diagonal, factor.present)

        _, d_whitener = jax.jvp(whitener, primals, tangents)
        return eqx.tree_at(lambda f: f.whitener, unmoved(factor), d_whitener)


def _scaled_gram(
    prior: Gaussian, law: LinearConstraint, scale: Float[Array, "r *x"]
) -> tuple[Float[Array, "r r *x"], Float[Array, "r *x"]]:
    """d G Σ Gᵀ d and the diagonal of d S d for a given `scale` d."""
    std, operator = independent_std(prior.root), law.operator
    assert std is not None
    assert isinstance(operator, Pointwise)
    std = std.reshape(operator.in_shape)
    matrix = operator.matrix
    space = matrix.shape[2:] or (1,) * (std.ndim - 1)
    # Scaled before anything is squared: float32 holds no squares of 1e-30.
    reach = scale[:, None] * (matrix.reshape(*matrix.shape[:2], *space) * std[None])
    gram = _gram(reach, jnp.ones_like(std))
    noise = scale * jnp.broadcast_to(law.noise(), operator.out_shape)
    diagonal = jnp.stack([gram[r, r] + noise[r] ** 2 for r in range(scale.shape[0])])
    return gram, diagonal


def _gram(
    matrix: Float[Array, "r c *m"], variance: Float[Array, "c *x"]
) -> Float[Array, "r r *x"]:
    """Σ_c matrix_ic variance_c matrix_jc at every point."""
    if matrix.ndim == 2:
        pairs = matrix[:, None, :] * matrix[None, :, :]
        return jnp.tensordot(pairs, variance, axes=1, precision="highest")
    terms = range(matrix.shape[1])
    reach = matrix * variance[None]
    return sum(reach[:, None, k] * matrix[None, :, k] for k in terms)  # type: ignore


def _whitener(
    gram: Float[Array, "r r *x"],
    diagonal: Float[Array, "r *x"],
    present: Bool[Array, "r *x"],
) -> Float[Array, "r r *x"]:
    """The inverse Cholesky factor, by elimination of one row after the other.

    Args:
        diagonal: of the matrix, noise included; `gram` does not include it.
    """
    r = gram.shape[0]
    if r <= WRITTEN_OUT:
        return _written_out(gram, diagonal, present)
    space = (1,) * (gram.ndim - 2)
    eye = jnp.eye(r, dtype=gram.dtype).reshape(r, r, *space)
    rest = jnp.where(eye == 1, diagonal[:, None], gram)
    inverse = jnp.broadcast_to(eye, gram.shape)
    number = jnp.arange(r).reshape(r, *space)

    def step(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, inverse = carry
        row = jax.lax.dynamic_index_in_dim(rest, j, keepdims=False)
        own = jax.lax.dynamic_index_in_dim(inverse, j, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(row, j, keepdims=False)
        size = jax.lax.dynamic_index_in_dim(diagonal, j, keepdims=False)
        here = jax.lax.dynamic_index_in_dim(present, j, keepdims=False)
        kept = ~(pivot <= REDUNDANT * size) & here
        root = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, pivot, 1)), 0)
        row = root[None] * row
        own = root[None] * own
        below = jnp.where(number > j, row, 0)
        rest = rest - below[:, None] * row[None]
        inverse = inverse - below[:, None] * own[None]
        inverse = jnp.where((number == j)[:, None], own[None], inverse)
        return rest, inverse

    return jax.lax.fori_loop(0, r, step, (rest, inverse))[1]


def _written_out(
    gram: Float[Array, "r r *x"],
    diagonal: Float[Array, "r *x"],
    present: Bool[Array, "r *x"],
) -> Float[Array, "r r *x"]:
    """The same with one array for each entry of the lower triangles.

    The barriers keep XLA from computing every entry from the start again.
    """
    r = gram.shape[0]
    zero = jnp.zeros_like(gram[0, 0])
    rest = {(i, k): gram[i, k] for i in range(r) for k in range(i)}
    rest |= {(i, i): diagonal[i] for i in range(r)}
    inverse = {(i, k): zero + float(i == k) for i in range(r) for k in range(i + 1)}
    for j in range(r):
        pivot = rest[j, j]
        kept = ~(pivot <= REDUNDANT * diagonal[j]) & present[j]
        root = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, pivot, 1)), 0)
        below = {i: root * rest[i, j] for i in range(j + 1, r)}
        own = {k: root * inverse[j, k] for k in range(j + 1)}
        for i, factor in below.items():
            for k in range(j + 1, i + 1):
                rest[i, k] = rest[i, k] - factor * below[k]
            for k, entry in own.items():
                inverse[i, k] = inverse[i, k] - factor * entry
        inverse |= {(j, k): entry for k, entry in own.items()}
        rest, inverse = jax.lax.optimization_barrier((rest, inverse))
    rows = [[inverse.get((i, k), zero) for k in range(r)] for i in range(r)]
    return jnp.stack([jnp.stack(row) for row in rows])
