"""Settings of a boundary study.

The defaults are the published single step of the heated rod.

Source:
    Saad et al., Guiding continuous operator learning through physics-based boundary
    constraints, ICLR 2023, section 4 and its appendix on the experiments.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from physcon._checks import require
from physcon.studies.catalogue import study
from physcon.studies.ranges import judge, seed, setting

Method: TypeAlias = Literal[
    "plain", "overwrite", "lift-output", "lift", "eliminate", "basis"
]
#: A method, or "default": the form that suits the conditions of the problem.
MethodName: TypeAlias = Literal[
    "default", "plain", "overwrite", "lift-output", "lift", "eliminate", "basis"
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
    "heat",
    "stokes",
    "burgers-riemann",
    "burgers-periodic",
    "burgers-centred",
    "wave",
    "wave-2d",
    "cavity",
]

#: The changes that each preset makes to the defaults below, for a single step in one
#: dimension; the configuration files add the settings of their problem. The preset
#: `quick` takes minutes on two cores.
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


@study("boon", "physcon.studies.boon.study", PRESETS)
@dataclass(frozen=True)
class BoonConfig:
    """A family of functions, the question about them, and the networks compared.

    Attributes:
        problem: family of functions, a key of `physcon.studies.boon.data.FAMILIES`.
        nodes: points on every axis of space, both ends included.
        start: time from which the states of the answer are counted.
        time: last time of the answer.
        times: number of states in the answer: 1 is the state at `time`, more are the
            states at equal steps after `start` up to `time`.
        train: number of training functions.
        test: number of test functions.
        modes: Fourier modes on every axis of space, and on the time axis as many, but
            at most half of `times`. Bases keep two half waves for each mode: the same
            range of wave numbers, and as many weights.
        width: channels of the network.
        depth: blocks of the network.
        batch: functions per gradient step.
        padding: zeros appended to each axis, as a fraction of it, for every Fourier
            method alike (none on periodic axes; bases need none).
        positions: whether the positions along the axes of space are inputs of the
            networks, as published.
        steps: gradient steps; published: 500 epochs of 500 / 20 = 25 steps.
        learning_rate: peak rate of Adam; it falls to zero along a cosine.
        weight_decay: L2 penalty in the gradient.
        order: order of the one-sided differences at the boundary.
        reach: extent of the lift, as a fraction of the axis; None takes the default of
            the conditions on each axis.
        methods: the networks that are compared; "default" stands for the form that
            `physcon.operators.form_for` names.
        seeds: seeds of the initial weights; the networks are trained side by side.
        data_seed: seed of the functions and of the order of the batches.
        save_every: steps between checkpoints.
    """

    problem: ProblemName = "heat"
    nodes: int = setting(500, at_least=5)
    start: float = setting(0.0, at_least=0)
    time: float = setting(0.5, above=0)
    times: int = setting(1, at_least=1)
    train: int = setting(500, at_least=1)
    test: int = setting(100, at_least=1)
    modes: int = setting(16, at_least=1)
    width: int = setting(64, at_least=1)
    depth: int = setting(4, at_least=1)
    batch: int = setting(20, at_least=1)
    padding: float = setting(0.25, at_least=0)
    positions: bool = True
    steps: int = setting(12_500, at_least=1)
    learning_rate: float = setting(1e-3, above=0)
    weight_decay: float = setting(1e-4, at_least=0)
    order: int = setting(3, at_least=1)
    reach: float | None = setting(None, above=0, at_most=1)
    methods: tuple[MethodName, ...] = setting(METHODS, entries=1, unique=True)
    seeds: tuple[int, ...] = setting(
        (0, 1, 2), entries=1, unique=True, at_least=0, below=2**32
    )
    data_seed: int = seed()
    save_every: int = setting(250, at_least=1)

    def __post_init__(self):
        judge(self)
        require(
            self.start < self.time,
            f"start before time = {self.time}",
            self.start,
            "pass an earlier start",
        )
        require(
            self.batch <= self.train,
            f"a batch of at most {self.train} functions (train)",
            self.batch,
            "lower batch, or raise train",
        )
