"""A nonlinear law, its arrays and its static part, and its latent form."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from physcon._checks import require_function
from physcon._typing import Array, Float
from physcon.conditioning.gaussian import Gaussian

#: What remains of a constraint without its arrays, as a hashable key.
Static = tuple[tuple[Any, ...], Any]


class NonlinearConstraint(eqx.Module):
    """``fn(u) = value``, exactly, m equations.

    Attributes:
        fn: from a field ``(*x)`` to ``(m)``, twice differentiable in JAX. Parameters
            that should have gradients can be closed over, or be leaves of a callable
            pytree (`equinox.Module`, `jax.tree_util.Partial`).
        value: right-hand side, ``(m)``.
    """

    fn: Callable[[Array], Array]
    value: Float[Array, " m"]

    def __check_init__(self) -> None:
        require_function(self.fn, "fn")


def parted(law: NonlinearConstraint) -> tuple[NonlinearConstraint, Static]:
    """The arrays of a law, and a hashable key for the rest of it."""
    arrays, rest = eqx.partition(law, _is_array)
    leaves, tree = jax.tree.flatten(rest)
    return arrays, (tuple(leaves), tree)


def _is_array(x: Any) -> bool:
    return eqx.is_array(x) or isinstance(x, np.ndarray)


def joined(arrays: NonlinearConstraint, static: Static) -> NonlinearConstraint:
    """The law of `parted`."""
    leaves, tree = static
    return eqx.combine(arrays, jax.tree.unflatten(tree, leaves))


def latent(
    prior: Gaussian, constraint: NonlinearConstraint
) -> Callable[[Array], Array]:
    """g(z) = h(μ + R z) - b, the law in white latent variables z, with u = μ + R z.

    The problem is: minimise ½ |z|² subject to g(z) = 0. A stationary point has z = Wᵀ λ
    with W = dg/dz, and the Hessian of the Lagrangian is K = I - Σ λ_r ∇²g_r.
    """
    return lambda z: constraint.fn(prior.mean + prior.root.mv(z)) - constraint.value
