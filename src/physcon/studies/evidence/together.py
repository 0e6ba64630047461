"""Training of the networks of one method, which differ in their random numbers."""

from collections.abc import Sequence
from typing import Any

from physcon._typing import PRNGKeyArray, PyTree
from physcon.studies.session import Session
from physcon.studies.sharing import adam, divided, fit_tasks
from physcon.studies.side_by_side import Loss, each_alone, side_by_side, stacked


def trained_together(
    loss: Loss,
    networks: Sequence[PyTree],
    samples: PyTree,
    batch: int,
    steps: int,
    rate: float,
    key: PRNGKeyArray,
    session: Session,
    method: str,
) -> Any:
    """Return the networks, trained side by side on the same batches, as a stack.

    Args:
        samples: the training samples along a leading axis.
        rate: peak rate of Adam; it falls to zero along a cosine.
        method: name of the method; its checkpoint has this name without spaces.
    """
    result = fit_tasks(
        side_by_side(loss),
        stacked(networks),
        each_alone(adam(rate, 0.0, steps)),
        divided(samples, session.mesh),
        batch,
        steps,
        key,
        session,
        method.replace(" ", "_"),
        save_every=max(1, steps // 4),
    )
    return result.params
