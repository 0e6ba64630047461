"""Settings of a ProbConserv study. The defaults are the published ones (the `paper`
preset).

Source: Hansen et al. (2023), section 4 and its appendices on the experiments.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Method = Literal["unconstrained", "soft", "hard", "probconserv", "diffusion"]


@dataclass(frozen=True)
class TaskSettings:
    """Functions to learn from and to be tested on.

    Attributes: train: number of training functions, parameters uniform on the problem's
        training range. per_parameter: number of test functions per test parameter.
        context: observed times and positions per function (times stratified, positions
        sorted). target: times and positions of the training targets.
    """

    train: int = 10_000
    per_parameter: int = 50
    context: tuple[int, int] = (10, 10)
    target: tuple[int, int] = (10, 10)


@dataclass(frozen=True)
class NetworkSettings:
    """The attentive neural process (Kim et al. 2019); `size` and `members` of a deep
    ensemble.
    """

    size: int = 128
    members: int = 5
    heads: int = 4
    layers: int = 2
    dropout_rate: float = 0.1


@dataclass(frozen=True)
class TrainingSettings:
    """Adam on the evidence lower bound, or with another score in place of the
    likelihood.

    Attributes:
        steps: gradient steps; published: 500 epochs of 10 000 / 250 = 40 steps.
        batch: tasks per step.
        learning_rate: of Adam.
        schedule: constant (published), or a cosine decay to zero after a short warm-up.
        soft_weight: λ of the SoftC penalty, for the sum over a batch as published.
        soft_steps: None: SoftC is trained from scratch like the plain network, as published; else
            so many steps on from the trained plain network (a step costs four plain ones).
        through_constraint: score what conditioning on each target time's mass makes of the
            prediction, instead of the prediction.
        score: of the targets: negative log likelihood (published), or CRPS.
        crps_scale: the CRPS, in the units of u, that counts as much as one nat of likelihood.
        save_every: steps between checkpoints.
    """

    steps: int = 20_000
    batch: int = 250
    learning_rate: float = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    soft_weight: float = 1.0
    soft_steps: int | None = None
    through_constraint: bool = False
    score: Literal["nll", "crps"] = "nll"
    crps_scale: float = 0.05
    save_every: int = 500


@dataclass(frozen=True)
class EvaluationSettings:
    """Predictions on the dense grid, their constraint, and the scores.

    Attributes: nt, nx: nodes of the dense grid in time and space. latent_samples: draws
        of the latent for the tables, each one constrained, then mixed.
        dense_latent_samples: the same for the figures over all times. dropout: leave
        dropout on at evaluation, as the published tables did. rule: quadrature of the
        mass row. noise_std: None: the mass holds exactly. alpha: correlation of
        neighbours' errors in the artificial diffusion. methods: rows of the tables.
        shock_samples: draws of the posterior for the histogram of shock positions.
    """

    nt: int = 201
    nx: int = 201
    latent_samples: int = 100
    dense_latent_samples: int = 100
    dropout: bool = False
    rule: Literal["trapezoid", "simpson", "spline"] = "trapezoid"
    noise_std: float | None = None
    alpha: float = 0.9
    methods: tuple[Method, ...] = (
        "unconstrained",
        "soft",
        "hard",
        "probconserv",
        "diffusion",
    )
    shock_samples: int = 2000


@dataclass(frozen=True)
class StudyConfig:
    """One study of the ProbConserv article: an equation, a model, and what is measured.

    Attributes:
        truth: profiles that predictions are scored against: the exact solution, or `physcon.fv` on
            `truth_cells` cells with its mesh convergence shown. The training data, the observed
            points and the known mass are exact in both.
    """

    problem: Literal["heat", "pme", "stefan", "advection", "burgers"] = "stefan"
    model: Literal["anp", "gp", "ensemble"] = "anp"
    seed: int = 0
    dtype: Literal["float32", "float64"] = "float32"
    truth: Literal["exact", "fv"] = "exact"
    truth_cells: int = 400
    tasks: TaskSettings = field(default_factory=TaskSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)


#: What each preset changes of the defaults above. `quick`: minutes on two cores.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "quick": {
        "tasks.train": 4000,
        "tasks.per_parameter": 20,
        "network.size": 64,
        "training.steps": 1600,
        "training.batch": 8,
        "training.learning_rate": 1e-3,
        "training.schedule": "cosine",
        "training.soft_weight": 0.032,  # 8 / 250: per task as published
        "training.soft_steps": 100,
        "training.save_every": 100,
        "evaluation.dense_latent_samples": 10,
    },
}
