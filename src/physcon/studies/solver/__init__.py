"""`physcon solve`: one flow, from settings to snapshots, totals and figures."""

__all__: list[str] = []
