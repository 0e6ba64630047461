"""Progress bars on standard error, which may be closed without ending the run."""

import contextlib
import sys
from typing import Any

from physcon._extras import needs

with needs("train"):
    from tqdm import tqdm


class _Stderr:
    """Standard error for a progress bar; writing to a closed one does nothing."""

    def write(self, text: str) -> None:
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stderr.isatty()
        return False

    def fileno(self) -> int:
        return sys.stderr.fileno()


def progress_bar(
    total: int, initial: int = 0, *, enabled: bool = True, unit: str, title: str = ""
) -> Any:
    """A `tqdm` bar that survives a closed standard error.

    Args:
        total: number of units of the whole run.
        initial: number of units that an earlier run has completed.
        enabled: whether a bar is shown.
        unit: name of a unit.
        title: text before the bar.
    """
    return tqdm(
        total=total,
        initial=initial,
        disable=not enabled or sys.stderr is None,
        file=_Stderr(),  # type: ignore[arg-type]
        unit=unit,
        desc=title or None,
    )
