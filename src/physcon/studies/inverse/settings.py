"""Settings of the inverse studies."""

from dataclasses import dataclass
from typing import Literal

from physcon._checks import require
from physcon.studies.catalogue import study
from physcon.studies.inverse.cavity_settings import (
    InverseCavityConfig as InverseCavityConfig,
)
from physcon.studies.ranges import divides, judge, seed, setting


@study("inverse_assimilation", "physcon.studies.inverse.assimilation")
@dataclass(frozen=True)
class AssimilationConfig:
    """Twin experiments with a truth, an ensemble that does not know it, and sensors.

    Attributes:
        cells: number of cells of the circle [0, 1).
        members: number of members of the ensemble.
        sensors: number of point sensors, evenly spread; divides `cells`.
        cycles: number of updates.
        interval: time between two updates.
        noise_std: standard deviation of a reading.
        mean: mean of the initial fields, a periodic Gaussian process of known total.
        std: standard deviation of the initial fields.
        length: correlation length of the initial fields.
        localisation: distance from which on a reading changes nothing.
        inflation: factor that increases the distance of the members from their mean at
            every update.
        experiments: number of truths.
        seed: seed of all random numbers.
    """

    cells: int = setting(128, at_least=4)
    members: int = setting(10, at_least=2)
    sensors: int = setting(8, at_least=1)
    cycles: int = setting(20, at_least=1)
    interval: float = setting(0.05, above=0)
    noise_std: float = setting(0.1, above=0)
    mean: float = 0.5
    std: float = setting(0.4, above=0)
    length: float = setting(0.1, above=0)
    localisation: float = setting(0.35, above=0)
    inflation: float = setting(1.05, above=0)
    experiments: int = setting(60, at_least=1)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
        divides(self, "sensors", "cells")


@study("inverse_conductivity", "physcon.studies.inverse.conductivity")
@dataclass(frozen=True)
class ConductivityConfig:
    """The conductivity in every cell of a rod, from thermometers along it.

    Attributes:
        cells: number of cells of the fitted model.
        steps: number of implicit steps of the fitted model.
        refinement: factor by which the cells and steps of the data are finer.
        time: length of the experiment.
        sensors: number of thermometers, evenly spread, each the average of one cell;
            divides `cells`.
        readings: number of equally spaced readings; divides `steps`.
        noise_std: standard deviation of a reading; the hot end is at 1.
        log_mean: prior mean of log k.
        log_std: prior standard deviation of log k.
        length: prior correlation length of log k.
        truths: number of truths drawn from the prior, in addition to the example in
            the figure.
        seed: seed of all random numbers.
    """

    cells: int = setting(64, at_least=2)
    steps: int = setting(100, at_least=1)
    refinement: int = setting(4, at_least=1)
    time: float = setting(2.0, above=0)
    sensors: int = setting(16, at_least=1)
    readings: int = setting(20, at_least=1)
    noise_std: float = setting(0.005, above=0)
    log_mean: float = -1.0
    log_std: float = setting(0.7, above=0)
    length: float = setting(0.2, above=0)
    truths: int = setting(20, at_least=1)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
        divides(self, "sensors", "cells")
        divides(self, "readings", "steps")


@study("inverse_porous_medium", "physcon.studies.inverse.porous_medium")
@dataclass(frozen=True)
class PorousMediumConfig:
    """The exponent and the boundary history of a porous medium, from sensors inside.

    Attributes:
        cells: number of cells of the model.
        steps: number of implicit steps of the model.
        time: length of the experiment.
        readings: number of equally spaced readings; divides `steps`.
        sensors: positions of the sensors in [0, 1].
        noise_std: standard deviation of a reading.
        knots: number of knots of the boundary history, equally spaced in √t, after the
            value 0 at t = 0.
        exponents: the true exponents.
        repeats: data sets for every exponent.
        seed: seed of the noise.
        dtype: float64, because rounding in 400 nonlinear solves hides the last descents
            in float32.
    """

    cells: int = setting(100, at_least=4)
    steps: int = setting(200, at_least=1)
    time: float = setting(1.0, above=0)
    readings: int = setting(20, at_least=1)
    sensors: tuple[float, ...] = setting(
        (0.105, 0.255, 0.405, 0.555), at_least=0, at_most=1, entries=1
    )
    noise_std: float = setting(0.02, above=0)
    knots: int = setting(8, at_least=1)
    exponents: tuple[float, ...] = setting(
        (1.5, 2.0, 3.0), above=0, entries=1, unique=True
    )
    repeats: int = setting(5, at_least=1)
    seed: int = seed()
    dtype: Literal["float32", "float64"] = "float64"

    def __post_init__(self):
        judge(self)
        divides(self, "readings", "steps")


@study("inverse_stefan", "physcon.studies.inverse.stefan")
@dataclass(frozen=True)
class InverseStefanConfig:
    """The melting value of a Stefan problem, from noisy sensors and the metered heat.

    Lengths are in units of the domain, temperatures in units of the hot side.

    Attributes:
        cells: number of cells of the grid on [0, 1].
        sensors: number of sensors; each averages over a box. Their boxes are spread
            evenly within [0, reach] and overlap: a front would jump past a point.
        reach: end of the last box.
        width: width of a box.
        time: time of the readings.
        noise_std: standard deviation of a reading.
        discrepancy_std: standard deviation of the Gaussian process δ.
        discrepancy_length: correlation length of δ.
        prior_mean: prior mean of the log-odds θ = log(p* / (1 - p*)).
        prior_std: prior standard deviation of θ.
        data_sets: number of simulated truths with their readings.
        seed: seed of all random numbers.
    """

    cells: int = setting(200, at_least=4)
    sensors: int = setting(20, at_least=1)
    reach: float = setting(0.5, above=0, at_most=1)
    width: float = setting(0.15, above=0, at_most=1)
    time: float = setting(0.05, above=0)
    noise_std: float = setting(0.2, above=0)
    discrepancy_std: float = setting(0.01, above=0)
    discrepancy_length: float = setting(0.1, above=0)
    prior_mean: float = 0.5
    prior_std: float = setting(0.4, above=0)
    data_sets: int = setting(400, at_least=1)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
        require(
            self.width <= self.reach,
            f"a width of at most reach = {self.reach}",
            self.width,
            "lower width, or raise reach",
        )
