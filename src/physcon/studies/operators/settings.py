"""Settings of the study on public operator data."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from physcon.studies.catalogue import study
from physcon.studies.ranges import judge, setting

Problem: TypeAlias = Literal["burgers", "darcy"]

#: The changes that each preset makes to the defaults below. The preset `quick` takes
#: minutes on two cores.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "quick": {"epochs": 60, "width": 24, "seeds": (0,)},
}


@study(
    "operator",
    "physcon.studies.operators.study",
    PRESETS,
    {"data": "folder of the public data (.npz)"},
)
@dataclass(frozen=True)
class OperatorConfig:
    """An FNO on public data: the problem, the network, its training and its tests.

    Attributes:
        problem: which data.
        train: largest number of training samples; the first ones of the file are used.
        modes: Fourier modes per axis.
        width: channels of the network.
        depth: blocks of the network.
        padding: zeros after each axis that is not periodic, as a fraction of it.
        epochs: passes over the training samples.
        batch: samples per gradient step.
        learning_rate: peak rate of Adam; it falls to zero along a cosine.
        weight_decay: L2 penalty in the gradient.
        refine: the test grids, as factors of the training grid's resolution.
        seeds: seeds of the initial weights and of the order of the batches.
        save_every: steps between checkpoints.
    """

    problem: Problem = "darcy"
    train: int = setting(1000, at_least=1)
    modes: tuple[int, int] = setting((8, 8), at_least=1)
    width: int = setting(32, at_least=1)
    depth: int = setting(4, at_least=1)
    padding: float = setting(0.25, at_least=0)
    epochs: int = setting(500, at_least=1)
    batch: int = setting(20, at_least=1)
    learning_rate: float = setting(1e-3, above=0)
    weight_decay: float = setting(1e-4, at_least=0)
    refine: tuple[int, ...] = setting((1, 2, 3, 4), at_least=1, entries=1, unique=True)
    seeds: tuple[int, ...] = setting(
        (0, 1, 2), at_least=0, below=2**32, entries=1, unique=True
    )
    save_every: int = setting(1000, at_least=1)

    def __post_init__(self):
        judge(self)
