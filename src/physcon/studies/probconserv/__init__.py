"""The ProbConserv article: learn a family of equations, predict, conserve, score."""

__all__: list[str] = []
