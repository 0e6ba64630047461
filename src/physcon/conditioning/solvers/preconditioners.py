"""Preconditioners for `ConjugateGradient`: approximate inverses of S = G Σ Gᵀ + N.

A preconditioner of your own has one method:

    class Mine(Preconditioner):
        def prepare(self, root, law):
            ...                                # once for each factorisation
            return lambda r: ...               # symmetric and positive definite

It changes the number of steps only, never the answer.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.krylov import Apply
from physcon._numerics.products import gram
from physcon._numerics.sparse import pick
from physcon._numerics.whitening import whitening
from physcon._typing import Array, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.solvers.refined import independent_std
from physcon.conditioning.solvers.row_variance import row_variance, sampled_row_variance
from physcon.conditioning.solvers.units import law_by_row
from physcon.linear_map import Root, Sparse
from physcon.linear_map.basic import size


class Preconditioner(eqx.Module):
    """An approximate inverse of S, for `ConjugateGradient`."""

    @abc.abstractmethod
    def prepare(self, root: Root, law: LinearConstraint) -> Apply:
        """The function r -> M r, with M near S⁻¹."""


class Jacobi(Preconditioner):
    """The inverse of the diagonal of S.

    The diagonal is exact under independent errors for rows with known entries
    (`from_matrix`, `incidence`, `totals`, dense rows). It is estimated for all other
    operators and priors, such as a matrix-free `LinearMap` of your own.

    Attributes:
        draws: number of random vectors of the estimate.
    """

    draws: int = eqx.field(static=True, default=64)

    def prepare(self, root: Root, law: LinearConstraint) -> Apply:
        found = row_variance(law, root)
        if found is None:
            found = sampled_row_variance(law, root, self.draws)
        positive = found > 0
        inverse = jnp.where(positive, 1 / jnp.where(positive, found, 1), 1)
        return lambda r: inverse * r


class BlockJacobi(Preconditioner):
    """The inverses of square blocks on the diagonal of S.

    Use it where rows with consecutive numbers are coupled most strongly: the species of
    one cell, the levels of one column.

    Attributes:
        size: rows per block; the last block may hold fewer. One application of the law
            to each row is needed, except for sparse rows under independent errors.
    """

    size: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        require(self.size >= 1, "blocks of 1 or more rows", self.size, "pass size=8")

    def prepare(self, root: Root, law: LinearConstraint) -> Apply:
        m, k = law.value.size, min(self.size, law.value.size)
        blocks = -(-m // k)
        found = self._of_entries(root, law, blocks, k)
        if found is None:
            found = self._of_rows(root, law, blocks, k)
        noise = jnp.pad(law.noise().reshape(-1), (0, blocks * k - m)) ** 2
        eye = jnp.eye(k, dtype=found.dtype)[None]
        found = found + eye * noise.reshape(blocks, k, 1)
        diagonal = jnp.sum(eye * found, axis=2)
        scale = jnp.where(diagonal > 0, jnp.where(diagonal > 0, diagonal, 1) ** -0.5, 1)
        # A pivot that is lost is replaced: the preconditioner must be definite.
        unit = scale[:, :, None] * found * scale[:, None, :] + 1e-10 * eye
        unit = jnp.where((eye == 1) & (diagonal == 0)[:, None, :], 1, unit)
        white = jax.vmap(lambda block: whitening(block, 1e-14).whitener)(unit)
        white = white * scale[:, None, :]

        def apply(r: Array) -> Array:
            padded = jnp.pad(r.reshape(-1), (0, blocks * k - m)).reshape(blocks, k, 1)
            once = jnp.matmul(white, padded, precision="highest")
            twice = jnp.matmul(jnp.swapaxes(white, 1, 2), once, precision="highest")
            return twice.reshape(-1)[:m].reshape(r.shape)

        return apply

    def _of_entries(
        self, root: Root, law: LinearConstraint, blocks: int, k: int
    ) -> Float[Array, "b k k"] | None:
        std, operator = independent_std(root), law.operator
        if std is None or not isinstance(operator, Sparse) or operator.gram is None:
            return None
        place = operator.gram
        reach = operator.entries * pick(std, operator.column)
        row = operator.row.at[place.first].get(mode="promise_in_bounds")
        other = operator.row.at[place.second].get(mode="promise_in_bounds")
        terms = pick(reach, place.first) * pick(reach, place.second)
        inside = row // k == other // k
        terms = jnp.where(inside, terms, 0)
        mirrored = jnp.where(place.first == place.second, 0, terms)
        table = jnp.zeros((blocks, k, k), terms.dtype)
        table = table.at[row // k, row % k, other % k].add(terms)
        return table.at[row // k, other % k, row % k].add(mirrored)

    def _of_rows(
        self, root: Root, law: LinearConstraint, blocks: int, k: int
    ) -> Float[Array, "b k k"]:
        operator = law.operator
        m = size(operator.out_shape)

        def block(b: Array) -> Array:
            rows = b * k + jnp.arange(k)
            units = (jnp.arange(m)[None] == rows[:, None]).astype(law.value.dtype)
            units = units.reshape(k, *operator.out_shape)
            return gram(jax.vmap(lambda y: root.rmv(operator.rmv(y)))(units))

        return jax.lax.map(block, jnp.arange(blocks))


def of_divided_rows(
    own: Preconditioner, root: Root, law: LinearConstraint, size: Array
) -> Apply:
    """The preconditioner of a law whose rows were divided by `size`.

    Most read the law. One that was built beforehand belongs to the rows as they were.
    """
    if size.ndim == 0 or isinstance(own, Jacobi | BlockJacobi):
        return own.prepare(root, law)
    whole = own.prepare(root, law_by_row(law, size))
    return lambda r: size * whole(size * r)
