"""Published studies, one package each: data, model, constraint, scores, figures."""

from physcon.studies.probconserv.settings import PRESETS, StudyConfig

__all__ = [
    "PRESETS",
    "StudyConfig",
]
