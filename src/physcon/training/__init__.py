"""A resumable training loop: its state after n steps is a pure function of (seed, n)."""

from physcon.training.batches import Minibatches
from physcon.training.loop import FitResult, fit

__all__ = [
    "FitResult",
    "Minibatches",
    "fit",
]
