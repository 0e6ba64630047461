"""Equations with exact solutions, conserved mass, and tasks sampled from them."""

from physcon.problems.advection import Advection as Advection
from physcon.problems.burgers import Burgers as Burgers
from physcon.problems.heat import Heat as Heat
from physcon.problems.porous_medium import PorousMedium as PorousMedium
from physcon.problems.problem import Problem as Problem
from physcon.problems.problem import Settings as Settings
from physcon.problems.sampling import Points as Points
from physcon.problems.sampling import Task as Task
from physcon.problems.sampling import evaluation_problems as evaluation_problems
from physcon.problems.sampling import sample_task as sample_task
from physcon.problems.sampling import sample_tasks as sample_tasks
from physcon.problems.sampling import training_problems as training_problems
from physcon.problems.stefan import Stefan as Stefan

#: The families of Hansen et al. (2023) by name.
PROBLEMS: dict[str, type[Problem]] = {
    family.settings.name: family
    for family in (Heat, PorousMedium, Stefan, Advection, Burgers)
}
