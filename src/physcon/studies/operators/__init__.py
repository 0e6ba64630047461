"""Neural operators on public data, tested on finer grids than they were trained on."""

__all__: list[str] = []
