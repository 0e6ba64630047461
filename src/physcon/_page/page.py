"""The page: headings, tables and pictures in HTML, numbers for its script in JSON."""

import base64
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from physcon._files import write_text
from physcon._page.figures import Viewer
from physcon._require import require

MOST_BYTES = 5_000_000
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)


class Page:
    """A page that is written in one file; sections appear in the order they are added.

    Args:
        title: title of the page.
        lead: sentences under the title.
    """

    def __init__(self, title: str, lead: Sequence[str] = ()) -> None:
        self._title = title
        self._sections: list[str] = []
        self._viewers: list[dict[str, Any]] = []
        self._lead = "".join(f"<p>{_text(line)}</p>" for line in lead)

    def heading(self, title: str, lead: str = "") -> None:
        """Add a heading, and a sentence under it."""
        under = f"<p>{_text(lead)}</p>" if lead else ""
        self._sections.append(f"<h2>{_text(title)}</h2>{under}")

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._sections.append(f"<p>{_text(text)}</p>")

    def table(
        self,
        caption: str,
        head: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        folded: bool = False,
    ) -> None:
        """Add a table; the first cell of a row is its heading.

        Args:
            caption: what the table shows.
            head: the heads of the columns.
            rows: numbers and texts.
            folded: show the caption only, until the reader asks for the table.
        """
        heads = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in head)
        lines = "".join(_row(row) for row in rows)
        body = f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody>"
        label = html.escape(caption, quote=True)
        scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        if folded:
            table = f"<table>{body}</table>"
            title = f"<summary>{_text(caption)}</summary>"
            whole = f"<details>{title}{scroll}{table}</div></details>"
        else:
            title = f"<caption>{_text(caption)}</caption>"
            whole = f"{scroll}<table>{title}{body}</table></div>"
        self._sections.append(whole)

    def preformatted(self, text: str) -> None:
        """Add text whose columns are aligned by spaces."""
        self._sections.append(f'<pre tabindex="0">{html.escape(text)}</pre>')

    def picture(self, image: bytes, kind: str, description: str) -> None:
        """Add a picture.

        Args:
            image: content of a PNG or GIF file.
            kind: ``"png"`` or ``"gif"``.
            description: what the picture shows, for readers who can't see it as well.
        """
        content = base64.b64encode(image).decode("ascii")
        label = html.escape(description, quote=True)
        source = f"data:image/{kind};base64,{content}"
        self._sections.append(
            f'<figure><img src="{source}" alt="{label}">'
            f"<figcaption>{_text(description)}</figcaption></figure>"
        )

    def viewer(self, viewer: Viewer) -> None:
        """Add maps and charts with sliders."""
        number = len(self._viewers)
        self._viewers.append(viewer.to_dict())
        self._sections.append(_viewer_html(viewer, number))

    def html(self) -> str:
        """Return the whole page."""
        data = json.dumps(self._viewers, separators=(",", ":"), allow_nan=False)
        data = data.replace("<", "\\u003c")
        own = files("physcon._page")
        style = own.joinpath("page.css").read_text("utf-8")
        script = own.joinpath("page.js").read_text("utf-8")
        title = _text(self._title)
        missing = "Maps and charts need JavaScript; the tables hold the same results."
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
            f"<main>\n<h1>{title}</h1>\n{self._lead}\n"
            f"<noscript><p>{missing}</p></noscript>\n"
            + "\n".join(self._sections)
            + '\n</main>\n<script type="application/json" id="numbers">'
            + f"{data}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page, completely or not at all.

        Raises:
            ValueError: the page would be larger than 5 MB.
        """
        content = self.html()
        size = len(content.encode())
        require(
            size < MOST_BYTES,
            "a page of less than 5 MB",
            f"{size / 1e6:.3g} MB",
            "write the report as .json, or leave out pictures",
        )
        write_text(path, content)


def check_path(path: Path, endings: Sequence[str] = (".html",)) -> None:
    """Refuse the file of a report that can't be written, before any work.

    Raises:
        ValueError: its ending is unknown, or there is no such folder.
    """
    require(
        path.suffix.lower() in endings,
        f"a report that ends with {', '.join(endings)}",
        f"{path.name!r}",
        "choose such a name",
    )
    require(
        path.parent.is_dir(),
        "an existing folder",
        f"{path.parent}",
        "create the folder first",
    )


def _row(row: Sequence[Any]) -> str:
    first, *rest = (_cell(value) for value in row)
    cells = "".join(f"<td>{cell}</td>" for cell in rest)
    return f'<tr><th scope="row">{first}</th>{cells}</tr>'


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return _text(value)


def _text(value: Any) -> str:
    return html.escape(str(value), quote=False)


def _viewer_html(viewer: Viewer, number: int) -> str:
    """Return the empty places of a viewer, which the script of the page fills."""
    name = f"v{number}"
    parts = [f'<section id="{name}" class="viewer"><h3>{_text(viewer.title)}</h3>']
    if viewer.lead:
        parts.append(f"<p>{_text(viewer.lead)}</p>")
    for k, slider in enumerate(viewer.sliders):
        last = len(slider.labels) - 1
        parts.append(
            f'<p class="slider"><label for="{name}s{k}">{_text(slider.name)}</label>'
            f'<input type="range" id="{name}s{k}" min="0" max="{last}" value="0">'
            f'<output for="{name}s{k}">{_text(slider.labels[0])}</output></p>'
        )
    if viewer.maps is not None:
        parts.append('<div class="maps"></div>')
        parts.append('<p class="pointer" aria-live="off">&nbsp;</p>')
        if viewer.maps.note:
            parts.append(f'<p class="note">{_text(viewer.maps.note)}</p>')
    if viewer.charts:
        parts.append('<div class="charts"></div>')
    return "".join([*parts, "</section>"])
