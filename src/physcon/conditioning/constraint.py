"""Linear constraints `G u = b + noise`, and their builders."""

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._linalg import float64_primal
from physcon._typing import Array, ArrayLike, Float
from physcon.grid import Grid
from physcon.linear_map import LinearMap, Rows
from physcon.quadrature import Rule


class LinearConstraint(eqx.Module):
    """What is known of a field: ``operator.mv(u) = value + noise_std * white noise``.

    Attributes:
        operator: observation operator G, from fields ``(*x)`` to row values ``(m)``.
        value: right-hand side b, ``(m)``; in the units of G u.
        noise_std: standard deviation per row, ``(m)``; None: the constraint is exact.
    """

    operator: LinearMap
    value: Float[Array, "..."]
    noise_std: Float[Array, "..."] | None = None

    def __check_init__(self) -> None:
        shape = tuple(self.operator.out_shape)
        for name, x in (("value", self.value), ("noise_std", self.noise_std)):
            require(
                x is None or x.shape == shape,
                f"{name} of shape {shape}, one per row",
                None if x is None else x.shape,
                "one constraint acts on one sample: batch with jax.vmap",
            )

    def residual(self, u: Float[Array, "*x"]) -> Float[Array, " m"]:
        """b - G u, summed in float64 and rounded once."""
        return _residual(self.operator, u, self.value)


@float64_primal
def _residual(operator: LinearMap, u: Array, value: Array) -> Array:
    return value - operator.mv(u)


def integral(
    domain: Grid | Float[Array, "*x"],
    value: ArrayLike,
    noise_std: ArrayLike | None = None,
    rule: Rule | None = None,
) -> LinearConstraint:
    """The integral of the field over the domain equals `value`: one row, global conservation.

    Args:
        domain: a `Grid`, whose quadrature weights make the row, or the weights ``(*x)`` themselves
            (zero outside of a sub-domain).
        value: the mass, scalar.
        noise_std: None for an exact law; else, for nodal values, the size of the quadrature error
            (`Grid.weights` says what the array represents). With the trapezoid rule on 201 nodes
            the porous medium's true solution misses its own mass by 3.4e-4 (m = 3) and 1.0e-3
            (m = 6): an exact row then pulls the prediction away from the truth. Cell averages have
            no such error.
        rule: quadrature rule, see `Grid.weights`.

    Source: Hansen et al. (2023), eqs. 4 and 8.

    >>> from physcon.grid import Grid
    >>> law = integral(Grid.uniform(0.0, 1.0, 4), 2.0)
    >>> law.residual(jnp.ones(4)).tolist()
    [1.0]
    """
    if isinstance(domain, Grid):
        weights = domain.weights(rule)
    else:
        require(rule is None, "no rule beside explicit weights", repr(rule), "drop one of them")
        weights = jnp.asarray(domain)
    dtype = weights.dtype
    noise = None if noise_std is None else jnp.asarray(noise_std, dtype).reshape(1)
    require(jnp.ndim(value) == 0, "a scalar value", jnp.shape(value), "batch with jax.vmap")
    return LinearConstraint(Rows(weights[None]), jnp.asarray(value, dtype).reshape(1), noise)
