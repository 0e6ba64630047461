"""Settings of the inverse cavity study."""

from dataclasses import dataclass

from physcon._checks import require
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.catalogue import study
from physcon.studies.ranges import divides, judge, seed, setting


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
            reach=0.1,
            seeds=(self.seed,),
        )
