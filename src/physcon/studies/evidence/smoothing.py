"""Forecasts of single series by exponential smoothing with a season."""

import itertools
from typing import NamedTuple

import numpy as np

from physcon._typing import Float

#: Weights of the newest error for the level and for the season.
_LEVEL = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
_SEASON = (0.0, 0.02, 0.05, 0.1, 0.2)


class Forecast(NamedTuple):
    """The forecasts of all series from one origin, and their past errors.

    Attributes:
        mean: expected values, ``(h, n)`` for h steps ahead.
        std: standard deviations that the model states, ``(h, n)``.
        one_step: the last errors of forecasts by one step, ``(w, n)``.
        ahead: the last errors of forecasts by 1 to h steps, ``(h, w, n)``.
    """

    mean: Float[np.ndarray, "h n"]
    std: Float[np.ndarray, "h n"]
    one_step: Float[np.ndarray, "w n"]
    ahead: Float[np.ndarray, "h w n"]


class Smoothed(NamedTuple):
    """All states of the smoothing, for every pair of weights.

    Attributes:
        series: the values, ``(t, n)``.
        level: the level after each value, ``(t, k, n)`` for k pairs of weights.
        season: the season's estimate, made with each value, ``(t, k, n)``.
        error: value minus its forecast by one step, ``(t, k, n)``.
        weights: the pairs, ``(k, 2)``.
        period: length of the season.
    """

    series: Float[np.ndarray, "t n"]
    level: Float[np.ndarray, "t k n"]
    season: Float[np.ndarray, "t k n"]
    error: Float[np.ndarray, "t k n"]
    weights: Float[np.ndarray, "k 2"]
    period: int


def smoothed(series: Float[np.ndarray, "t n"], period: int) -> Smoothed:
    """Run additive exponential smoothing (ETS(A,N,A)) over all series side by side.

    The states before the first value are the means of the first two seasons.

    Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing
    (2008), sec. 3.4.2 (the model A,N,A).
    """
    weights = np.array(list(itertools.product(_LEVEL, _SEASON)))
    shape = (len(series), len(weights), series.shape[1])
    level = np.empty(shape)
    season = np.empty(shape)
    error = np.empty(shape)
    start = series[: 2 * period]
    now = np.broadcast_to(start.mean(axis=0), shape[1:])
    cycle = start.reshape(-1, period, shape[2]).mean(axis=0) - start.mean(axis=0)
    seasons = [np.broadcast_to(one, shape[1:]) for one in cycle]
    for t, value in enumerate(series):
        before = seasons[t] if t < period else season[t - period]
        error[t] = value - now - before
        now = now + weights[:, :1] * error[t]
        level[t] = now
        season[t] = before + weights[:, 1:] * error[t]
    return Smoothed(series, level, season, error, weights, period)


def forecast(states: Smoothed, origin: int, horizon: int, window: int) -> Forecast:
    """Forecast from the first `origin` values; the weights have the smallest errors.

    Args:
        horizon: number of steps, not more than a season.
        window: number of past errors to return.
    """
    series = states.series
    known = states.error[2 * states.period : origin]
    best = np.argmin((known**2).sum(axis=0), axis=0)
    place = np.arange(series.shape[1])
    one_step = known[:, best, place]
    level = states.level[:, best, place]
    season = states.season[:, best, place]

    def predicted(t: np.ndarray, h: int) -> np.ndarray:
        return level[t] + season[t + h - states.period]

    steps = range(1, horizon + 1)
    last = np.array([origin - 1])
    mean = np.concatenate([predicted(last, h) for h in steps])
    weight = states.weights[best, 0]
    growth = np.array([1 + (h - 1) * weight**2 for h in steps])
    times = [np.arange(origin - h - window, origin - h) for h in steps]
    ahead = [series[t + h] - predicted(t, h) for t, h in zip(times, steps, strict=True)]
    last_errors = one_step[-window:]
    std = np.sqrt(last_errors.var(axis=0, ddof=1) * growth)
    return Forecast(mean, std, last_errors, np.stack(ahead))
