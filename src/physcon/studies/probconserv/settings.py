"""Settings of a ProbConserv study.

The defaults are the published settings (the `paper` preset).

Source:
    Hansen et al. (2023), section 4 and its appendices on the experiments.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from physcon._checks import require
from physcon.studies.catalogue import study
from physcon.studies.probconserv.presets import PRESETS
from physcon.studies.ranges import judge, seed, setting

ArticleMethod = Literal["unconstrained", "soft", "hard", "probconserv", "diffusion"]
#: The methods of `physcon.studies.probconserv.remedies`, and the law in the parameters
#: of a front, without and with training through it.
OwnMethod = Literal[
    "diagonal",
    "covariance",
    "noise",
    "refined",
    "bounded",
    "monotone",
    "balance",
    "front",
    "trained",
]
Method = ArticleMethod | OwnMethod

_ARTICLE: tuple[Method, ...] = get_args(ArticleMethod)
_REMEDIES: tuple[Method, ...] = get_args(OwnMethod)[:-2]

#: The methods that apply to the covariance of each model.
APPLICABLE: dict[str, tuple[Method, ...]] = {
    "anp": (*_ARTICLE, *_REMEDIES),
    "gp": ("unconstrained", "hard", "probconserv"),
    "ensemble": ("unconstrained", "hard", "probconserv"),
    "front": ("unconstrained", "hard", "probconserv", *get_args(OwnMethod)),
}


@dataclass(frozen=True)
class TaskSettings:
    """Functions to learn from and to be tested on.

    Attributes:
        train: number of training functions; their parameters are uniform on the
            training range of the problem.
        per_parameter: number of test functions per test parameter.
        context: number of observed times, and of positions at each; times are
            stratified, positions sorted.
        target: number of target times, and of positions at each.
    """

    train: int = setting(10_000, at_least=1)
    per_parameter: int = setting(50, at_least=1)
    context: tuple[int, int] = setting((10, 10), at_least=1)
    target: tuple[int, int] = setting((10, 10), at_least=1)

    def __post_init__(self):
        judge(self)


@dataclass(frozen=True)
class NetworkSettings:
    """The attentive neural process (Kim et al. 2019), a deep ensemble, or a front.

    Attributes:
        size: width of the network; a multiple of `heads` in the neural process.
        members: number of networks in a deep ensemble.
        heads: attention heads of the neural process.
        layers: attention layers of the neural process; hidden layers of a front.
        pieces: linear pieces of a profile behind its front.
        dropout_rate: dropout of the neural process.
    """

    size: int = setting(128, at_least=1)
    members: int = setting(5, at_least=2)
    heads: int = setting(4, at_least=1)
    layers: int = setting(2, at_least=1)
    pieces: int = setting(12, at_least=1)
    dropout_rate: float = setting(0.1, at_least=0, below=1)

    def __post_init__(self):
        judge(self)


@dataclass(frozen=True)
class TrainingSettings:
    """Adam on the evidence lower bound, or with another score as the likelihood.

    Attributes:
        steps: gradient steps; published: 500 epochs of 10 000 / 250 = 40 steps.
        batch: tasks per step.
        learning_rate: peak rate of Adam.
        schedule: constant (published), or a cosine decay to zero after a short warm-up.
        clip: largest norm of a gradient; longer ones are scaled down to it.
        soft_weight: weight λ of the SoftC penalty, for the sum over a batch as
            published.
        soft_steps: None trains SoftC from scratch like the plain network, as published;
            a number continues from the trained plain network for that many steps.
            A step costs four plain ones.
        soft_rate: peak rate of those steps, as a fraction of `learning_rate`.
        through_constraint: score the prediction after it has been conditioned on the
            mass of each target time.
        score: score of the targets: negative log likelihood (published), or CRPS.
        crps_scale: the CRPS, in the units of u, that counts as one nat of likelihood.
        save_every: steps between checkpoints.
    """

    steps: int = setting(20_000, at_least=1)
    batch: int = setting(250, at_least=1)
    learning_rate: float = setting(1e-4, above=0)
    schedule: Literal["constant", "cosine"] = "constant"
    clip: float | None = setting(None, above=0)
    soft_weight: float = setting(1.0, at_least=0)
    soft_steps: int | None = setting(None, at_least=1)
    soft_rate: float = setting(0.1, above=0, at_most=1)
    through_constraint: bool = False
    score: Literal["nll", "crps"] = "nll"
    crps_scale: float = setting(0.05, above=0)
    save_every: int = setting(500, at_least=1)

    def __post_init__(self):
        judge(self)


@dataclass(frozen=True)
class EvaluationSettings:
    """Predictions on the dense grid, their constraint, and the scores.

    Attributes:
        nt: number of times of the dense grid.
        nx: number of nodes of the dense grid.
        latent_samples: draws of the latent variable for the tables; each is
            constrained, then they are mixed.
        dense_latent_samples: the same for the figures over all times.
        dropout: keep dropout on at evaluation, as the published tables did.
        rule: quadrature rule of the mass row.
        noise_std: standard deviation of the mass; None: the mass holds exactly.
        alpha: correlation of neighbouring errors in the artificial diffusion.
        methods: rows of the tables.
        shock_samples: draws of the posterior for the histogram of shock positions.
        score_shocks: whether the tables hold the error of the shock position as well.
        figures: whether figures are drawn.
    """

    nt: int = setting(201, at_least=2)
    nx: int = setting(201, at_least=3)
    latent_samples: int = setting(100, at_least=1)
    dense_latent_samples: int = setting(100, at_least=1)
    dropout: bool = False
    rule: Literal["trapezoid", "simpson", "spline"] = "trapezoid"
    noise_std: float | None = setting(None, at_least=0)
    alpha: float = setting(0.9, at_least=0, below=1)
    methods: tuple[Method, ...] = setting(_ARTICLE, entries=1, unique=True)
    shock_samples: int = setting(2000, at_least=1)
    score_shocks: bool = False
    figures: bool = True

    def __post_init__(self):
        judge(self)


@study(
    "probconserv",
    "physcon.studies.probconserv.study",
    PRESETS,
    {
        "weights": "trained ANP (.npz): no training",
        "soft_weights": "the same for SoftC",
        "test_tasks": "published test functions (.npz)",
    },
)
@dataclass(frozen=True)
class StudyConfig:
    """One study of the ProbConserv article: an equation, a model, and the scores.

    Attributes:
        problem: the equation.
        model: the predictor.
        seed: seed of the data, the weights and the evaluation.
        repeats: number of networks, which differ in their random numbers alone. They
            are trained side by side; the table shows the spread of their scores.
        dtype: floating-point type.
        truth: profiles that predictions are scored against: the exact solution, or
            `physcon.fv` on `truth_cells` cells with its mesh convergence shown. The
            training data, the observed points and the known mass are exact in both.
        truth_cells: number of cells of that solution.
        tasks: functions to learn from and to be tested on.
        network: sizes of the network.
        training: how the network is trained.
        evaluation: how predictions are made, constrained and scored.
    """

    problem: Literal["heat", "pme", "stefan", "advection", "burgers"] = "stefan"
    model: Literal["anp", "gp", "ensemble", "front"] = "anp"
    seed: int = seed()
    repeats: int = setting(1, at_least=1)
    dtype: Literal["float32", "float64"] = "float32"
    truth: Literal["exact", "fv"] = "exact"
    truth_cells: int = setting(400, at_least=8)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self):
        judge(self)
        applicable = APPLICABLE[self.model]
        require(
            bool(set(self.evaluation.methods) & set(applicable)),
            f"evaluation.methods among {', '.join(applicable)} with model {self.model}",
            ", ".join(self.evaluation.methods),
            "add one of these methods",
        )
        if self.model == "anp":
            self._check_network()
        if self.model != "gp":
            require(
                self.training.batch <= self.tasks.train,
                f"a training.batch of at most {self.tasks.train}, the number of "
                "training functions (tasks.train)",
                self.training.batch,
                "lower training.batch, or raise tasks.train",
            )
            return
        plain = self.training.score == "nll" and not self.training.through_constraint
        require(
            plain,
            "model anp or ensemble with training.through_constraint or training.score",
            "gp",
            "leave them out: a Gaussian process is fitted by its evidence",
        )

    def _check_network(self) -> None:
        size = self.network.size
        heads = self.network.heads
        require(
            size % heads == 0,
            f"a network.size that is a multiple of network.heads = {heads}",
            size,
            f"set network.size to {-(-size // heads) * heads}",
        )
