"""Random problems for `condition` and `bounded`, judged by NumPy in float64.

    python -m tests.fuzz [problems] [first seed]

draws 5 000 problems by default: 1 to 300 points, 1 to 30 rows, variances over 30
decades, rows that nearly repeat others, and rows that contradict others. Judged are
the rows, the bounds, variances, the definiteness of the covariance, gradients, and the
outcome: a contradiction must be found, and a well-posed problem solved. Problems are
padded to a few shapes with points of zero variance and rows of zeros, so that little is
compiled. A failure is printed with its seed.
"""

import argparse
import sys
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from physcon.conditioning.gram import REDUNDANT

#: Points and rows to which problems are padded.
SHAPES = ((12, 3), (300, 30))
EPS = float(np.finfo(np.float32).eps)


class Case(NamedTuple):
    """One problem in float32; `contradicts` if one row repeats another's weights."""

    mean: np.ndarray
    std: np.ndarray
    rows: np.ndarray
    value: np.ndarray
    contradicts: bool
    seed: int


def draw(seed: int) -> tuple[tuple[int, int], Case]:
    """A problem, padded, and its shape. A field inside [0, 1] obeys the rows."""
    rng = np.random.default_rng(seed)
    points, most = SHAPES[rng.integers(len(SHAPES))]
    n = int(rng.integers(1, points + 1))
    m = int(rng.integers(1, min(n, most) + 1))
    rows = rng.normal(size=(m, n)) * (rng.uniform(size=(m, n)) < rng.uniform(0.2, 1))
    decades = rng.choice([0, 6, 15])  # of the standard deviation
    std = 10 ** rng.uniform(-decades, 0, n)
    mean = rng.normal(0.3, 1, n)
    kind = rng.choice(["plain", "near", "contradicting"])
    if m >= 2 and kind == "near":
        rows[-1] = rows[0] * (1 + 10 ** rng.uniform(-7, -2) * rng.normal(size=n))
    if m >= 2 and kind == "contradicting":
        rows[-1] = rows[0]
    rows = rows.astype(np.float32)
    value = rows.astype(float) @ rng.uniform(0.1, 0.9, n)
    contradicts = bool(m >= 2 and kind == "contradicting" and np.any(rows[0]))
    if contradicts:
        value[-1] += 0.1 * np.abs(rows[0]).sum()
    size = ((0, most - m), (0, points - n))
    case = Case(
        np.pad(mean, size[1]).astype(np.float32),
        np.pad(std, size[1]).astype(np.float32),
        np.pad(rows, size),
        np.pad(value, size[0]).astype(np.float32),
        contradicts,
        seed,
    )
    return (points, most), case


class Answer(NamedTuple):
    """What is judged of a result."""

    mean: jax.Array
    variance: jax.Array
    covariance: jax.Array
    status: jax.Array
    slopes: tuple


@partial(jax.jit, static_argnames="kind")
@partial(jax.vmap, in_axes=(0, 0, 0, 0, None))
def solve(mean, std, rows, value, kind) -> Answer:
    def run(mean, std, rows, value):
        prior = pc.Gaussian.diagonal(mean, std)
        law = pc.LinearConstraint(pc.Rows(rows), value)
        if kind == "bounded":
            found = pc.bounded(prior, law, 0.0, 1.0, throw=False)
        else:
            found = pc.condition(prior, law, throw=False)
        posterior = found.posterior
        return jnp.sum(posterior.mean), (posterior, found.status)

    grad = jax.grad(run, (0, 1, 2, 3), has_aux=True)
    slopes, (posterior, status) = grad(mean, std, rows, value)
    covariance = posterior.covariance() if kind == "condition" else jnp.zeros(0)
    return Answer(posterior.mean, posterior.variance(), covariance, status, slopes)


#: Codes of success: every row met.
GOOD = {"condition": (0, 2), "bounded": (0,)}


def faults(case: Case, answer: Answer, kind: str) -> list[str]:
    """What is wrong with an answer, in words; empty if nothing is."""
    mean, std, rows, value = (np.asarray(x, float) for x in case[:4])
    u = np.asarray(answer.mean, float)
    status = int(answer.status)
    found = []
    if kind == "bounded" and not np.all((u >= 0) & (u <= 1) | (case.std == 0)):
        found.append("outside of the box")
    if case.contradicts and status in GOOD[kind] and np.any(std > 0):
        found.append("a contradiction is called good")
    reference = dense(mean, std, rows, value)
    alike = kind == "condition" or np.min(std[std > 0], initial=1) > 1e-3
    if status not in GOOD[kind]:
        if reference is not None and alike and not case.contradicts:
            found.append(f"a well-posed problem is not solved: status {status}")
        return found
    missed = np.abs(value - rows @ u)
    size = np.abs(rows) @ np.abs(u) + np.abs(value)
    limit = 16 if kind == "condition" and merged(std, rows) else 4
    if np.any(missed > limit * EPS * size):
        worst = np.max(missed / np.where(size > 0, size, 1)) / EPS
        found.append(f"misses a row by {worst:.3g} eps")
    variance = np.asarray(answer.variance, float)
    if not np.all((variance >= 0) & (variance <= std**2 * (1 + 1e-5))):
        found.append("a variance outside of [0, prior variance]")
    bad = ~np.isfinite(np.concatenate([x.ravel() for x in answer.slopes]))
    if np.any(bad):
        found.append("a gradient that is not finite")
    if kind == "condition":
        unit = np.where(std > 0, std, 1)
        scaled = np.asarray(answer.covariance, float) / unit / unit[:, None]
        least = np.linalg.eigvalsh(scaled)[0]
        if least < -1e-4:
            found.append(f"a covariance with a scaled eigenvalue of {least:.3g}")
    if kind == "condition" and reference is not None:
        apart = np.max(np.abs(u - reference)) / np.max(np.abs(reference))
        if apart > 1e-5:
            found.append(f"differs from float64 by {apart:.3g}")
    return found


def merged(std, rows) -> bool:
    """Whether rows are nearer to each other than float32 tells, and so are merged.

    `condition` promises 16 roundings for them, of what their values differ by.
    """
    white = (rows * std)[np.any(rows * std != 0, axis=1)]
    if len(white) == 0:
        return False
    scaled = white / np.linalg.norm(white, axis=1, keepdims=True)
    return bool(np.linalg.svd(scaled, compute_uv=False)[-1] ** 2 < 1.1 * REDUNDANT)


def dense(mean, std, rows, value) -> np.ndarray | None:
    """The posterior mean in float64 by NumPy, for a well-conditioned Gram matrix."""
    rows, value = rows[np.any(rows != 0, axis=1)], value[np.any(rows != 0, axis=1)]
    white = rows * std
    size = np.linalg.norm(white, axis=1)
    if len(rows) == 0 or np.any(size == 0):
        return None
    scaled = white / size[:, None]
    if np.linalg.cond(scaled) > 1e4:
        return None
    z = np.linalg.lstsq(scaled, (value - rows @ mean) / size, rcond=None)[0]
    return mean + std * z


def run(seeds: Iterable[int], batch: int = 50) -> dict[str, list]:
    """Faults by kind: (seed, what is wrong); and how many problems were solved."""
    cases: dict[tuple[int, int], list[Case]] = {shape: [] for shape in SHAPES}
    for seed in seeds:
        shape, case = draw(seed)
        cases[shape].append(case)
    report: dict[str, list] = {"condition": [], "bounded": [], "solved": [0, 0]}
    for several in cases.values():
        for start in range(0, len(several), batch):
            some = several[start : start + batch]
            padded = some + [some[0]] * (batch - len(some))
            arrays = [np.stack(x) for x in list(zip(*padded, strict=True))[:4]]
            for k, kind in enumerate(("condition", "bounded")):
                answers = jax.device_get(solve(*arrays, kind))
                for i, case in enumerate(some):
                    answer = jax.tree.map(lambda x, i=i: x[i], answers)
                    report["solved"][k] += int(answer.status) in GOOD[kind]
                    wrong = faults(case, answer, kind)
                    report[kind] += [(case.seed, text) for text in wrong]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("problems", nargs="?", type=int, default=5000)
    parser.add_argument("first", nargs="?", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    problems = options.problems
    report = run(range(options.first, options.first + problems))
    for kind in ("condition", "bounded"):
        for seed, text in report[kind]:
            print(f"{kind}, seed {seed}: {text}")
    print(f"{problems} problems, solved {report['solved']} (condition, bounded)")
    sys.exit(bool(report["condition"] or report["bounded"]))


if __name__ == "__main__":
    main()
