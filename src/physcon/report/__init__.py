"""Tables and figures of a study, made from plain arrays."""

from physcon.report.boundary import BoundaryRow, boundary_table, write_boundary_tables
from physcon.report.boundary_figures import (
    comparison_figure,
    error_figure,
    loss_figure,
    wall_figure,
)
from physcon.report.fields import fields_animation, fields_figure
from physcon.report.figures import (
    mass_figure,
    profile_figure,
    resolutions_figure,
    shock_figure,
    training_figure,
)
from physcon.report.maps import Map, maps_figure
from physcon.report.meshes import plot_cells, plot_fluxes, plot_patches
from physcon.report.rows import rows_text, write_rows
from physcon.report.tables import Row, summarize, table_text, write_csv, write_tables

__all__ = [
    "BoundaryRow",
    "Map",
    "Row",
    "boundary_table",
    "comparison_figure",
    "error_figure",
    "fields_animation",
    "fields_figure",
    "loss_figure",
    "maps_figure",
    "mass_figure",
    "plot_cells",
    "plot_fluxes",
    "plot_patches",
    "profile_figure",
    "resolutions_figure",
    "rows_text",
    "shock_figure",
    "summarize",
    "table_text",
    "training_figure",
    "wall_figure",
    "write_boundary_tables",
    "write_csv",
    "write_rows",
    "write_tables",
]
