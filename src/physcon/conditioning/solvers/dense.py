"""A few dense rows: one small Gram matrix."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.blocked import LONG
from physcon._numerics.products import along_rows, gram
from physcon._typing import Any, Array
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.downdate import DowndatedRoot
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.gram import (
    GramFactor,
    factor_gram,
    row_variance,
    whiten,
    with_whitened,
)
from physcon.conditioning.gram_blocked import condition_blocked
from physcon.conditioning.gram_verdict import EPS
from physcon.conditioning.gram_whole import condition_whole
from physcon.conditioning.solvers.factor import Exact
from physcon.conditioning.solvers.interface import PriorAndLaw, Solver
from physcon.conditioning.solvers.step import Step
from physcon.linear_map import LinearMap, LowRank, Root
from physcon.linear_map.basic import size, total

#: Bytes of dense rows above which `DenseGram` refuses.
MOST = 2**34


def dense_bytes(operator: LinearMap) -> int:
    """Size of the operator's rows as a dense array in float64."""
    return 8 * size(operator.out_shape) * size(operator.in_shape)


def _require_moderate(operator: LinearMap) -> None:
    needed = dense_bytes(operator)
    require(
        needed <= MOST,
        f"at most {MOST / 2**30:.0f} GiB of dense rows for DenseGram",
        f"{size(operator.out_shape)} rows over {size(operator.in_shape)} points, "
        f"{needed / 2**30:.0f} GiB",
        "pass solver=ConjugateGradient(), or a prior with independent errors, for "
        "which structured rows have solvers of their own",
    )


class DenseGram(Solver):
    """Any prior and any rows: O(m n) and an m-by-m factor. For up to some 1000 rows."""

    scales: ClassVar[bool] = True

    @classmethod
    def suits(cls, prior: Gaussian, law: LinearConstraint) -> "DenseGram":
        return cls()

    def factorise(self, prior: Gaussian, law: LinearConstraint) -> GramFactor:
        root, operator = prior.root, law.operator
        _require_moderate(operator)
        w = whiten(operator, root)
        known = root.undiminished()
        before = None
        if known is not root:
            before = total(operator, row_variance(whiten(operator, known)))
        noise_std = law.noise().reshape(-1)
        factor, _ = factor_gram(total(operator, gram(w)), before, noise_std)
        return with_whitened(factor, w) if isinstance(root, LowRank) else factor

    def advance(self, prior: Gaussian, law: LinearConstraint, single: bool) -> Step:
        shape = law.value.shape
        _require_moderate(law.operator)
        if single and isinstance(prior.root, LowRank) and prior.mean.size >= LONG:
            step = _long_low_rank(prior, law)
        else:
            eps = EPS if single else float(jnp.finfo(prior.mean.dtype).eps)
            step = condition_whole(prior, law, single, eps)
        roundings = step.roundings
        if roundings is not None:
            roundings = roundings.reshape(shape)
        multiplier = step.multiplier.reshape(shape)
        return step._replace(multiplier=multiplier, roundings=roundings)

    def tangent(
        self, factor: GramFactor, primals: PriorAndLaw, tangents: PriorAndLaw
    ) -> GramFactor:
        def scaled_gram(root: Root, law: LinearConstraint) -> Array:
            operator = law.operator
            s = total(operator, gram(along_rows(factor.scale, whiten(operator, root))))
            if law.noise_std is None:
                return s
            eye = jnp.eye(factor.scale.size, dtype=s.dtype)
            return s + eye * ((factor.scale * law.noise_std.reshape(-1)) ** 2)[:, None]

        found = tangent_of(factor, scaled_gram, primals, tangents)
        if factor.whitened is None:
            return found
        (prior, law), (d_prior, d_law) = primals, tangents
        maps = (law.operator, prior.root), (d_law.operator, d_prior.root)
        _, d_whitened = jax.jvp(whiten, *maps)
        return with_whitened(found, d_whitened)

    def posterior_root(
        self, prior: Gaussian, law: LinearConstraint, factor: Exact[Any] | None
    ) -> Root:
        assert factor is not None
        return DowndatedRoot(prior.root, law.operator, law.noise_std, factor)


@jax.jit  # one program for all calls outside of jit
def _long_low_rank(prior: Gaussian, law: LinearConstraint) -> Step:
    return jax.lax.platform_dependent(
        prior,
        law,
        cpu=condition_blocked,
        default=lambda p, c: condition_whole(p, c, single=True, eps=EPS),
    )


def tangent_of(
    factor: GramFactor,
    scaled_gram: Callable[[Root, LinearConstraint], Array],
    primals: PriorAndLaw,
    tangents: PriorAndLaw,
) -> GramFactor:
    """dB = -Φ(B dS Bᵀ) B, with Φ the lower triangle and half of the diagonal.

    Args:
        scaled_gram: d S d as a function of the prior's root and the law.

    Source: Smith, J. Comput. Graph. Stat. 4 (1995) 134.
    """
    scale, whitener = factor.scale, factor.whitener
    eye = jnp.eye(scale.size, dtype=scale.dtype)
    (prior, law), (d_prior, d_law) = primals, tangents
    _, ds = jax.jvp(scaled_gram, (prior.root, law), (d_prior.root, d_law))
    ds = whitener @ ds @ whitener.T
    half = jnp.tril(jnp.ones_like(whitener)) - 0.5 * eye
    return replace(
        factor,
        scale=jnp.zeros_like(scale),
        whitener=-(ds * half) @ whitener,
        order=jnp.zeros_like(factor.order),
        log_determinant=jnp.sum(eye * ds),
        whitened=None,
    )
