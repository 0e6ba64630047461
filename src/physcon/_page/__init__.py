"""One self-contained HTML page of tables, curves and maps, for any report.

The page has no links to other files and asks for nothing from the network. Its script
draws curves and maps from numbers in the page, so that sliders can choose the time.
"""

from physcon._page.figures import Curve, Lines, Maps, Panel, Slider, Viewer
from physcon._page.page import Page, check_path

__all__ = ["Curve", "Lines", "Maps", "Page", "Panel", "Slider", "Viewer", "check_path"]
