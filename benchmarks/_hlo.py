"""Kernels and memory traffic of a compiled program, from its optimised text.

Every instruction that remains after fusion is a kernel: it reads its operands from
memory and writes its results there. If a fusion only slices an operand, the slices
count. Arrays that the compiler placed in memory on the chip (``S(1)`` in a TPU program)
do not count. The padding of tiles counts. A loop counts as often as its text says, or
once if it does not say. Of a choice the branch that moves most counts, but one that
physcon marks as rare (`physcon._numerics.rarely`) only if rare branches are asked for.
"""

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

BYTES = {
    "pred": 1,
    "s8": 1,
    "u8": 1,
    "bf16": 2,
    "f16": 2,
    "s16": 2,
    "u16": 2,
    "s32": 4,
    "u32": 4,
}
BYTES |= {"f32": 4, "s64": 8, "u64": 8, "f64": 8, "c64": 8, "c128": 16}
#: No kernel: names, views, and the second halves of asynchronous instructions.
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"}
_FREE |= {
    "opt-barrier",
    "optimization-barrier",
    "partition-id",
    "copy-done",
    "async-done",
}
_FREE |= {"slice-done", "add-dependency", "async-update"}
_SLICES = {"slice", "dynamic-slice", "gather"}
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](?:\{([^}]*)\})?")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_CALLED = re.compile(r"(?:calls|to_apply|body|called_computations)=\{?%?([\w.\-]+)")


class Instruction(NamedTuple):
    """``name = type opcode(operands), attributes``."""

    name: str
    type: str
    opcode: str
    operands: list[str]
    attributes: str
    is_root: bool


@dataclass
class Traffic:
    """Counts of one run of a program."""

    kernels: int = 0
    read: int = 0
    written: int = 0
    float64: int = 0  # largest float64 array that a kernel writes
    kinds: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Traffic", times: int = 1) -> None:
        self.kernels += times * other.kernels
        self.read += times * other.read
        self.written += times * other.written
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + times * count
        self.float64 = max(self.float64, other.float64)


def traffic(text: str, *, rare: bool = False) -> Traffic:
    """Of a compiled program's `as_text()`, without its rare branches or with them."""
    computations, entry = _parse(text)
    return _Counter(computations, rare=rare).of(entry)


def size_of(type_text: str) -> int:
    """Bytes of a type in main memory with padding; for a tuple, of all its parts."""
    total = 0
    for dtype, dims, layout in _ARRAY.findall(type_text):
        if "S(1)" in layout or dtype not in BYTES:
            continue
        total += BYTES[dtype] * _padded([int(d) for d in dims.split(",") if d], layout)
    return total


def _padded(shape: list[int], layout: str) -> int:
    order, _, rest = layout.partition(":")
    tile = re.match(r"T\(([\d,]+)\)", rest)
    if tile and order:
        sizes = [int(t) for t in tile.group(1).split(",")]
        for axis, t in zip(map(int, order.split(",")), reversed(sizes), strict=False):
            shape[axis] = -(-shape[axis] // t) * t
    return math.prod(shape)


def _parse(text: str) -> tuple[dict[str, list[Instruction]], str]:
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = computations.setdefault(head.group(2), [])
            entry = head.group(2) if head.group(1) else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _LINE.match(line)):
            current.append(_instruction(*found.groups()))
    return computations, entry


def _instruction(root: str | None, name: str, rest: str) -> Instruction:
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    kind, after = rest[:end], rest[end:].lstrip()
    opening = after.index("(")
    closing = _closing(after, opening)
    inside = after[opening + 1 : closing]
    operands = re.findall(r"%([\w.\-]+)", inside) or [inside] * bool(inside)
    return Instruction(
        name, kind, after[:opening], operands, after[closing + 1 :], bool(root)
    )


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    raise ValueError(f"expected a closing bracket in {text[:80]}, got none")


class _Counter:
    def __init__(self, computations: dict[str, list[Instruction]], *, rare: bool):
        self.computations = computations
        self.rare = rare

    def of(self, name: str) -> Traffic:
        """All kernels of a computation."""
        total, body = Traffic(), self.computations[name]
        types = {i.name: i.type for i in body}
        for i in body:
            if i.opcode in _FREE or i.opcode.endswith("-done"):
                continue
            called = _CALLED.search(i.attributes)
            if i.opcode == "while":
                trips = re.search(r'known_trip_count":\{"n":"(\d+)"', i.attributes)
                total.add(self.of(called.group(1)), int(trips.group(1)) if trips else 1)  # type: ignore
                total.kinds["loop"] = total.kinds.get("loop", 0) + 1
            elif i.opcode == "conditional":
                branches = self._branches(i)
                if not self.rare:
                    branches = [b for b in branches if not self._is_rare(b)] or branches
                total.add(max(map(self.of, branches), key=lambda t: t.read + t.written))
                total.kinds["conditional"] = total.kinds.get("conditional", 0) + 1
            elif i.opcode in ("call", "async-start") and called:
                total.add(self.of(called.group(1)))
            else:
                total.add(self._kernel(i, types))
        return total

    def _branches(self, i: Instruction) -> list[str]:
        found = re.search(r"branch_computations=\{([^}]*)\}", i.attributes)
        if found:
            return re.findall(r"%?([\w.\-]+)", found.group(1))
        return re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", i.attributes)

    def _is_rare(self, name: str) -> bool:
        """Whether a branch holds anything that physcon computes rarely."""
        return any("/rarely/" in i.attributes for i in self.computations[name])

    def _kernel(self, i: Instruction, types: dict[str, str]) -> Traffic:
        written = size_of(i.type)
        if i.opcode == "fusion":
            inner = _CALLED.search(i.attributes).group(1)  # type: ignore[union-attr]
            read = sum(
                self._read(inner, k, size_of(types[o]))
                for k, o in enumerate(i.operands)
            )
            written = self._written(inner, written)
        elif i.opcode in _SLICES:
            read = written
        elif i.opcode == "dynamic-update-slice":
            read = written = size_of(types[i.operands[1]])
        elif i.opcode == "copy-start":
            read = size_of(types[i.operands[0]])
            written -= read  # the type holds the source as well
        else:
            read = sum(size_of(types.get(o, "")) for o in i.operands)
        target = re.search(r'custom_call_target="([^"]*)"', i.attributes)
        kind = target.group(1) if target else i.opcode
        wide = max(
            (size_of(a) for a in re.findall(r"f64\[[\d,]*\]", i.type)), default=0
        )
        return Traffic(1, read, written, wide, {kind: 1})

    def _read(self, computation: str, index: int, whole: int) -> int:
        """Bytes that a fused computation reads of its parameter `index`."""
        body = self.computations[computation]
        own = [str(index)]
        parameter = next(
            i for i in body if i.opcode == "parameter" and i.operands == own
        )
        return math.ceil(whole * self._shares(computation)[parameter.name])

    def _shares(self, computation: str) -> dict[str, float]:
        """The share of each array of a fused computation that its results need.

        A slice needs a part of its operand, and so does what the operand was computed
        from, point by point.
        """
        body = self.computations[computation]
        sizes = {i.name: max(size_of(i.type), 1) for i in body}
        shares = {i.name: float(i.is_root) for i in body}
        for user in reversed(body):
            for k, name in enumerate(user.operands):
                if name not in shares or user.opcode in ("parameter", "constant"):
                    continue
                need = self._need(user, k, shares[user.name], sizes)
                shares[name] = min(1.0, shares[name] + need)
        return shares

    def _need(
        self, user: Instruction, k: int, share: float, sizes: dict[str, int]
    ) -> float:
        """The share of operand `k` that a share of an instruction needs."""
        if user.opcode in _SLICES and k == 0:
            return share * sizes[user.name] / sizes[user.operands[0]]
        if user.opcode == "dynamic-update-slice" and k == 0:
            return 0.0  # what is not updated stays where it is
        if user.opcode == "fusion":
            inner = _CALLED.search(user.attributes).group(1)  # type: ignore[union-attr]
            found = self._read(inner, k, sizes[user.operands[k]])
            return share * found / sizes[user.operands[k]]
        return share

    def _written(self, computation: str, whole: int) -> int:
        """Bytes written: of an array updated in place, the update."""
        body = {i.name: i for i in self.computations[computation]}
        root = next(i for i in body.values() if i.is_root)
        roots = [body[o] for o in root.operands] if root.opcode == "tuple" else [root]
        for r in roots:
            while r.opcode == "bitcast":
                r = body[r.operands[0]]
            if r.opcode == "dynamic-update-slice":
                whole += size_of(body[r.operands[1]].type) - size_of(r.type)
        return whole
