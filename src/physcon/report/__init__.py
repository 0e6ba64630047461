"""Tables and figures of a study, from plain arrays."""

from physcon.report.fields import fields_animation as fields_animation
from physcon.report.fields import fields_figure as fields_figure
from physcon.report.figures import mass_figure as mass_figure
from physcon.report.figures import profile_figure as profile_figure
from physcon.report.figures import shock_figure as shock_figure
from physcon.report.figures import training_figure as training_figure
from physcon.report.tables import Row as Row
from physcon.report.tables import summarize as summarize
from physcon.report.tables import table_text as table_text
from physcon.report.tables import write_tables as write_tables
