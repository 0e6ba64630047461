"""Equations with exact solutions, conserved mass, and tasks sampled from them."""

from physcon.problems.advection import Advection
from physcon.problems.burgers import Burgers
from physcon.problems.heat import Heat
from physcon.problems.observations import Observations
from physcon.problems.porous_medium import PorousMedium
from physcon.problems.problem import Problem, Settings
from physcon.problems.sampling import (
    Points,
    Task,
    evaluation_problems,
    sample_task,
    sample_tasks,
    training_problems,
)
from physcon.problems.stefan import Stefan

__all__ = [
    "PROBLEMS",
    "Advection",
    "Burgers",
    "Heat",
    "Observations",
    "Points",
    "PorousMedium",
    "Problem",
    "Settings",
    "Stefan",
    "Task",
    "evaluation_problems",
    "sample_task",
    "sample_tasks",
    "training_problems",
]

#: The families of Hansen et al. (2023) by name.
PROBLEMS: dict[str, type[Problem]] = {
    family.settings.name: family
    for family in (Heat, PorousMedium, Stefan, Advection, Burgers)
}
