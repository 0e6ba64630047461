"""Experiments on data as users have them: downscaling of maps, and a long roll-out."""

__all__: list[str] = []
