"""Constrained predictors as one file each, run without the code that made them."""

from physcon.serving._export import export as export
from physcon.serving._export import host_callbacks as host_callbacks
from physcon.serving.artifact import Artifact as Artifact
from physcon.serving.artifact import compile_cache as compile_cache
from physcon.serving.artifact import load_exported as load_exported
