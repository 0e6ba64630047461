"""Shape vocabulary shared by all signatures.

Fields are ``"*c *x"``: channels first, space last. Functions act on one sample; batch
with `jax.vmap`.
"""

from typing import Any, TypeAlias

from jaxtyping import Array, ArrayLike, Bool, Float, Inexact, Int, PRNGKeyArray, PyTree

Scalar: TypeAlias = Float[Array, ""]
Shape: TypeAlias = tuple[int, ...]

__all__ = [
    "Any",
    "Array",
    "ArrayLike",
    "Bool",
    "Float",
    "Inexact",
    "Int",
    "PRNGKeyArray",
    "PyTree",
    "Scalar",
    "Shape",
]
