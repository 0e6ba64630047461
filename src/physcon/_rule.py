"""The names of the quadrature rules, for options of commands that need no JAX."""

from typing import Literal

Rule = Literal["midpoint", "trapezoid", "simpson", "spline"]
