"""Meshes of eight virtual devices, and what a program on them sends."""

import math
import re

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

if len(jax.devices()) < 8:
    pytest.skip(
        "fewer than 8 devices: leave XLA_FLAGS to conftest.py", allow_module_level=True
    )

DEVICES = np.array(jax.devices())
LINE = Mesh(DEVICES, ("x",))
PLANE = Mesh(DEVICES.reshape(4, 2), ("x", "y"))
CUBE = Mesh(DEVICES.reshape(2, 2, 2), ("x", "y", "z"))
#: Each with the axes of a field in three dimensions that it divides.
MESHES = [(LINE, ("x", None, None)), (PLANE, ("x", "y", None)), (CUBE, ("x", "y", "z"))]
on_every_mesh = pytest.mark.parametrize(
    ("mesh", "axes"), MESHES, ids=["8", "4x2", "2x2x2"]
)


def same(got, expected, rounding=4e-6):
    expected = np.asarray(expected)
    np.testing.assert_allclose(
        got, expected, rtol=0, atol=rounding * np.abs(expected).max()
    )


def run(fn, *args):
    """The result, and how often each collective occurs in the compiled program.

    It calls nothing on the host, and lowers for accelerators as well.
    """
    traced = jax.jit(fn).trace(*args)
    traced.lower(lowering_platforms=("cuda", "tpu"))
    program = traced.lower().compile()
    return program(*args), collectives(program)


def collectives(program):
    """How often each occurs in a compiled program, which calls nothing on the host."""
    text = program.as_text()
    assert "callback" not in text
    kinds = r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)\("
    names = re.findall(kinds, text)
    return {name: names.count(name) for name in set(names)}


def largest_message(program):
    """The most numbers that any collective of a compiled program has as its result."""
    kinds = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    found = re.findall(rf"= (\(.*?\)|\S+) (?:{kinds})(?:-start)?\(", program.as_text())
    sizes = re.findall(r"\w+\[([\d,]*)\]", " ".join(found))
    return max((math.prod(int(n) for n in s.split(",") if n) for s in sizes), default=0)
