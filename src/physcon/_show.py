"""How results print: their names, and the values of small arrays."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import is_traced

#: The largest size of an array whose values are printed.
_FEW = 8


def shown(self: Any) -> str:
    """The `__repr__` of a named tuple: ``Bounded(mean=f32[1000], ...)``."""
    pairs = zip(self._fields, self, strict=True)
    fields = ", ".join(f"{name}={_brief(x)}" for name, x in pairs)
    return f"{type(self).__name__}({fields})"


def _brief(x: Any) -> str:
    few = eqx.is_array_like(x) and not is_traced(x) and np.size(x) <= _FEW
    if few and jnp.issubdtype(jnp.result_type(x), jnp.number):
        return np.array2string(np.asarray(x), precision=4, separator=", ")
    return eqx.tree_pformat(x)
