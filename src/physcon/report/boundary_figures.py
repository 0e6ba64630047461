"""Figures of a boundary study, drawn from arrays by matplotlib without a display."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physcon._extras import needs
from physcon.report.figures import save_figure

with needs("report"):
    from matplotlib.figure import Figure

#: One colour per method, the same in all figures (a colour-blind safe palette by Okabe
#: and Ito).
COLOURS = {
    "plain": "#0072B2",
    "overwrite": "#E69F00",
    "lift-output": "#56B4E9",
    "lift": "#009E73",
    "eliminate": "#CC79A7",
    "basis": "#D55E00",
}


def wall_figure(
    path: Path,
    x: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    title: str,
    quantity: str = "u",
) -> None:
    """Draw the profiles, and the error near each wall (the insulator figure).

    With a correct slope the error curve is level at the wall; with a correct value it
    starts at zero.

    Args:
        quantity: the name of the field, for the axes.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    whole, *walls = figure.subplots(1, 3, width_ratios=(3, 2, 2))
    whole.plot(x, truth, color="black", lw=3, alpha=0.35, label="truth")
    for method, u in predictions.items():
        whole.plot(x, u, color=COLOURS[method], lw=1, label=method)
    whole.set(xlabel="position", ylabel=quantity)
    whole.legend(frameon=False, fontsize=8)
    near = max(6, x.size // 12)
    sizes = [
        np.abs(u - truth)[np.r_[:near, -near:0]].max() for u in predictions.values()
    ]
    limit = 1.2 * float(
        np.sort(sizes)[max(0, len(sizes) - 2)]
    )  # of all but the worst method
    for axis, part, name in zip(
        walls, np.s_[:near, -near:], ("lower", "upper"), strict=True
    ):
        axis.axhline(0, color="black", lw=3, alpha=0.35)
        for method, u in predictions.items():
            axis.plot(
                x[part], (u - truth)[part], color=COLOURS[method], marker=".", lw=1
            )
        axis.set(
            xlabel="position", title=f"error at the {name} wall", ylim=(-limit, limit)
        )
    walls[0].set_ylabel(f"error of {quantity}")
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def error_figure(
    path: Path, t: np.ndarray, errors: Mapping[str, np.ndarray], title: str
) -> None:
    """Draw the relative L2 error of every method over time."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axis = figure.subplots()
    for method, error in errors.items():
        axis.semilogy(t, error, color=COLOURS[method], marker=".", label=method)
    axis.set(xlabel="time t", ylabel="relative L2 error", title=title)
    axis.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def comparison_figure(
    path: Path,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    title: str,
    quantity: str = "u",
) -> None:
    """Draw a field in the plane and its predictions (above) with their errors (below).

    Args:
        quantity: the name of the field, for the colour bars.
    """
    columns = len(predictions) + 1
    figure = Figure(figsize=(2.6 * columns, 5), layout="constrained")
    panels = figure.subplots(2, columns, squeeze=False)
    # Vorticity is largest at single nodes of a wall, so the scale is set by the
    # interior.
    size = float(np.quantile(np.abs(truth), 0.98))
    wrong = float(np.quantile([np.abs(u - truth) for u in predictions.values()], 0.98))
    box = (0, 1, 0, 1)

    def show(axis, u: np.ndarray, limit: float, colours: str):
        axis.set(xlabel="x", ylabel="y", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axis.label_outer()
        return axis.imshow(
            u.T, origin="lower", extent=box, vmin=-limit, vmax=limit, cmap=colours
        )

    image = show(panels[0, 0], truth, size, "RdBu_r")
    panels[0, 0].set_title("truth")
    panels[1, 0].axis("off")
    bars = [(image, panels[0, :], quantity)]
    for column, (method, u) in enumerate(predictions.items(), start=1):
        show(panels[0, column], u, size, "RdBu_r")
        panels[0, column].set_title(method)
        image = show(panels[1, column], u - truth, wrong, "PuOr_r")
        panels[1, column].set_title(f"error of {method}", fontsize=9)
    if predictions:  # the panel to its left is empty
        panels[1, 1].set_ylabel("y")
        panels[1, 1].tick_params(labelleft=True)
    bars.append((image, panels[1, :], f"error of {quantity}"))
    for image, row, label in bars:
        figure.colorbar(image, ax=list(row), shrink=0.8, label=label)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def loss_figure(path: Path, losses: Mapping[str, np.ndarray]) -> None:
    """Draw the training loss of every method as a running mean.

    The mean covers a hundredth of the steps.
    """
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axis = figure.subplots()
    for method, loss in losses.items():
        window = max(1, loss.size // 100)
        smooth = np.convolve(loss, np.full(window, 1 / window), mode="valid")
        axis.semilogy(smooth, color=COLOURS[method], lw=1, label=method)
    axis.set(xlabel="step", ylabel="relative L2, training")
    axis.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
