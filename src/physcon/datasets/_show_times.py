"""Charts over time: the errors of laws, and their two sides."""

import numpy as np

from physcon._page import Curve, Lines
from physcon.datasets._entries import Along, LawReport
from physcon.datasets._report import Report

_MOST_POINTS = 1000
_MOST_CHARTS = 6


def law_charts(report: Report) -> list[Lines]:
    """Return for each law what was wanted and found, and its errors, over time."""
    audit = not report.variables
    charts: list[Lines] = []
    for law in report.laws[:_MOST_CHARTS]:
        times = law.times
        if times is None or len(times.labels) < 2:
            continue
        if len(law.wanted) == len(times.labels):
            charts.append(_sides(law, times, audit=audit))
        charts.append(_errors(law, times, audit=audit))
    for variable in report.variables[:_MOST_CHARTS]:
        if variable.times is not None and len(variable.times.labels) > 1:
            name = "norm" if variable.metric else "chi_squared"
            text = {"norm": "norm of the correction", "chi_squared": "chi-squared"}
            units = f" ({variable.units})" if name == "norm" and variable.units else ""
            title = f"{text[name]} of {variable.variable}"
            values = {title: np.array(variable.times.values[name])}
            charts.append(_chart(title, text[name] + units, variable.times, values))
    return charts


def _sides(law: LawReport, times: Along, *, audit: bool) -> Lines:
    values = {"before": np.array(law.found_before)}
    if not audit:
        values["after"] = np.array(law.found_after)
    values["required"] = np.array(law.wanted)
    return _chart(law.law, _with_units(law.law, law.units), times, values)


def _errors(law: LawReport, times: Along, *, audit: bool) -> Lines:
    values = {"before": np.array(times.values["before"])}
    if not audit:
        values["after"] = np.array(times.values["after"])
    title = f"largest error of {law.law}"
    positive = all(np.any(v > 0) for v in values.values())
    label = _with_units("error", law.units)
    return _chart(title, label, times, values, log=positive and not audit)


def _chart(
    title: str,
    label: str,
    times: Along,
    values: dict[str, np.ndarray],
    *,
    log: bool = False,
) -> Lines:
    """Return a chart over time; of many times, the largest of each group is kept."""
    count = len(times.labels)
    kept = np.arange(count)
    if count > _MOST_POINTS:
        size = -(-count // _MOST_POINTS)
        first = np.abs(next(iter(values.values())))
        kept = np.array(
            [k + int(np.argmax(first[k : k + size])) for k in range(0, count, size)]
        )
        title += f" (of each {size} times, the largest)"
    curves = [Curve(name, each[kept]) for name, each in values.items()]
    labels = [times.labels[k] for k in kept]
    numeric = all(isinstance(v, int | float) for v in labels)
    x = np.array(labels, np.float64) if numeric else kept.astype(np.float64)
    texts = [] if numeric else [str(v) for v in labels]
    return Lines(title, x, times.dimension, label, curves, texts, log=log)


def _with_units(text: str, units: str) -> str:
    return f"{text} ({units})" if units not in ("", "1") else text
