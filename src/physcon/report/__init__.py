"""Tables and figures of a study, from plain arrays."""

from physcon.report.boundary import BoundaryRow as BoundaryRow
from physcon.report.boundary import boundary_table as boundary_table
from physcon.report.boundary import write_boundary_tables as write_boundary_tables
from physcon.report.boundary_figures import comparison_figure as comparison_figure
from physcon.report.boundary_figures import error_figure as error_figure
from physcon.report.boundary_figures import loss_figure as loss_figure
from physcon.report.boundary_figures import wall_figure as wall_figure
from physcon.report.fields import fields_animation as fields_animation
from physcon.report.fields import fields_figure as fields_figure
from physcon.report.figures import mass_figure as mass_figure
from physcon.report.figures import profile_figure as profile_figure
from physcon.report.figures import resolutions_figure as resolutions_figure
from physcon.report.figures import shock_figure as shock_figure
from physcon.report.figures import training_figure as training_figure
from physcon.report.rows import rows_text as rows_text
from physcon.report.rows import write_rows as write_rows
from physcon.report.tables import Row as Row
from physcon.report.tables import summarize as summarize
from physcon.report.tables import table_text as table_text
from physcon.report.tables import write_csv as write_csv
from physcon.report.tables import write_tables as write_tables
