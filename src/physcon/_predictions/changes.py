"""The report of what conditioning changed in a file."""

from typing import NamedTuple


class Report(NamedTuple):
    """The changes in a file.

    Attributes:
        error_before: largest error of the integral, in its own units.
        error_after: the same for the numbers that were written, judged in float64.
        out_of_bounds_before: number of points outside of the bounds.
        largest_change: largest change of a point, in units of its std.
        mean_change: mean change of all points, in units of their std.
    """

    error_before: float
    error_after: float
    out_of_bounds_before: int
    largest_change: float
    mean_change: float

    def __str__(self) -> str:
        lines = [
            f"largest conservation error   before {self.error_before:.3e}   "
            f"after {self.error_after:.3e}",
            "points out of bounds         "
            f"before {self.out_of_bounds_before}   after 0",
            f"change of the prediction     mean {self.mean_change:.3g} std   "
            f"largest {self.largest_change:.3g} std",
        ]
        if self.largest_change > 10:
            lines.append(
                "some values changed by more than 10 std: "
                "check the units of the integral and the size of the std"
            )
        return "\n".join(lines)


def joined(mean: Report, members: Report) -> Report:
    """Return one report for a mean and the members next to it."""
    return Report(
        max(mean.error_before, members.error_before),
        max(mean.error_after, members.error_after),
        mean.out_of_bounds_before + members.out_of_bounds_before,
        max(mean.largest_change, members.largest_change),
        mean.mean_change,
    )
