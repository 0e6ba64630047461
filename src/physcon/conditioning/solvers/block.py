"""A small matrix at every point, under independent errors: one small system a point."""

import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._status import Outcome
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.factor import Factor
from physcon.conditioning.solvers.refined import Refined, independent_std
from physcon.linear_map import LinearMap, Pointwise, Root

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

    def solve(self, r: Float[Array, "r *x"]) -> Float[Array, "r *x"]:
        white = jnp.sum(self.whitener * (self.scale * r)[None], axis=1)
        return self.scale * jnp.sum(self.whitener * white[:, None], axis=0)

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

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "BlockGram | None":
        known = independent_std(prior.root) is not None
        return cls() if known and isinstance(law.operator, Pointwise) else None

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> BlockFactor:
        std, operator = independent_std(prior.root), law.operator
        if std is None or not isinstance(operator, Pointwise):
            raise ValueError(
                "expected independent errors (Diagonal) and a Pointwise operator for "
                f"BlockGram, got {type(prior.root).__name__} and "
                f"{type(operator).__name__}; pass solver=None to have one chosen"
            )
        r, c, *_ = operator.matrix.shape
        require(r <= 32, "up to 32 rows per point", r, "use from_matrix for more")
        std = std.reshape(operator.in_shape)
        noise = law.noise()
        reach = [[operator.entry(i, k) * std[k] for k in range(c)] for i in range(r)]
        sizes = [sum(jnp.abs(x) for x in reach[i]) + noise[i] for i in range(r)]
        scale = 1 / safe.power_of_two(jnp.stack(sizes))
        rows = [[scale[i] * x for x in reach[i]] for i in range(r)]
        gram = [[_dot(rows[i], rows[j]) for j in range(i + 1)] for i in range(r)]
        for i in range(r):
            gram[i][i] = gram[i][i] + (scale[i] * noise[i]) ** 2
        seen = [[operator.entry(i, k) != 0 for k in range(c)] for i in range(r)]
        present = jnp.stack([jnp.any(jnp.stack(s), axis=0) for s in seen])
        present = jnp.broadcast_to(present, operator.out_shape)
        return BlockFactor(scale, _whitener(gram, present), present)


def _dot(a: list[Array], b: list[Array]) -> Array:
    terms = [x * y for x, y in zip(a, b, strict=True)]
    return sum(terms[1:], terms[0])


def _whitener(
    gram: list[list[Array]], present: Bool[Array, "r *x"]
) -> Float[Array, "r r *x"]:
    """The inverse Cholesky factor, written out over the entries of the lower triangle."""
    r = len(gram)
    zero = jnp.zeros_like(gram[0][0])
    lower = [[zero] * r for _ in range(r)]
    inverse = [[zero] * r for _ in range(r)]
    for i in range(r):
        for j in range(i):
            known = sum((lower[i][k] * lower[j][k] for k in range(j)), zero)
            # Row j of the inverse is zero where row j is redundant.
            lower[i][j] = (gram[i][j] - known) * inverse[j][j]
        pivot = gram[i][i] - sum((lower[i][k] ** 2 for k in range(i)), zero)
        kept = ~(pivot <= REDUNDANT * gram[i][i]) & present[i]
        root = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, pivot, 1)), 0)
        inverse[i][i] = root
        for j in range(i):
            terms = (lower[i][k] * inverse[k][j] for k in range(j, i))
            inverse[i][j] = -root * sum(terms, zero)
    return jnp.stack([jnp.stack(row) for row in inverse])
