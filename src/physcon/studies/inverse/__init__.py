"""Inverse problems with known truths.

Gradients pass through solvers, operators and conditioning.
"""

__all__: list[str] = []
