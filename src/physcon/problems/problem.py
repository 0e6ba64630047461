"""Equations with known solutions: values, averages, mass, front and residual.

A `Problem` is one member of a family u_t + F(u, u_x)_x = 0. Its parameter is an array
leaf, so a batch of functions is a vmap over problems, and every result has a derivative
with respect to the parameter. Solutions and masses are derived here: each docstring
gives the derivation, on the bounded domain and also after a front has left it.

Source:
    Hansen, Maddix, Alizadeh, Gupta, Mahoney, Learning Physical Models that Can Respect
    Conservation Laws (ICML 2023, arXiv 2302.11002), differential form u_t + ∇·F(u) = 0
    of sec. 1 and the appendices on the equations.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, error_if, require, require_shape
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, ArrayLike, Float, Scalar


@dataclass(frozen=True)
class Settings:
    """The published experiment on one family of problems.

    Attributes:
        name: key in `PROBLEMS`.
        parameter: name of the parameter and of the attribute that holds it.
        valid: open interval of parameters for which the formulas hold.
        training: interval of the training parameters, sampled uniformly.
        test: parameters of the test functions, in equal shares.
        x, t: domain in space and time.
        evaluation_time: time of the published tables.
        has_front: whether `front` is defined.
    """

    name: str
    parameter: str
    valid: tuple[float, float]
    training: tuple[float, float]
    test: tuple[float, ...]
    x: tuple[float, float]
    t: tuple[float, float]
    evaluation_time: float
    has_front: bool = True


class Problem(eqx.Module):
    """One equation u_t + F(u, u_x)_x = 0 on an interval, with its exact solution.

    The family is described by the class attribute `settings`. Times are non-negative,
    and arguments `t` and `x` broadcast against each other. Compile functions of a
    problem (``jax.jit(lambda problem, t: problem.mass(t))``), not its bound methods,
    which JAX cannot hash.
    """

    settings: eqx.AbstractClassVar[Settings]

    @abstractmethod
    def __init__(self, parameter: ArrayLike, throw: bool = True):
        """Create a family member with this parameter; see `checked_parameter`."""

    @abstractmethod
    def solution(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """The exact solution u(t, x), elementwise."""

    @abstractmethod
    def primitive(self, t: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
        """The integral of the exact solution from the lower end to x, elementwise."""

    @abstractmethod
    def mass(self, t: ArrayLike) -> Float[Array, "..."]:
        """The integral of the exact solution over the domain, elementwise in t."""

    @abstractmethod
    def flux(
        self, u: Float[Array, "*s"], u_x: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """The physical flux F(u, u_x), positive along x."""

    def front(self, t: ArrayLike) -> Float[Array, "..."]:
        """Position beyond which u = 0, elementwise in t.

        It lies outside the domain once the front has left.

        Raises:
            ValueError: for a smooth problem (``settings.has_front`` is False).
        """
        raise ValueError(
            f"expected a problem with a front, got {self.settings.name!r}; "
            "check settings.has_front first"
        )

    @property
    def parameter(self) -> Float[Array, "..."]:
        """The value of the parameter, under a name that all families share."""
        return getattr(self, self.settings.parameter)

    def cell_averages(
        self, t: ArrayLike, faces: Float[Array, " f"]
    ) -> Float[Array, " f-1"]:
        """Averages of the exact solution at one time over the cells between `faces`.

        Their sum with the cell widths is the mass without any quadrature error, even if
        a front lies inside a cell. Differences of `primitive` are formed in float64.

        Shapes:
            There is one time; f faces bound f - 1 cells.
        """
        times = nonnegative(t)
        require(
            times.ndim == 0, "one time", f"shape {times.shape}", "batch with jax.vmap"
        )
        leaves, structure = jax.tree.flatten(self)
        dtype = jnp.result_type(times, faces, *leaves)
        problem = jax.tree.unflatten(structure, [leaf.astype(dtype) for leaf in leaves])
        return _cell_averages(problem, times.astype(dtype), faces.astype(dtype))

    def residual(
        self, u: Callable[[Scalar, Scalar], Scalar], t: Scalar, x: Scalar
    ) -> Float[Array, ""]:
        """u_t + F(u, u_x)_x at one point, by forward-mode autodiff.

        This is the term of the SoftC penalty. A coefficient that jumps, k(u) = 1 for u
        >= p*, has derivative zero both here and in the published code, so the penalty
        does not include the Stefan condition at the front.

        Shapes:
            u maps two scalars to a scalar, and t and x are scalars; batch with
            `jax.vmap`.

        Source:
            Hansen et al. (2023) penalise the mean square of this quantity at the mean
            of the prediction. In their code derivatives also pass through the latent
            variable, which depends on the target points: a relative difference of 7e-4
            on their weights for m = 1.
        """

        def with_derivative(f: Callable, at: Scalar) -> tuple[Array, Array]:
            return jax.jvp(f, (at,), (jnp.ones_like(at),))

        _, u_t = with_derivative(lambda s: u(s, x), t)
        _, flux_x = with_derivative(
            lambda y: self.flux(*with_derivative(lambda z: u(t, z), y)), x
        )
        return u_t + flux_x


@float64_primal
def _cell_averages(problem: Problem, t: Scalar, faces: Float[Array, " f"]) -> Array:
    integral = problem.primitive(t, faces)
    return (integral[1:] - integral[:-1]) / (faces[1:] - faces[:-1])


def checked_parameter(value: ArrayLike, settings: Settings, throw: bool) -> Scalar:
    """Return `value` as an array, or raise if it is outside `settings.valid`.

    The interval `settings.valid` is open. A known value is checked at once and
    independently of `throw` (ValueError), a traced value at run time and only under
    `throw`.
    """
    lower, upper = settings.valid
    name = settings.parameter
    require_shape(jnp.asarray(value), (), name)
    expected = f"{name} in ({lower:g}, {upper:g}) for {settings.name!r}"
    published = f"training {settings.training}, test {settings.test}"
    remedy = f"choose one inside; the published ones are {published}"
    array = jnp.asarray(value, dtype=float)
    known = concrete(value)
    if known is not None:
        inside = bool(np.all((known > lower) & (known < upper)))
        require(inside, expected, known.tolist(), remedy)
        return array
    outside = ~((array > lower) & (array < upper))
    return error_if(array, outside, f"expected {expected}; {remedy}", throw)


def nonnegative(t: ArrayLike) -> Float[Array, "*s"]:
    """`t` as an array; raise if a time is known to be negative or NaN."""
    known = concrete(t)
    require(
        known is None or bool(np.all(known >= 0)),
        "times t >= 0",
        None if known is None else f"min {known.min()}",
        "pass times after the start of the solution, t = 0",
    )
    return jnp.asarray(t, dtype=float)


def coordinates(
    t: ArrayLike, x: ArrayLike
) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
    """Times and positions as arrays of their common shape."""
    times, positions = jnp.broadcast_arrays(nonnegative(t), jnp.asarray(x, dtype=float))
    return times, positions
