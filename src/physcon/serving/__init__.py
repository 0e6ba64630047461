"""Constrained predictors as one file each, run without the code that made them."""

from physcon._arguments import name_wrong_arguments
from physcon.serving._export import export, host_callbacks
from physcon.serving.artifact import Artifact, compile_cache, load_exported

__all__ = [
    "Artifact",
    "compile_cache",
    "export",
    "host_callbacks",
    "load_exported",
]

name_wrong_arguments(globals())
