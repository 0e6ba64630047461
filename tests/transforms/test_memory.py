"""A loop of calls outside of jit leaves nothing behind."""

import pytest

from memory import growth


@pytest.mark.parametrize(
    "name", ["condition", "condition, gradient", "bounded", "solve", "implicit_euler"]
)
def test_memory_stays_flat(name):
    """`python -m tests.memory` calls these and others 10 000 times each."""
    grown = growth(name, 20)
    assert grown.programs == 0
    assert grown.maps <= 4  # the threads and the allocator may add some
    assert grown.arrays <= 0
