"""The networks of the boundary studies.

They are the same FNO, used plain, overwritten at the boundary, and corrected in each
form.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, PRNGKeyArray, PyTree, Scalar
from physcon.grid import Grid
from physcon.metrics import relative_l2
from physcon.operators.boon import BoundaryFNO, NetworkForm
from physcon.operators.enforce import residuals
from physcon.operators.normaliser import Normaliser
from physcon.studies.boon.data import CLOSED, Samples, space_axes
from physcon.studies.boon.settings import BoonConfig, Method
from physcon.studies.session import Session
from physcon.studies.sharing import adam, fit_tasks, whole
from physcon.studies.side_by_side import stacked
from physcon.training import FitResult

_FORMS: dict[Method, NetworkForm] = {
    "plain": "overwrite",
    "overwrite": "overwrite",
    "lift-output": "lift",
    "lift": "lift",
    "eliminate": "eliminate",
    "basis": "basis",
}


class Errors(NamedTuple):
    """The errors of one prediction.

    Attributes:
        relative_l2: ‖u - answer‖ / ‖answer‖.
        misfit: mean square of l(u) - α over all sides, in the units of the condition.
        over_time: ‖u - answer‖ at each time, divided by the root mean square of
            ‖answer‖ in time.
    """

    relative_l2: Float[Array, "*s"]
    misfit: Float[Array, "*s"]
    over_time: Float[Array, "*s t"]


def exists(method: Method, config: BoonConfig) -> bool:
    """Whether a method applies to the problem.

    Elimination and bases have no form on a periodic axis.
    """
    return config.problem not in CLOSED or method not in ("eliminate", "basis")


def network(
    method: Method,
    config: BoonConfig,
    key: PRNGKeyArray,
    inputs: Normaliser,
    outputs: Normaliser,
) -> BoundaryFNO:
    """Random weights of one method.

    All methods except "basis" start from the same weights.
    """
    axes = space_axes(config)
    timed = config.times > 1
    modes = (config.modes,) * axes + (min(config.modes, config.times // 2),) * timed
    if method == "basis":
        # Bases use half waves in place of waves, which gives the same range of wave
        # numbers, and as many numbers as complex weights have.
        points = (config.nodes,) * axes + (config.times,) * timed
        modes = tuple(min(2 * m, n - 2) for m, n in zip(modes, points, strict=True))
    pad = 0.0 if method == "basis" else config.padding
    space_pad = 0.0 if config.problem in CLOSED else pad
    return BoundaryFNO.init(
        key,
        1,
        1,
        modes,
        config.width,
        config.depth,
        form=_FORMS[method],
        every_block=method in ("lift", "eliminate", "basis"),
        order=config.order,
        reach=config.reach,
        throw=False,
        padding=(space_pad,) * axes + (pad,) * timed,
        coordinates=(config.positions,) * axes + (True,) * timed,
        inputs=inputs,
        outputs=outputs,
    )


def trained(
    method: Method,
    config: BoonConfig,
    grid: Grid,
    data: Samples,
    key: PRNGKeyArray,
    session: Session = Session(),
) -> FitResult:
    """Train the networks of all seeds together.

    Each result is the same as if the network were trained alone. Adam acts on every
    number separately, so the gradient of the sum of the losses trains all seeds. The
    leaves of the result have a leading axis of seeds. The checkpoint
    ``<method>.checkpoint`` is kept in the session's folder. With a mesh the data are
    divided among its devices.
    """
    inputs = whole(Normaliser.fit(data.u), session.mesh)
    outputs = whole(Normaliser.fit(data.answer), session.mesh)
    # The networks are created one by one, not under vmap, because a dozen generators in
    # one program take a minute to compile.
    each = [
        network(method, config, jax.random.key(s), inputs, outputs)
        for s in config.seeds
    ]
    networks = stacked(each)

    def loss(networks: BoundaryFNO, sample: Samples, key: PRNGKeyArray) -> Scalar:
        def of_seed(net: BoundaryFNO) -> Scalar:
            return relative_l2(predict(net, method, sample, grid), sample.answer)

        return jnp.sum(eqx.filter_vmap(of_seed)(networks))

    return fit_tasks(
        loss,
        networks,
        adam(config.learning_rate, config.weight_decay, config.steps),
        data,
        config.batch,
        config.steps,
        key,
        session.of(config),
        method,
        save_every=config.save_every,
    )


def predict(
    net: BoundaryFNO, method: Method, sample: Samples, grid: Grid
) -> Float[Array, "1 *x"]:
    """The answer of a network to one function; a plain network ignores the walls."""
    return (
        net.fno(sample.u) if method == "plain" else net(sample.u, sample.boundary, grid)
    )


def evaluated(
    networks: BoundaryFNO, method: Method, config: BoonConfig, grid: Grid, data: Samples
) -> tuple[Errors, Float[np.ndarray, "1 *x"]]:
    """Errors of every seed and function, and one prediction.

    The errors are ``(seeds, functions, ...)``. The prediction belongs to the first seed
    and the first function.
    """

    def one(net: BoundaryFNO, sample: Samples) -> Errors:
        u = predict(net, method, sample, grid)
        found = residuals(u, sample.boundary, grid, config.order)
        misfit = jnp.mean(jnp.stack([jnp.mean(r.value**2) for r in found]))
        wrong, size = (
            jnp.sum((f**2).reshape(-1, config.times), 0)
            for f in (u - sample.answer, sample.answer)
        )
        over_time = jnp.sqrt(wrong / jnp.mean(size))
        return Errors(relative_l2(u, sample.answer), misfit, over_time)

    @eqx.filter_jit
    def all_of(networks: BoundaryFNO, data: Samples) -> tuple[Errors, Array]:
        def per_seed(net: BoundaryFNO) -> tuple[Errors, Array]:
            errors = jax.lax.map(lambda s: one(net, s), data, batch_size=config.batch)
            first: PyTree = jax.tree.map(lambda a: a[0], data)
            return errors, predict(net, method, first, grid)

        return eqx.filter_vmap(per_seed)(networks)

    errors, first = jax.device_get(all_of(networks, data))
    return errors, first[0]
