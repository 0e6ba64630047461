"""Bytes that a compiled program moves, counted in its text."""

import importlib.util
from pathlib import Path

PLACE = Path(__file__).parents[2] / "benchmarks" / "_hlo.py"
SPEC = importlib.util.spec_from_file_location("_hlo", PLACE)
hlo = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hlo)

FIRST_ROW_OF_A_SUM = """
%fused (a: f32[100,10], b: f32[100,10]) -> f32[1,10] {
  %a = f32[100,10] parameter(0)
  %b = f32[100,10] parameter(1)
  %sum = f32[100,10] add(%a, %b)
  ROOT %row = f32[1,10] slice(%sum), slice={[0:1], [0:10]}
}

ENTRY %main (a: f32[100,10], b: f32[100,10]) -> f32[1,10] {
  %a = f32[100,10] parameter(0)
  %b = f32[100,10] parameter(1)
  ROOT %out = f32[1,10] fusion(%a, %b), kind=kLoop, calls=%fused
}
"""
CHOICE = """
%often (x: f32[10]) -> f32[10] {
  %x = f32[10] parameter(0)
  ROOT %y = f32[10] negate(%x)
}

%rare (x: f32[10]) -> f32[10] {
  %x = f32[10] parameter(0)
  %w = f32[1000] broadcast(%x), metadata={op_name="jit(f)/rarely/broadcast"}
  ROOT %y = f32[10] slice(%w), slice={[0:10]}
}

ENTRY %main (flag: pred[], x: f32[10]) -> f32[10] {
  %flag = pred[] parameter(0)
  %x = f32[10] parameter(1)
  ROOT %y = f32[10] conditional(%flag, %x, %x), branch_computations={%rare, %often}
}
"""


def test_what_only_a_slice_needs_is_not_read():
    found = hlo.traffic(FIRST_ROW_OF_A_SUM)
    assert (found.read, found.written) == (2 * 40, 40)


def test_rare_branches_count_if_asked_for():
    usual, worst = (hlo.traffic(CHOICE, rare=rare) for rare in (False, True))
    assert (usual.read, usual.written) == (40, 40)
    assert (worst.read, worst.written) == (40 + 40, 4000 + 40)
