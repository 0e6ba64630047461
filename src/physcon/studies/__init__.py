"""Published studies, one module each: data, model, constraint, scores, figures."""

from physcon.studies.probconserv.settings import PRESETS as PRESETS
from physcon.studies.probconserv.settings import StudyConfig as StudyConfig
