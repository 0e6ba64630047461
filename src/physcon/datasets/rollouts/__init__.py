"""Laws in the roll-outs of a model: pure functions under `jax.lax.scan`."""

from physcon.datasets.rollouts._build import fixer
from physcon.datasets.rollouts._fixer import Fixer, FixerState

__all__ = ["Fixer", "FixerState", "fixer"]
