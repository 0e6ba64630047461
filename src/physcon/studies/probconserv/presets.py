"""The presets of a ProbConserv study: sizes and methods."""

from typing import Any

#: The changes that each preset makes to the defaults. The preset `quick` takes minutes
#: on two cores.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "quick": {
        "tasks.train": 4000,
        "tasks.per_parameter": 20,
        "network.size": 64,
        "training.steps": 1600,
        "training.batch": 8,
        "training.learning_rate": 1e-3,
        "training.clip": 100.0,
        "training.schedule": "cosine",
        "training.soft_weight": 0.032,  # 8 / 250: per task as published
        "training.soft_steps": 100,
        "training.save_every": 100,
        "evaluation.dense_latent_samples": 10,
    },
    "best": {
        "model": "front",
        "repeats": 3,
        "tasks.train": 512,
        "network.size": 64,
        "network.layers": 3,
        "training.steps": 4000,
        "training.batch": 32,
        "training.learning_rate": 1e-2,
        "training.clip": 1.0,
        "training.schedule": "cosine",
        "evaluation.figures": False,
        "evaluation.latent_samples": 64,
        "evaluation.shock_samples": 64,
        "evaluation.score_shocks": True,
        "evaluation.methods": (
            "unconstrained",
            "diagonal",
            "covariance",
            "monotone",
            "balance",
            "front",
            "trained",
        ),
    },
}
