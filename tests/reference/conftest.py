"""Arrays of published code: a small part that ships with the tests, and all of them."""

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(params=["shipped", "full"])
def published(request, reference):
    """`published("boon/fno1d.npz")`: arrays shipped with the tests, or a skip.

    Every test that uses it runs twice: on the shipped part, and on the full arrays
    where these are present.
    """

    def load(name: str):
        if request.param == "full":
            return reference(name)
        path = DATA / Path(name).name
        if not path.exists():
            pytest.skip(f"not among the shipped arrays: {name}")
        return np.load(path, allow_pickle=False)

    return load
