"""Shape vocabulary shared by all signatures.

Fields are ``"*c *x"``: channels first, space last. Functions act on one sample; batch
with `jax.vmap`.
"""

from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import jaxtyping
from jaxtyping import Array, Bool, Float, Inexact, Int, PRNGKeyArray, PyTree, UInt

if TYPE_CHECKING:
    from jaxtyping import ArrayLike
else:

    class _ArrayLikeType(type):
        """Instances of `ArrayLike` are arrays and numbers, as jaxtyping lists them."""

        def __instancecheck__(cls, x: object) -> bool:
            return isinstance(x, get_args(jaxtyping.ArrayLike))

    class ArrayLike(metaclass=_ArrayLikeType):
        """A JAX array, a NumPy array or number, or a Python number.

        A class in place of jaxtyping's union, so that signatures and `help()` print one
        word instead of eight types.
        """

    # `inspect` prints a class of this module without its module's name.
    ArrayLike.__module__ = "builtins"

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
    "UInt",
]
