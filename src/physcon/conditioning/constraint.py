"""Linear constraints `G u = b + noise`, and their builders."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import (
    concrete,
    is_traced,
    require,
    require_no_negative,
    require_numbers,
    require_shape,
    require_share,
)
from physcon._deprecation import accepts_old_positions
from physcon._derivative_rules import WithDerivative
from physcon._numerics.float64 import float64_primal, floating, in_float64
from physcon._typing import Array, ArrayLike, Float
from physcon.grid import Grid
from physcon.linear_map import LinearMap, Rows
from physcon.mesh import Mesh, Network
from physcon.quadrature import Rule


def _valid(noise_std: Any) -> Any:
    """The noise, or an error for a negative one; a traced negative one becomes NaN."""
    remedy = "pass a standard deviation per row"
    require_no_negative(noise_std, "noise_std", remedy)
    if not is_traced(noise_std):
        return noise_std
    return jnp.where(noise_std < 0, jnp.nan, noise_std)


class LinearConstraint(eqx.Module):
    """Linear equations: ``operator.mv(u) = value + noise_std * white noise``.

    Attributes: operator: observation operator G, from fields ``(*x)`` to row values
        ``(m)``. value: right-hand side b, ``(m)``; in the units of G u. noise_std:
        standard deviation per row, ``(m)``; rows with zero hold exactly; None: all do.
        A negative one is refused; under jit it becomes NaN.
    """

    operator: LinearMap
    value: Float[Array, "..."]
    noise_std: Float[Array, "..."] | None = eqx.field(converter=_valid, default=None)

    def __check_init__(self) -> None:
        require(
            isinstance(self.operator, LinearMap),
            "a LinearMap as the operator",
            f"a {type(self.operator).__name__}",
            "pass a matrix as from_matrix(matrix, value)",
        )
        shape = tuple(self.operator.out_shape)
        for name, x in (("value", self.value), ("noise_std", self.noise_std)):
            got = getattr(x, "shape", f"a {type(x).__name__}")
            require(
                x is None or got == shape,
                f"{name} of shape {shape}, one per row",
                got,
                "pass an array, jnp.full(shape, x) if all rows share a number; one "
                "constraint acts on one sample: batch with jax.vmap",
            )

    def noise(self) -> Float[Array, "..."]:
        """`noise_std` per row; zero where the constraint is exact."""
        return jnp.zeros_like(self.value) if self.noise_std is None else self.noise_std

    def residual(self, u: Float[Array, "*x"]) -> Float[Array, "*m"]:
        """b - G u, summed in float64 and rounded once."""
        return _residual(self.operator, u, self.value)


def misfit(
    law: LinearConstraint, u: Float[Array, "*x"]
) -> tuple[Float[Array, "*m"], Float[Array, "*m"]]:
    """b - G u, and |G| |u| + |b|, whose rounding b - G u may have; in one pass."""
    return _misfit(law.operator, u, law.value)


@WithDerivative
def _misfit(operator: LinearMap, u: Array, value: Array) -> tuple[Array, Array]:
    def both(operator: LinearMap, u: Array, value: Array) -> tuple[Array, Array]:
        seen, size = operator.measured(u)
        return value - seen, size + jnp.abs(value)

    return in_float64(both)(operator, u, value)


@_misfit.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    residual, size = _misfit(*primals)
    with jax.default_matmul_precision("highest"):
        _, moved = jax.jvp(_plain_residual, primals, tangents)
    return (residual, size), (moved, jnp.zeros_like(size))


def _plain_residual(operator: LinearMap, u: Array, value: Array) -> Array:
    return value - operator.mv(u)


@float64_primal
def _residual(operator: LinearMap, u: Array, value: Array) -> Array:
    return value - operator.mv(u)


def _refuse_coordinates(weights: object) -> None:
    """Raise for an array that looks like positions instead of quadrature weights."""
    x = concrete(weights)
    if x is None or not x.size:
        return
    require(
        not _look_like_positions(x),
        "a Grid, or the quadrature weights of the points",
        f"an array from {x.flat[0]:.6g} to {x.flat[-1]:.6g}, "
        "which looks like positions",
        "pass Grid.nodes(x), or Grid.cells(faces) for cell averages; to use the array "
        "as weights pass LinearConstraint(Rows(weights[None]), value[None])",
    )


def _look_like_positions(x: np.ndarray) -> bool:
    """Whether weights are monotone along an axis, or all arrays of a `np.meshgrid`."""
    if x.ndim > 1 and len(x) == x.ndim - 1:
        return all(_look_like_positions(one) for one in x)
    if x.ndim > 1:
        varying = [k for k in range(x.ndim) if np.ptp(x, axis=k).any()]
        if len(varying) != 1:
            return False
        x = np.moveaxis(x, varying[0], 0).reshape(x.shape[varying[0]], -1)[:, 0]
    if x.size < 3:
        return False
    steps = np.diff(x)
    even = np.allclose(steps, steps[0], rtol=1e-3, atol=0)
    from_zero = x[0] == 0 and np.all(steps > 0)
    # The cosine of the latitude of a pole is not quite zero.
    negative = x.min() < -1e-6 * np.abs(x).max()
    monotone = np.all(steps > 0) or np.all(steps < 0)
    return bool(monotone and (even or from_zero or negative))


def _domain_weights(
    domain: Grid | Mesh | Network | ArrayLike, rule: Rule | None
) -> Float[Array, "*x"]:
    if isinstance(domain, Grid):
        return domain.weights(rule)
    require(
        rule is None,
        "no rule together with explicit weights",
        repr(rule),
        "pass a Grid with the rule, or the weights without it",
    )
    if isinstance(domain, Mesh | Network):
        return domain.volume
    _refuse_coordinates(domain)
    return floating(domain)


def _component_rows(
    weights: Float[Array, "*x"], components: int | None, given: tuple[int, ...]
) -> Float[Array, "m ..."]:
    """One row, or one row per component; `given` is the shape of the value."""
    if components is None:
        require(given == (), "a scalar value", given, "batch with jax.vmap")
        return weights[None]
    require(
        given in ((), (components,)),
        f"one value, or one for each of {components} components",
        given,
        "batch with jax.vmap",
    )
    eye = jnp.eye(components, dtype=weights.dtype)
    which = eye.reshape(components, components, *(1,) * weights.ndim)
    return which * weights[None, None]


@accepts_old_positions
def integral(
    domain: Grid | Mesh | Network | ArrayLike,
    value: ArrayLike,
    noise_std: ArrayLike | None = None,
    *,
    rule: Rule | None = None,
    where: ArrayLike | None = None,
    components: int | None = None,
) -> LinearConstraint:
    """The integral of the field over the domain equals `value`.

    This is one row, which states global conservation.

    Args:
        domain: a `Grid` (1-D to 3-D), whose quadrature weights make the row; a `Mesh`
            or a `Network`, whose volumes do; or the weights ``(*x)`` themselves.
        value: the mass: scalar, or one per component.
        noise_std: None for an exact law; else, for nodal values, the size of the
            quadrature error (`Grid.weights` says what the array represents). With the
            trapezoid rule on 201 nodes the porous medium's true solution misses its own
            mass by 3.4e-4 (m = 3) and 1.0e-3 (m = 6): an exact row then pulls the
            prediction away from the truth. Cell averages have no such error.
        rule: quadrature rule, see `Grid.weights`.
        where: the sub-domain: per point true or false, or the share of its volume that
            counts.
        components: for fields ``(components, *x)``, one law and one value for each
            component.

    Source: Hansen et al. (2023), eqs. 4 and 8.

    >>> from physcon.grid import Grid
    >>> law = integral(Grid.uniform(0.0, 1.0, 4), 2.0)
    >>> law.residual(jnp.ones(4)).tolist()
    [1.0]
    """
    require_numbers(value, "a value of the integral")
    weights = _domain_weights(domain, rule)
    if where is not None:
        require_shape(jnp.asarray(where), weights.shape, "where")
        require_share(where)
        weights = weights * jnp.asarray(where, weights.dtype)
    rows = _component_rows(weights, components, jnp.shape(value))
    m = rows.shape[:1]
    dtype = rows.dtype
    noise = (
        None
        if noise_std is None
        else jnp.broadcast_to(jnp.asarray(noise_std, dtype), m)
    )
    return LinearConstraint(
        Rows(rows), jnp.broadcast_to(jnp.asarray(value, dtype), m), noise
    )
