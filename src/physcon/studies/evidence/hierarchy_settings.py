"""Settings of the experiments on a hierarchy of forecasts and on a pipe network."""

from dataclasses import dataclass

from physcon.studies.catalogue import study
from physcon.studies.ranges import judge, seed, setting


@study(
    "hierarchy",
    "physcon.studies.evidence.hierarchy",
    files={"data": "CSV file with a bottom series in each row, and columns of labels"},
)
@dataclass(frozen=True)
class HierarchyConfig:
    """Forecasts of a hierarchy of series, made coherent in several ways.

    Every series is forecast alone by exponential smoothing, from several origins in
    time. The last past errors of all series together are the covariance. One method
    fits a factor on the errors of each level through the law, to forecasts whose values
    are known before the first origin.

    Attributes:
        levels: the columns of labels, from the top; the last one names the bottom
            series. The total of all is added.
        period: length of a season.
        first: the first origin: how many values are known at that time.
        step: distance of two origins.
        horizon: number of values that are forecast from each origin.
        window: number of past errors that make the covariance.
        samples: number of samples of each forecast.
        seed: seed of all random numbers.
    """

    levels: tuple[str, ...] = setting(("state", "region", "city"), entries=1)
    period: int = setting(12, at_least=1)
    first: int = setting(168, at_least=1)
    step: int = setting(3, at_least=1)
    horizon: int = setting(12, at_least=1)
    window: int = setting(84, at_least=2)
    samples: int = setting(100, at_least=2)
    seed: int = seed()

    def __post_init__(self):
        judge(self)


@study(
    "leak",
    "physcon.studies.evidence.leak",
    files={"data": "network of pipes, an EPANET input file (.inp)"},
)
@dataclass(frozen=True)
class LeakConfig:
    """Leaks planted in a network of pipes, and whether the balances find them.

    Every pipe has a meter, or a part of them has; every demand is known with an error.

    Attributes:
        sizes: of the leak, as shares of the total demand; zero for no leak.
        metered: shares of the pipes that have a meter.
        flow_error: relative standard deviation of a meter.
        demand_error: relative standard deviation of a demand.
        floor: standard deviation of any reading at least, as a share of the mean
            demand of a junction.
        level: probability of a false alarm.
        trials: number of leaks of each size, each at a random junction.
        repeats: how often everything is repeated with other random numbers.
        seed: seed of all random numbers.
    """

    sizes: tuple[float, ...] = setting((0.0, 0.01, 0.02, 0.05), entries=1, at_least=0)
    metered: tuple[float, ...] = setting((1.0, 0.5), entries=1, above=0, at_most=1)
    flow_error: float = setting(0.02, above=0)
    demand_error: float = setting(0.05, above=0)
    floor: float = setting(0.05, above=0)
    level: float = setting(0.05, above=0, below=1)
    trials: int = setting(200, at_least=1)
    repeats: int = setting(3, at_least=1)
    seed: int = seed()

    def __post_init__(self):
        judge(self)
