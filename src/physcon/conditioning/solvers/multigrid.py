"""Algebraic multigrid as a preconditioner: pyamg builds the hierarchy, JAX applies it.

Source: Vaněk, Mandel and Brezina, Computing 56 (1996) 179.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced, require
from physcon._numerics.ellpack import Ellpack
from physcon._numerics.krylov import Apply
from physcon._typing import Array, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.solvers.preconditioners import Preconditioner
from physcon.conditioning.stacking import triplets
from physcon.linear_map import Disjoint, Pointwise, Root, Sparse


class Grade(eqx.Module):
    """One level of the hierarchy.

    Attributes:
        matrix: A of this level.
        smoother: damped inverse of its diagonal.
        prolong: P, from the next level to this one.
        restrict: Pᵀ.
    """

    matrix: Ellpack
    smoother: Float[Array, " m"]
    prolong: Ellpack
    restrict: Ellpack


class Multigrid(Preconditioner):
    """One V-cycle of algebraic multigrid, with a hierarchy that is built beforehand.

    Build it with `Multigrid.of(prior, law)`, outside of `jax.jit`, and pass it on as
    ``ConjugateGradient(preconditioner=...)``. The hierarchy keeps the variances
    for which it was built. Other variances need a few steps more, or many more if they
    differ by orders of magnitude; the answer is the same.

    Attributes:
        scale: ``(m,)``, by which rows are scaled to a unit diagonal of S.
        grades: from fine to coarse.
        coarsest: the pseudo-inverse of the last level's matrix.
    """

    scale: Float[Array, " m"]
    grades: tuple[Grade, ...]
    coarsest: Float[Array, "c c"]

    @classmethod
    def of(cls, prior: Gaussian, law: LinearConstraint) -> "Multigrid":
        """The hierarchy of a law with known entries, such as `from_matrix` builds.

        Correlations of the prior are left out.
        """
        operator = law.operator
        require(
            isinstance(operator, (Sparse, Disjoint, Pointwise)),
            "a law with known entries (from_matrix, incidence, totals) for Multigrid",
            f"a {type(operator).__name__}",
            "pass a sparse matrix near S = G Σ Gᵀ + N to Multigrid.from_matrix",
        )
        require(
            not is_traced(operator) and not is_traced(law.value),
            "a law and a prior with known values",
            "traced ones",
            "build the hierarchy outside of jit, and pass it to the compiled function",
        )
        _, sparse = _libraries()
        entries, row, column = triplets(operator)
        std = np.sqrt(np.asarray(prior.root.gram_diagonal(), float)).reshape(-1)
        reach = np.asarray(entries, float) * std[column]
        shape = (law.value.size, std.size)
        rows = sparse.csr_matrix((reach, (row, column)), shape)
        noise = np.asarray(law.noise(), float).reshape(-1) ** 2
        return cls.from_matrix(rows @ rows.T + sparse.diags(noise))

    @classmethod
    def from_matrix(cls, matrix: Any) -> "Multigrid":
        """The hierarchy of a SciPy sparse matrix near S, symmetric and positive."""
        amg, sparse = _libraries()
        whole = sparse.csr_matrix(matrix, dtype=float)
        diagonal = whole.diagonal()
        size = np.where(diagonal > 0, diagonal, 1) ** -0.5
        unit = sparse.diags(size) @ whole @ sparse.diags(size)
        unit = (unit + sparse.diags((diagonal <= 0).astype(float))).tocsr()
        found = amg.smoothed_aggregation_solver(unit, max_coarse=100).levels
        grades = tuple(_grade(level.A, level.P) for level in found[:-1])
        coarse = np.linalg.pinv(found[-1].A.toarray(), rcond=1e-10, hermitian=True)
        dtype = jnp.result_type(float)
        return cls(jnp.asarray(size, dtype), grades, jnp.asarray(coarse, dtype))

    def prepare(self, root: Root, law: LinearConstraint) -> Apply:
        require(
            law.value.size == self.scale.size,
            f"a law with the {self.scale.size} rows of the hierarchy",
            f"{law.value.size} rows",
            "build the hierarchy with Multigrid.of(prior, law) for this law",
        )

        def apply(r: Array) -> Array:
            flat = self.scale * r.reshape(-1)
            return (self.scale * self._cycle(0, flat)).reshape(r.shape)

        return apply

    def _cycle(self, depth: int, r: Array) -> Array:
        """One step of Jacobi before and after the correction from the next level."""
        if depth == len(self.grades):
            return jnp.matmul(self.coarsest, r, precision="highest")
        grade = self.grades[depth]
        x = grade.smoother * r
        left = grade.restrict.mv(r - grade.matrix.mv(x))
        x = x + grade.prolong.mv(self._cycle(depth + 1, left))
        return x + grade.smoother * (r - grade.matrix.mv(x))


def _grade(matrix: Any, prolong: Any) -> Grade:
    diagonal = matrix.diagonal()
    inverse = 1 / np.where(diagonal > 0, diagonal, 1)
    x = np.random.default_rng(0).normal(size=diagonal.size)
    radius = 1.0
    for _ in range(15):
        x = x / np.linalg.norm(x)
        x = inverse * (matrix @ x)
        radius = float(np.linalg.norm(x))
    smoother = jnp.asarray(4 / (3 * 1.1 * radius) * inverse, jnp.result_type(float))
    return Grade(
        Ellpack.of(matrix), smoother, Ellpack.of(prolong), Ellpack.of(prolong.T)
    )


def _libraries() -> tuple[Any, Any]:
    """pyamg and scipy.sparse, which are optional."""
    try:
        import pyamg
        import scipy.sparse
    except ImportError as error:
        raise ImportError(
            "expected pyamg, which builds the hierarchy of Multigrid, but it is not "
            "installed; run pip install pyamg, or pass preconditioner=Jacobi()"
        ) from error
    return pyamg, scipy.sparse
