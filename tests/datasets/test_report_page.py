"""The page of a report: its numbers, its structure, and how a browser draws it."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from physcon._page import Curve, Lines, Page, Viewer
from physcon._page.pack import coarsened, limits, packed
from physcon.cli import main
from physcon.datasets import _work

LAW = "laws: [{mean: {of: tos, equals: 15}}, {between: {of: tos, lower: 0}}]"
LAT = np.linspace(-80, 80, 9)
VOID = {"meta", "input", "img", "br", "link"}


def run(*arguments):
    main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A file of three months on a globe with land, its correction, and the reports."""
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(3)
    tos = (rng.normal(15, 5, (3, 9, 12)) + 2.0 * np.arange(3)[:, None, None]).clip(1)
    tos[:, 3:5, 2:4] = np.nan
    attributes = {"units": "degC", "long_name": "sea <surface> temperature"}
    data = xr.Dataset(
        {"tos": (("time", "lat", "lon"), tos.astype("f4"), attributes)},
        {
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", np.arange(12) * 30.0, {"units": "degrees_east"}),
            "time": ("time", [0.0, 31.0, 59.0], {"units": "days since 2001-01-01"}),
        },
    )
    data.to_netcdf(folder / "in.nc", engine="h5netcdf")
    command = ["constrain", folder / "in.nc", LAW, "--spread", "2", "--force"]
    command += ["-o", folder / "out.nc", "--report"]
    for ending in ("json", "txt"):
        run(*command, folder / f"report.{ending}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_work, "VALUES_AT_ONCE", 108)  # time by time
        run(*command, folder / "report.html")
    return folder


class Structure(HTMLParser):
    """Collects tags, and checks that they are nested."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_page_is_whole_and_accessible(example):
    text = (example / "report.html").read_text()
    assert len(text.encode()) < 200_000
    found = Structure(text)
    assert found.all("html") == [{"lang": "en"}]
    assert [tag for tag, _ in found.tags].count("h1") == 1
    assert not found.all("link")
    assert not [a for tag in ("script", "img") for a in found.all(tag) if "src" in a]
    policy = next(a["content"] for a in found.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    labels = {a["for"] for a in found.all("label")}
    assert {a["id"] for a in found.all("input")} == labels != set()
    assert len(found.all("caption")) + len(found.all("summary")) == len(
        found.all("table")
    )
    assert all(a.get("scope") in ("row", "col") for a in found.all("th"))
    assert "sea &lt;surface&gt; temperature" in text
    assert "Laws: mean of tos equals 15; tos is at least 0." in text


def test_the_numbers_of_a_page_are_those_of_the_files(example):
    text = (example / "report.html").read_text()
    viewers = json.loads(re.search(r'id="numbers">(.*?)</script>', text)[1])
    laws, tos = viewers
    with xr.open_dataset(example / "in.nc", engine="h5netcdf") as data:
        before = data.tos.values.astype(np.float64)
    with xr.open_dataset(example / "out.nc", engine="h5netcdf") as data:
        after = data.tos.values.astype(np.float64)
    (slider,) = tos["sliders"]
    assert slider == {
        "name": "time",
        "labels": ["2001-01-01", "2001-02-01", "2001-03-01"],
    }
    assert tos["maps"]["rows"] == LAT[::-1].tolist()  # north is at the top
    for panel, field in zip(
        tos["maps"]["panels"], (before, after, after - before), strict=True
    ):
        low, high = panel["limits"]
        levels = np.frombuffer(base64.b64decode(panel["bytes"]), np.uint8)
        levels = levels.reshape(3, 9, 12)[:, ::-1]
        np.testing.assert_array_equal(levels == 255, np.isnan(field))
        shown = np.where(levels == 255, np.nan, low + (high - low) * levels / 254.0)
        width = (high - low) / 254 * 0.51
        np.testing.assert_allclose(shown, field.clip(low, high), rtol=0, atol=width)
        assert np.mean((field > high) | (field < low)) < 0.03
    profile = tos["charts"][0]
    assert profile["x"] == LAT.tolist()
    for curve, field in zip(profile["curves"], (before, after), strict=True):
        np.testing.assert_allclose(curve["values"], np.nanmean(field, -1), rtol=1e-4)
    sides = laws["charts"][0]
    curves = {c["name"]: c["values"] for c in sides["curves"]}
    edges = np.sin(np.deg2rad([-90, *np.arange(-70, 71, 20), 90]))
    area = np.where(np.isnan(before), 0.0, np.diff(edges)[:, None])
    mean = (np.nan_to_num(before) * area).sum((1, 2)) / area.sum((1, 2))
    np.testing.assert_allclose(curves["before"], mean, rtol=1e-4)
    np.testing.assert_allclose(curves["after"], 15, rtol=1e-5)
    assert curves["required"] == [15, 15, 15]


def test_reports_per_variable_and_time(example):
    """Blocks of one time, in the page, and all at once, in the JSON, agree."""
    report = json.loads((example / "report.json").read_text())
    with xr.open_dataset(example / "in.nc", engine="h5netcdf") as data:
        before = data.tos.values.astype(np.float64)
    with xr.open_dataset(example / "out.nc", engine="h5netcdf") as data:
        after = data.tos.values.astype(np.float64)
    change = np.nan_to_num(np.abs(after - before))
    (variable,) = report["variables"]
    assert variable["points"] == np.isfinite(before).sum()
    norm = np.sqrt((change**2).sum((1, 2)))
    times = variable["times"]["values"]
    np.testing.assert_allclose(times["norm"], norm, rtol=1e-6)
    np.testing.assert_allclose(times["chi_squared"], norm**2 / 4, rtol=1e-6)
    np.testing.assert_allclose(times["largest_in_std"], change.max((1, 2)) / 2)
    largest = variable["cells"][0]
    assert abs(largest["after"] - largest["before"]) == pytest.approx(
        change.max(), rel=1e-6
    )
    where = (LAT.tolist().index(largest["place"]["lat"]), int(largest["place"]["lon"]))
    month = ["2001-01-01", "2001-02-01", "2001-03-01"].index(largest["place"]["time"])
    assert largest["before"] == before[month, where[0], where[1] // 30]
    assert [c["in_std"] for c in variable["cells"]] == sorted(
        (c["in_std"] for c in variable["cells"]), reverse=True
    )
    text = (example / "report.html").read_text()
    for number in (variable["norm"], variable["chi_squared"], norm[1]):
        assert f"<td>{number:.4g}</td>" in text
    assert "mean of tos" in (example / "report.txt").read_text()


def test_reports_that_can_not_be_written_are_refused_first(example, tmp_path):
    for report, message in (("a.pdf", ".html, .json"), ("no/a.html", "folder")):
        with pytest.raises(SystemExit, match=message):
            run(
                *("constrain", example / "in.nc", LAW, "--spread", "2"),
                *("-o", tmp_path / "b.nc", "--report", tmp_path / report),
            )
    assert list(tmp_path.iterdir()) == []


def test_an_audit_has_a_page_of_its_own(example, tmp_path):
    run("audit", example / "out.nc", LAW, "--report", tmp_path / "audit.html")
    text = (tmp_path / "audit.html").read_text()
    Structure(text)
    viewers = json.loads(re.search(r'id="numbers">(.*?)</script>', text)[1])
    assert [p["title"] for p in viewers[1]["maps"]["panels"]] == ["values"]
    assert "Nothing was changed" in text


def test_pixels_are_means_of_the_cells_with_a_value():
    field = np.arange(12.0).reshape(3, 4)
    field[0, 0] = np.nan
    found = coarsened(field, (2, 3))
    np.testing.assert_allclose(found, [[3.6, 5.0], [9.0, 11.0]])
    assert base64.b64decode(packed(np.array([0.0, 1.0, np.nan]), 0.0, 1.0)) == bytes(
        [0, 254, 255]
    )
    assert limits(np.full(3, 2.0), centred=False) == (1.0, 3.0)
    assert limits(np.array([np.nan]), centred=True) == (-1.0, 1.0)


def test_a_page_that_would_be_too_large_is_refused(tmp_path):
    page = Page("large")
    page.preformatted("x" * 5_000_000)
    with pytest.raises(ValueError, match="less than 5 MB"):
        page.write(tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def browser():
    """A headless browser of the Chromium family, if one is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def drawn(address):
    """The page after its script has run, and what the browser wrote to its log."""
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run([*command, address], capture_output=True, timeout=120)
    log = [x for x in done.stderr.decode().splitlines() if "CONSOLE" in x]
    return done.stdout.decode(), log


@pytest.mark.skipif(browser() is None, reason="no chromium or chrome is installed")
def test_a_browser_draws_maps_and_charts(example):
    """The address chooses the second month, as the slider does."""
    text, log = drawn(f"{(example / 'report.html').as_uri()}#v1=1")
    assert log == []
    assert 'data-drawn="2"' in text
    labels = re.findall(r'<canvas[^>]*role="img"[^>]*aria-label="([^"]*)"', text)
    assert [label.partition(",")[0] for label in labels] == [
        "Map of before",
        "Map of after",
        "Map of correction (after minus before)",
    ]
    assert all("time 2001-02-01" in label for label in labels)
    with xr.open_dataset(example / "in.nc", engine="h5netcdf") as data:
        field = data.tos.values[1].astype(np.float64)
    shown = float(re.search(r"mean of the pixels ([\d.]+) degC", labels[0])[1])
    assert shown == pytest.approx(np.nanmean(field), rel=0.01)
    titles = re.findall(r"<title>([^<]*)</title>", text)
    profile = next(t for t in titles if t.startswith("tos along lat"))
    ends = np.nanmean(field, -1)
    found = re.search(r"before from ([\d.]+) to ([\d.]+)", profile)
    assert float(found[1]) == pytest.approx(ends.min(), rel=1e-3)
    assert float(found[2]) == pytest.approx(ends.max(), rel=1e-3)
    assert len(re.findall(r'<path class="c\d"[^>]* d="M[\d.]+ [\d.]+L', text)) >= 6


@pytest.mark.skipif(browser() is None, reason="no chromium or chrome is installed")
def test_a_browser_draws_values_that_are_missing_or_equal(tmp_path):
    page = Page("odd values")
    x = np.arange(3.0)
    curves = [Curve("constant", np.ones(3)), Curve("none", np.full(3, np.nan))]
    curves += [Curve("gap", np.array([1.0, np.nan, 3.0]))]
    page.viewer(Viewer("a", charts=[Lines("odd", x, "x", "y", curves)]))
    one = [Curve("zero", np.zeros(1))]
    page.viewer(Viewer("b", charts=[Lines("one", x[:1], "x", "y", one, log=True)]))
    page.write(tmp_path / "a.html")
    text, log = drawn((tmp_path / "a.html").as_uri())
    assert log == []
    assert 'data-drawn="2"' in text
    assert "none without values" in text
    assert "NaN" not in text.partition("<script")[0]
