"""Inverse problems with known truths: gradients through solvers, operators and
conditioning.
"""
