"""Rows of lists over networks as a text table."""

from typing import Any

import numpy as np

from physcon.report import rows_text


def summary(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text, with mean and standard deviation over networks."""

    def cell(values: list[float]) -> str:
        if not values:
            return "-"
        spread = f" ± {np.std(values, ddof=1):.1g}" if len(values) > 1 else ""
        return f"{np.mean(values):.3g}{spread}"

    return rows_text(
        [{k: v if isinstance(v, str) else cell(v) for k, v in r.items()} for r in rows]
    )
