"""Published studies, one module each: data, model, constraint, scores, figures."""

from physcon.studies.config import PRESETS as PRESETS
from physcon.studies.config import StudyConfig as StudyConfig
