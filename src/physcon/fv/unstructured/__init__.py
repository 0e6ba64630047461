"""Finite volumes on meshes of any shape: the same laws, solvers and steps."""

from physcon.fv.unstructured.build import mesh_problem
from physcon.fv.unstructured.problem import MeshProblem
from physcon.fv.unstructured.reconstruction import Linear

__all__ = ["Linear", "MeshProblem", "mesh_problem"]
