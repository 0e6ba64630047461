"""Figures of a ProbConserv study, drawn from arrays by matplotlib without a display."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physcon._extras import needs
from physcon._files import atomic_path

with needs("report"):
    from matplotlib.figure import Figure

#: One colour and name per method, the same in all figures (a colour-blind safe palette
#: by Okabe and Ito).
STYLE = {
    "unconstrained": ("#0072B2", "unconstrained"),
    "soft": ("#E69F00", "SoftC"),
    "hard": ("#CC79A7", "HardC"),
    "probconserv": ("#D55E00", "ProbConserv"),
    "diffusion": ("#009E73", "ProbConserv + diffusion"),
}
_LINES = {"hard": (0, (1, 1)), "probconserv": "-", "diffusion": (0, (5, 3))}


def mass_figure(
    path: Path,
    t: np.ndarray,
    truth: np.ndarray,
    masses: Mapping[str, np.ndarray],
    title: str,
) -> None:
    """Draw the predicted and true total mass over time (figure 1 of the article)."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(t, truth, color="black", lw=3, alpha=0.35, label="exact")
    right.axhline(0, color="black", lw=3, alpha=0.35, label="exact")
    for method, mass in masses.items():
        colour, name = STYLE[method]
        style = _LINES.get(method, "-")
        left.plot(t, mass, color=colour, ls=style, label=name)
        right.plot(t, mass - truth, color=colour, ls=style)
    left.set(xlabel="time t", ylabel="mass ∫ u dx", title=title)
    right.set(xlabel="time t", ylabel="mass error", title="conservation error")
    left.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def profile_figure(
    path: Path,
    x: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str,
) -> None:
    """Draw profiles with 95 % bands at one time (figure 2 of the article)."""
    figure = Figure(figsize=(3.2 * len(predictions), 3.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(predictions), sharey=True))
    for axis, (method, (mean, std)) in zip(axes, predictions.items(), strict=True):
        colour, name = STYLE[method]
        axis.fill_between(
            x, mean - 1.96 * std, mean + 1.96 * std, color=colour, alpha=0.25, lw=0
        )
        axis.plot(x, mean, color=colour, label="mean, 95 %")
        axis.plot(x, truth, color="black", lw=1, ls="--", label="exact")
        axis.set(xlabel="position x", title=name)
        axis.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel("u")
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def shock_figure(
    path: Path,
    positions: Mapping[str, np.ndarray],
    truth: float,
    spacing: float,
    title: str,
) -> None:
    """Draw histograms of the shock position over samples (figure 3 of the article)."""
    figure = Figure(figsize=(3.0 * len(positions), 2.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(positions), sharex=True, sharey=True))
    found = [p for p in positions.values() if p.size]
    low = min([truth, *(np.quantile(p, 0.005) for p in found)])
    high = max([truth, *(np.quantile(p, 0.995) for p in found)])
    # Each bin spans a whole number of spacings with a node in its middle, which avoids
    # beats between bins and nodes.
    width = max(1, round((high - low) / spacing / 40)) * spacing
    first = (np.floor(low / spacing) - 4.5) * spacing
    bins = np.arange(first, high + 4 * spacing + width, width)
    for axis, (method, position) in zip(axes, positions.items(), strict=True):
        colour, name = STYLE[method]
        if position.size:
            weights = np.full(position.size, 1 / position.size)
            axis.hist(position, bins=bins, weights=weights, color=colour)
            axis.axvline(position.mean(), color=colour, lw=1, label="mean")
        axis.axvline(truth, color="black", ls="--", lw=1, label="exact")
        axis.set(xlabel="shock position", title=name)
        axis.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel("share of samples")
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def resolutions_figure(
    path: Path, fields: Mapping[str, np.ndarray], title: str, quantity: str = "u"
) -> None:
    """Draw fields of any resolutions on the unit square, with one colour scale."""
    figure = Figure(figsize=(3.2 * len(fields) + 0.8, 3.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(fields), sharex=True, sharey=True))
    low = min(u.min() for u in fields.values())
    high = max(u.max() for u in fields.values())
    for axis, (name, u) in zip(axes, fields.items(), strict=True):
        shown = axis.imshow(
            u.T, origin="lower", extent=(0, 1, 0, 1), vmin=low, vmax=high
        )
        axis.set(title=name, xlabel="first axis", ylabel="second axis")
    figure.colorbar(shown, ax=axes, shrink=0.8, label=quantity)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def training_figure(path: Path, losses: Mapping[str, np.ndarray]) -> None:
    """Draw the training loss per step, with a running mean."""
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axis = figure.subplots()
    for (name, loss), colour in zip(
        losses.items(), ("#0072B2", "#E69F00"), strict=False
    ):
        window = max(1, loss.size // 100)
        smooth = np.convolve(loss, np.full(window, 1 / window), mode="valid")
        axis.plot(np.arange(loss.size), loss, color=colour, alpha=0.2, lw=0.5)
        axis.plot(
            np.arange(smooth.size) + window // 2, smooth, color=colour, label=name
        )
    lower, upper = (
        np.quantile(np.concatenate(list(losses.values())), q) for q in (0.0, 0.98)
    )
    axis.set(
        xlabel="step", ylabel="negative ELBO per task", ylim=(lower - 10, upper + 10)
    )
    axis.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure without upper and right spines; the file is complete or absent."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=150, format=path.suffix[1:])
