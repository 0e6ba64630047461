"""Settings are judged as a whole, by the ranges next to their fields."""

import dataclasses

import pytest

from physcon.studies import catalogue, ranges
from physcon.studies.boon.settings import BoonConfig
from physcon.studies.inverse.settings import ConductivityConfig, InverseCavityConfig
from physcon.studies.probconserv.settings import (
    EvaluationSettings,
    NetworkSettings,
    StudyConfig,
    TaskSettings,
    TrainingSettings,
)
from physcon.studies.solver.problem_settings import GridSettings, SideSettings
from physcon.studies.solver.settings import SchemeSettings, SolveConfig


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingSettings(steps=-1), r"steps = -1 \(at least 1\)"),
        (lambda: TrainingSettings(batch=0), r"batch = 0 \(at least 1\)"),
        (lambda: TrainingSettings(learning_rate=float("nan")), "learning_rate = nan"),
        (lambda: TrainingSettings(learning_rate=0.0), r"above 0"),
        (lambda: TaskSettings(train=-5), "train = -5"),
        (lambda: TaskSettings(per_parameter=0), "per_parameter = 0"),
        (lambda: TaskSettings(context=(0, 0)), r"context = \(0, 0\)"),
        (lambda: NetworkSettings(size=0), "size = 0"),
        (lambda: NetworkSettings(dropout_rate=1.0), "below 1"),
        (lambda: EvaluationSettings(nt=0), r"nt = 0 \(at least 2\)"),
        (lambda: EvaluationSettings(methods=()), "at least 1 entry"),
        (lambda: EvaluationSettings(methods=("hard", "hard")), "no entry twice"),
        (lambda: StudyConfig(seed=2**63), "seed = 9223372036854775808"),
        (lambda: StudyConfig(seed=-1), "seed = -1"),
        (
            lambda: StudyConfig(network=NetworkSettings(size=30)),
            "set network.size to 32",
        ),
        (
            lambda: StudyConfig(
                tasks=TaskSettings(train=4), training=TrainingSettings(batch=8)
            ),
            "training.batch of at most 4",
        ),
        (
            lambda: StudyConfig(
                model="gp", evaluation=EvaluationSettings(methods=("soft",))
            ),
            "evaluation.methods among unconstrained, hard, probconserv",
        ),
        (lambda: BoonConfig(seeds=()), "seeds"),
        (lambda: BoonConfig(batch=30, train=20), "a batch of at most 20"),
        (lambda: InverseCavityConfig(readings=4), "readings to divide times = 6"),
        (lambda: ConductivityConfig(sensors=5), "set sensors to 4"),
        (lambda: SolveConfig(end=float("inf")), "end = inf"),
        (lambda: GridSettings(upper=(float("inf"),)), "upper"),
        (lambda: GridSettings(upper=(-1.0,)), "below grid.upper on every axis"),
        (lambda: SchemeSettings(step="euler", cfl=10.0), "at most 1 with euler"),
        (lambda: SideSettings(kind="robin", a=0.0, b=0.0), "a = b = 0"),
    ],
)
def test_wrong_settings_are_refused_where_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_all_wrong_settings_are_named_in_one_sentence():
    values = dataclasses.asdict(StudyConfig())
    values["training"] |= {"steps": 0, "save_every": -3}
    values["seed"] = 2**32
    found = list(ranges.complaints(StudyConfig, values))
    assert found == [
        "seed = 4294967296 (at least 0, below 4294967296)",
        "training.steps = 0 (at least 1)",
        "training.save_every = -3 (at least 1)",
    ]
    with pytest.raises(
        ValueError, match="; ".join(w.split(" (")[0] for w in found[:1])
    ):
        ranges.refuse(iter(found))


def test_every_study_registers_itself_and_its_presets_are_settings_of_it():
    found = catalogue.studies()
    assert {"probconserv", "boon", "operator", "inverse_stefan"} <= set(found)
    for name, study in found.items():
        study.settings()  # the defaults are within their ranges
        for changes in study.presets.values():
            for field in changes:
                first = field.partition(".")[0]
                assert first in {f.name for f in dataclasses.fields(study.settings)}
        with pytest.raises(ValueError, match="one of the studies"):
            catalogue.find(f"{name}_")
