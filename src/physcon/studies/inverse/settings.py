"""Settings of the inverse studies."""

from dataclasses import dataclass
from typing import Literal

from physcon._checks import require
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.catalogue import study
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
        localisation: length of the squared-exponential correlation that multiplies the
            ensemble's covariance.
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
    localisation: float = setting(0.1, above=0)
    inflation: float = setting(1.05, above=0)
    experiments: int = setting(20, at_least=1)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
        divides(self, "sensors", "cells")


@study("inverse_cavity", "physcon.studies.inverse.cavity")
@dataclass(frozen=True)
class InverseCavityConfig:
    """A flow's initial state from a few sensors, through a trained neural operator.

    Attributes:
        nodes: number of nodes on each side of the cavity.
        time: last time of the flow.
        times: number of equal steps up to `time`.
        viscosity: the Reynolds number is 1 / viscosity at lid speed 1.
        sensors: number of sensors inside, at random places, the same for every flow.
        readings: number of times at which each sensor reads, evenly spread up to the
            last one; divides `times`.
        noise_std: standard deviation of a reading; the vorticity varies by 2 to 3.
        train: number of flows that train the weights.
        validation: number of flows that give the covariance of the network's errors.
        held_out: number of flows that give the inflation of that covariance.
        test: number of flows whose initial state is recovered.
        modes: Fourier modes of the network on every axis of space, see `BoonConfig`.
        width: channels of the network.
        depth: blocks of the network.
        batch: flows per gradient step.
        steps: gradient steps.
        learning_rate: peak rate of Adam.
        seed: seed of all random numbers.
    """

    nodes: int = setting(17, at_least=5)
    time: float = setting(1.0, above=0)
    times: int = setting(6, at_least=2)
    viscosity: float = setting(0.01, above=0)
    sensors: int = setting(20, at_least=1)
    readings: int = setting(2, at_least=1)
    noise_std: float = setting(0.1, above=0)
    train: int = setting(800, at_least=1)
    validation: int = setting(600, at_least=2)
    held_out: int = setting(100, at_least=1)
    test: int = setting(60, at_least=1)
    modes: int = setting(5, at_least=1)
    width: int = setting(12, at_least=1)
    depth: int = setting(3, at_least=1)
    batch: int = setting(8, at_least=1)
    steps: int = setting(2000, at_least=1)
    learning_rate: float = setting(4e-3, above=0)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
        divides(self, "readings", "times")
        require(
            self.batch <= self.train,
            f"a batch of at most {self.train} flows (train)",
            self.batch,
            "lower batch, or raise train",
        )

    def network(self) -> BoonConfig:
        """Return the settings of the boundary study that trains the network."""
        return BoonConfig(
            problem="cavity",
            nodes=self.nodes,
            start=0.0,
            time=self.time,
            times=self.times,
            train=self.train,
            modes=self.modes,
            width=self.width,
            depth=self.depth,
            batch=self.batch,
            steps=self.steps,
            learning_rate=self.learning_rate,
            seeds=(self.seed,),
        )


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
