"""The table of a boundary study.

It lists the error of every method, and its ratio to the error of overwriting.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from physcon.report.tables import write_csv, write_texts


@dataclass(frozen=True)
class BoundaryRow:
    """The scores of one method, as means over test functions and seeds.

    Attributes:
        method: name of the method.
        seeds: number of networks.
        relative_l2: relative error of the predictions.
        relative_l2_std: standard deviation over seeds of the mean over functions.
        boundary_error: root mean square of the residual of the conditions, in the units
            of the conditions.
        against_overwrite: `relative_l2` divided by the error of the same network when
            it is overwritten at the boundary.
        is_default: whether the method is the form that physcon chooses for the
            conditions of the problem.
    """

    method: str
    seeds: int
    relative_l2: float
    relative_l2_std: float
    boundary_error: float
    against_overwrite: float | None
    is_default: bool = False


def boundary_table(rows: Sequence[BoundaryRow]) -> str:
    """Format the table as text, ending with the forms that overwriting beats."""
    lines = [
        f"{'method':<12}{'relative L2':>20}  {'/ overwrite':>11}  "
        f"{'boundary error':>14}"
    ]
    best = min(row.relative_l2 for row in rows)
    for row in rows:
        mark = "*" if row.relative_l2 == best else " "
        spread = f" ± {row.relative_l2_std:.5f}" if row.seeds > 1 else ""
        error = f"{row.relative_l2:.5f}{spread}{mark}"
        ratio = "" if row.against_overwrite is None else f"{row.against_overwrite:.2f}"
        lines.append(
            f"{row.method:<12}{error:>20}  {ratio:>11}  {row.boundary_error:>14.1e}"
        )
    seeds = rows[0].seeds
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    lines += ["", f"{over}; * best"]
    lines += [f"default form: {row.method}" for row in rows if row.is_default]
    worse = [
        r.method for r in rows if r.method != "plain" and (r.against_overwrite or 0) > 1
    ]
    if worse:
        lines.append(f"not better than overwriting: {', '.join(worse)}")
    return "\n".join(lines)


def write_boundary_tables(folder: Path, rows: Sequence[BoundaryRow]) -> None:
    """Write ``table.txt``, ``table.csv`` and ``table.json`` into `folder`."""
    names = [f.name for f in fields(BoundaryRow)]
    write_csv(
        folder / "table.csv", names, [[getattr(r, n) for n in names] for r in rows]
    )
    write_texts(folder, rows, boundary_table(rows))
