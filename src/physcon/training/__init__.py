"""A resumable training loop: its state after n steps is a pure function of (seed, n)."""

from physcon.training.batches import Minibatches as Minibatches
from physcon.training.loop import FitResult as FitResult
from physcon.training.loop import fit as fit
