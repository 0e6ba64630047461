"""Settings of a boundary study. The defaults are the published single step of the
heated rod.

Source: Saad et al., Guiding continuous operator learning through physics-based boundary
constraints, ICLR 2023, section 4 and its appendix on the experiments.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Method: TypeAlias = Literal[
    "plain", "overwrite", "lift-output", "lift", "eliminate", "basis"
]
METHODS: tuple[Method, ...] = (
    "plain",
    "overwrite",
    "lift-output",
    "lift",
    "eliminate",
    "basis",
)
ProblemName: TypeAlias = Literal[
    "heat", "stokes", "burgers-riemann", "burgers-periodic", "wave", "wave-2d", "cavity"
]


@dataclass(frozen=True)
class BoonConfig:
    """One study: a family of functions, what is asked of them, and the networks
    compared.

    Attributes:
        problem: key in `physcon.studies.boon.data.FAMILIES`.
        nodes: points on every axis of space, both ends included.
        start, time, times: with ``times == 1`` the answer is the state at `time`; with more, the
            states at so many equal steps after `start` up to `time`.
        train, test: number of functions.
        modes, width, depth, batch: of the network and its training; modes on every axis of space,
            and on the time axis as many, but at most half of `times`. Bases keep two half waves
            for each mode: the same range of wave numbers, and as many weights.
        padding: zeros appended to each axis, as a fraction of it, for every Fourier method alike
            (none on periodic axes; bases need none).
        steps: gradient steps; published: 500 epochs of 500 / 20 = 25.
        learning_rate, weight_decay: of Adam; the rate falls to zero along a cosine.
        order: of the one-sided differences.
        reach: of the lift, as a fraction of the axis.
        methods, seeds: what is compared; seeds are initial weights, trained side by side.
        data_seed: of the functions and the order of the batches.
        save_every: steps between checkpoints.
    """

    problem: ProblemName = "heat"
    nodes: int = 500
    start: float = 0.0
    time: float = 0.5
    times: int = 1
    train: int = 500
    test: int = 100
    modes: int = 16
    width: int = 64
    depth: int = 4
    batch: int = 20
    padding: float = 0.25
    steps: int = 12_500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    order: int = 3
    reach: float = 0.1
    methods: tuple[Method, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1, 2)
    data_seed: int = 0
    save_every: int = 250


#: What each preset changes of the defaults above, for a single step in one dimension;
#: the configuration files add what their problem needs. `quick`: minutes on two cores.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "quick": {
        "nodes": 129,
        "train": 200,
        "test": 50,
        "modes": 12,
        "width": 20,
        "steps": 400,
        "learning_rate": 2e-3,
        "methods": ("plain", "overwrite", "lift", "eliminate", "basis"),
        "seeds": (0, 1),
    },
}
