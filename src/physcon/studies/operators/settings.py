"""Settings of the study on public operator data."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Problem: TypeAlias = Literal["burgers", "darcy"]


@dataclass(frozen=True)
class OperatorConfig:
    """One study.

    Attributes:
        problem: which data.
        train: number of training samples at most, the first ones of the file.
        modes, width, depth: of the network.
        padding: zeros after each axis that is not periodic, as a fraction of it.
        epochs, batch: of the training.
        learning_rate, weight_decay: of Adam with L2 in the gradient; the rate falls to zero along
            a cosine.
        refine: the test grids, as factors of the training grid's resolution.
        seeds: of the initial weights and of the order of the batches.
        save_every: steps between checkpoints.
    """

    problem: Problem = "darcy"
    train: int = 1000
    modes: tuple[int, int] = (8, 8)
    width: int = 32
    depth: int = 4
    padding: float = 0.25
    epochs: int = 500
    batch: int = 20
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    refine: tuple[int, ...] = (1, 2, 3, 4)
    seeds: tuple[int, ...] = (0, 1, 2)
    save_every: int = 1000


#: What each preset changes of the defaults above. `quick`: minutes on two cores.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "quick": {"epochs": 60, "width": 24, "seeds": (0,)},
}
