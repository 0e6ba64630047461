"""Packed numbers and missing values, by the conventions of NetCDF.

A file may store a field as integers with ``scale_factor`` and ``add_offset``, and mark
missing values by ``_FillValue`` or ``missing_value``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

PACKING = ("scale_factor", "add_offset", "_Unsigned")
MISSING = ("_FillValue", "missing_value")
RANGES = ("valid_min", "valid_max", "valid_range", "actual_range")


def is_packed(dtype: np.dtype, attributes: Mapping[str, Any]) -> bool:
    """Whether the stored numbers are not the values themselves."""
    scaled = any(name in attributes for name in PACKING)
    masked = any(name in attributes for name in MISSING)
    return scaled or (masked and dtype.kind in "iu")


def unpack(raw: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Return the values, with NaN where they are missing.

    Plain floating-point numbers keep their type. Packed integers become float64.
    """
    missing = missing_values(raw, attributes)
    packed = is_packed(raw.dtype, attributes)
    if packed:
        if str(_text(attributes.get("_Unsigned", ""))).lower() == "true":
            raw = raw.view(raw.dtype.str.replace("i", "u"))
        kept = raw.dtype.itemsize if raw.dtype.kind == "f" else 8
        raw = raw.astype(np.float32 if kept <= 4 else np.float64)
        raw = raw * _number(attributes, "scale_factor", 1.0)
        raw = raw + _number(attributes, "add_offset", 0.0)
    if missing is not None and missing.any():
        raw = raw if packed else raw.copy()
        raw[missing] = np.nan
    return raw


def missing_values(raw: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray | None:
    """Return where values are marked as missing, or None without such a mark."""
    if raw.dtype.kind not in "iuf":
        return None
    found: np.ndarray | None = None
    for name in MISSING:
        if name not in attributes:
            continue
        for mark in np.ravel(attributes[name]):
            try:
                same = raw == np.asarray(mark).astype(raw.dtype)
            except (TypeError, ValueError):
                continue
            found = same if found is None else found | same
    return found


def marks_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that say how numbers are packed, marked and limited."""
    known = (*PACKING, *MISSING, *RANGES)
    return {name: attributes[name] for name in known if name in attributes}


def fill_mark(attributes: Mapping[str, Any], dtype: np.dtype) -> Any:
    """Return the number to store for a missing value: NaN without any mark."""
    mark = attributes.get("_FillValue", attributes.get("missing_value", np.nan))
    return np.asarray(np.ravel(mark)[0]).astype(dtype)


def _number(attributes: Mapping[str, Any], name: str, default: float) -> float:
    return float(np.ravel(attributes.get(name, default))[0])


def _text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value
