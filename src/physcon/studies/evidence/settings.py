"""Settings of the experiments of this package."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from physcon.studies.catalogue import study
from physcon.studies.evidence.hierarchy_settings import (
    HierarchyConfig as HierarchyConfig,
)
from physcon.studies.evidence.hierarchy_settings import (
    LeakConfig as LeakConfig,
)
from physcon.studies.ranges import judge, seed, setting

#: The quantity of a map: what the file holds, or a positive field made from it.
Quantity = Literal["anomaly", "positive"]

#: The ways to obey block means. An anomaly has no positive layer and no bound.
LayerName = Literal[
    "unconstrained", "additive", "multiplicative", "softmax", "condition", "bounded"
]

#: The ways in which an emulator can obey the conservation of mass.
RolloutMethod = Literal[
    "none", "fixer afterwards", "trained through fixer", "proportional", "fluxes"
]

_DOWNSCALING_PRESETS: dict[str, dict[str, Any]] = {"quick": {}}
_ROLLOUT_PRESETS: dict[str, dict[str, Any]] = {"quick": {}}


@study(
    "downscaling",
    "physcon.studies.evidence.downscaling",
    _DOWNSCALING_PRESETS,
    {"data": "NetCDF file with maps (time, latitude, longitude)"},
)
@dataclass(frozen=True)
class DownscalingConfig:
    """Maps from their block means: one small network, and every way to obey the means.

    Attributes:
        variable: name of the variable in the file, (time, latitude, longitude). Points
            that are missing or never change are land.
        quantities: the maps to learn: the values of the file (anomaly), or expm1(max(z,
            0)) of their standardised values z, a synthetic positive field whose values
            are half zeros (positive).
        layers: the layers to train, where they apply to the quantity; the unconstrained
            network is always trained.
        latitude_limit: degrees; cells nearer to a pole are treated as land.
        factor: cells of a block along each axis.
        train: number of maps to learn from, the first ones of the file.
        test: number of maps to be tested on, the ones after those.
        networks: number of networks, which differ in their random numbers alone.
        width: channels of the network.
        depth: number of residual layers.
        steps: gradient steps.
        batch: maps per step.
        learning_rate: peak rate of Adam; it falls to zero along a cosine.
        seed: seed of all random numbers.
    """

    variable: str = "ssta"
    quantities: tuple[Quantity, ...] = setting(
        ("anomaly", "positive"), entries=1, unique=True
    )
    layers: tuple[LayerName, ...] = setting(get_args(LayerName), entries=1, unique=True)
    latitude_limit: float = setting(60.0, above=0, at_most=90)
    factor: int = setting(4, at_least=1)
    train: int = setting(300, at_least=1)
    test: int = setting(120, at_least=1)
    networks: int = setting(3, at_least=1)
    width: int = setting(16, at_least=1)
    depth: int = setting(2, at_least=0)
    steps: int = setting(600, at_least=1)
    batch: int = setting(10, at_least=1)
    learning_rate: float = setting(3e-3, above=0)
    seed: int = seed()

    def __post_init__(self):
        judge(self)


@study("rollout", "physcon.studies.evidence.rollout", _ROLLOUT_PRESETS)
@dataclass(frozen=True)
class RolloutConfig:
    """An emulator of advection and diffusion that predicts many steps in a row.

    Attributes:
        cells: cells of the periodic unit square along each axis.
        interval: time that the emulator advances in one step.
        speed: largest speed of the flow, four vortices on a uniform stream.
        diffusivity: diffusivity of the tracer.
        initial: number of initial fields for the training.
        pairs: training pairs per initial field: consecutive states of the solver.
        tests: number of initial fields for the roll-outs.
        steps: number of autoregressive steps.
        methods: how the conservation of mass enters.
        networks: number of networks, which differ in their random numbers alone.
        width: channels of the network.
        depth: number of residual layers.
        training_steps: gradient steps.
        batch: pairs per step.
        learning_rate: peak rate of Adam; it falls to zero along a cosine.
        seed: seed of all random numbers.
    """

    cells: int = setting(32, at_least=4)
    interval: float = setting(0.01, above=0)
    speed: float = setting(1.0, above=0)
    diffusivity: float = setting(2e-4, at_least=0)
    initial: int = setting(16, at_least=1)
    pairs: int = setting(50, at_least=1)
    tests: int = setting(4, at_least=1)
    steps: int = setting(500, at_least=1)
    methods: tuple[RolloutMethod, ...] = setting(
        ("none", "fixer afterwards", "trained through fixer", "proportional", "fluxes"),
        entries=1,
        unique=True,
    )
    networks: int = setting(3, at_least=1)
    width: int = setting(16, at_least=1)
    depth: int = setting(1, at_least=0)
    training_steps: int = setting(1500, at_least=1)
    batch: int = setting(8, at_least=1)
    learning_rate: float = setting(3e-3, above=0)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
