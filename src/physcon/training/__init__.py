"""A resumable training loop whose state after n steps depends on (seed, n) only."""

from physcon.training.batches import Minibatches
from physcon.training.loop import FitResult, fit

__all__ = [
    "FitResult",
    "Minibatches",
    "fit",
]
