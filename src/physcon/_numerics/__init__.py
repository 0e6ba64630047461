"""Arithmetic below every component: local float64, products, factors, transforms."""

__all__: list[str] = []
