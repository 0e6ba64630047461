"""Solvers: every route of `condition` as a class that can be asked for by name.

To add one, write a module next to this one with two classes:

    class MyFactor(Factor):             # arrays only, in the working precision
        ...
        def solve(self, r): ...         # S⁻¹ r; not differentiated, see `inverse`
        # optional: properties outcome and log_det; methods rank, variance_removed,
        # scaled (gradients in units of 1e-30 to 1e30), attempt (iterative solvers)

    class MySolver(Solver):
        def factorise(self, prior, law):
            return MyFactor(...)        # from prior.root, law.operator, law.noise_std

        @classmethod
        def suits(cls, prior, law):     # None, or the solver with its settings
            return cls() if isinstance(law.operator, MyRows) else None

and a line in `physcon.conditioning.solvers.auto.CANDIDATES`. The base class does the
rest: local float64, the mean, the evidence, the implicit derivative (`implicit.py`),
the posterior root (`MatheronRoot`), outcomes and errors.

- `factorise` runs in float64 for callers of any dtype, under jit and vmap. What
  depends on the structure only (index maps, a symbolic analysis) is computed on the
  host when the operator is built, and is held by the operator or by the solver as
  array leaves, so that no value recompiles anything.
- The factor's arrays are stored with the posterior in pairs of float32 arrays, so
  they must fit float32: scale S to a unit diagonal by powers of two, as `Tridiagonal`
  does. `keep = False` stores nothing and factorises again at each use.
- `log_det` and `variance_removed` are differentiated through the factor's arrays,
  whose tangent comes from plain automatic differentiation of `factorise`; override
  `tangent` for a formula. `solve` needs no derivative.
- `advance` and `posterior_root` can be overridden, as `DenseGram` does, which finds
  the mean and the factor in one pass over long arrays.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._typing import Array, Float, Scalar
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.matheron import MatheronRoot
from physcon.conditioning.solvers.factor import Exact, Factor
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import Root

#: A prior and a law, or their tangents.
PriorAndLaw = tuple[Gaussian, LinearConstraint]


class Solver(eqx.Module):
    """How S = G Σ Gᵀ + N is factored. Holds settings, and index arrays at most."""

    #: Whether a posterior stores the factor, or factorises again at each use.
    keep: ClassVar[bool] = True
    #: Whether `tangent` works for weights and fields of any size. Where it does not,
    #: both are divided out around it, see `units`.
    scales: ClassVar[bool] = False
    #: Whether it works for weights of any size, of known rows, and needs the field
    #: divided out only.
    reweighs: ClassVar[bool] = False

    @abc.abstractmethod
    def factorise(self, prior: Gaussian, law: LinearConstraint) -> Factor:
        """The factor of S, from `prior.root`, `law.operator` and `law.noise_std`."""

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "Solver | None":
        """The solver with its settings if the structure allows it, else None."""
        return None

    def choose(self, prior: Gaussian, law: LinearConstraint) -> "Solver":
        """The solver to use: itself, unless it is `Auto`."""
        return self

    def largest(self, y: Float[Array, "*y"]) -> Scalar:
        """max |y| over all rows."""
        return largest_of(jnp.abs(y), initial=0)

    def tolerance(self, prior: Gaussian, law: LinearConstraint) -> Scalar | float:
        """How much a row may miss beyond rounding; not zero for iterative solvers."""
        return 0.0

    def advance(self, prior: Gaussian, law: LinearConstraint, single: bool) -> Step:
        """The posterior mean and the factor, in float64.

        Args:
            single: the arrays were converted from float32.
        """
        operator = law.operator
        factor = self.factorise(prior, law)
        missing = law.value - operator.mv(prior.mean)
        multiplier, outcome, steps = factor.attempt(missing)
        change = prior.root.mv(prior.root.rmv(operator.rmv(multiplier)))
        distance = jnp.sum(missing * multiplier)
        mean = prior.mean + change
        return Step(mean, multiplier, distance, factor, outcome, steps)

    def tangent(
        self, factor: Factor, primals: PriorAndLaw, tangents: PriorAndLaw
    ) -> Factor:
        """The derivative of `factorise`, in the caller's dtype."""
        return jax.jvp(self.factorise, primals, tangents)[1]

    def posterior_root(
        self, prior: Gaussian, law: LinearConstraint, factor: Exact[Any] | None
    ) -> Root:
        """A root of the posterior covariance."""
        return MatheronRoot(prior.root, law.operator, law.noise_std, self, factor)
