"use strict";
// Draws the maps and charts of a report from the numbers in the page.
const viewers = JSON.parse(document.getElementById("numbers").textContent);
const SVG = "http://www.w3.org/2000/svg";
const WARM = ["#440154", "#482878", "#3e4a89", "#31688e", "#26838e", "#1f9e89",
  "#35b779", "#6dcd59", "#b4de2c", "#fde725"]; // viridis
const BOTH = ["#2d004b", "#542788", "#8073ac", "#b2abd2", "#d8daeb", "#f7f7f7",
  "#fee0b6", "#fdb863", "#e08214", "#b35806", "#7f3b08"]; // purple to orange
const MISSING = [160, 160, 160];
const DASHES = ["", "", "6 4", "2 3", "8 3 2 3", "4 2"];

function colours(anchors) {
  const rgb = anchors.map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
  return Array.from({ length: 256 }, (_, level) => {
    if (level === 255) return MISSING;
    const at = (level / 254) * (rgb.length - 1);
    const k = Math.min(Math.floor(at), rgb.length - 2);
    return rgb[k].map((c, j) => Math.round(c + (at - k) * (rgb[k + 1][j] - c)));
  });
}
const SCALES = [colours(WARM), colours(BOTH)];

function make(tag, parent, attributes = {}, text = "") {
  const svg = ["svg", "path", "line", "text", "g"].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function show(value) {
  if (value === null || !Number.isFinite(value)) return "no value";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(5)));
}

function paint(canvas, levels, scale) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let k = 0; k < levels.length; k++) {
    const [r, g, b] = scale[levels[k]];
    image.data.set([r, g, b, 255], 4 * k);
  }
  context.putImageData(image, 0, 0);
}

function unpack(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

// --- maps -------------------------------------------------------------------------
function drawMaps(maps, section) {
  const [ny, nx] = [maps.rows.length, maps.columns.length];
  const pointer = section.querySelector(".pointer");
  const units = maps.units ? " " + maps.units : "";
  const drawn = maps.panels.map((panel) => {
    const levels = unpack(panel.bytes);
    const scale = SCALES[panel.centred ? 1 : 0];
    const figure = make("figure", section.querySelector(".maps"));
    make("figcaption", figure, {}, panel.title + (units ? ` (${maps.units})` : ""));
    const canvas = make("canvas", figure, { width: nx, height: ny, role: "img" });
    canvas.style.aspectRatio = String(Math.min(3, Math.max(0.7, nx / ny)));
    const bar = make("canvas", figure, { class: "scale", width: 255, height: 1, "aria-hidden": "true" });
    paint(bar, Uint8Array.from({ length: 255 }, (_, k) => k), scale);
    const ends = make("div", figure, { class: "ends" });
    const [low, high] = panel.limits;
    for (const value of [low, (low + high) / 2, high]) make("span", ends, {}, show(value));
    const value = (level) => (level === 255 ? null : low + ((high - low) * level) / 254);
    const about = (level) => (level === 0 ? "at most " : level === 254 ? "at least " : "about ");
    const draw = (frame, place) => {
      const part = levels.subarray(frame * ny * nx, (frame + 1) * ny * nx);
      paint(canvas, part, scale);
      const kept = part.filter((v) => v !== 255);
      let sum = 0;
      kept.forEach((v) => { sum += v; });
      const mean = kept.length ? show(value(sum / kept.length)) + units : "no value";
      canvas.setAttribute("aria-label", `Map of ${panel.title}${place}: mean of the pixels ${mean}, ` +
        `colours from ${show(low)} to ${show(high)}${units}`);
      canvas.onpointermove = (event) => {
        const box = canvas.getBoundingClientRect();
        const i = Math.min(ny - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * ny)));
        const j = Math.min(nx - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * nx)));
        const level = part[i * nx + j];
        const number = level === 255 ? "no value" : about(level) + show(value(level)) + units;
        pointer.textContent = `${panel.title}, ${maps.axes[0]} ${show(maps.rows[i])}, ` +
          `${maps.axes[1]} ${show(maps.columns[j])}: ${number}`;
      };
    };
    return draw;
  });
  return (frame, place) => drawn.forEach((draw) => draw(frame, place));
}

// --- charts -----------------------------------------------------------------------
function ticks(low, high, most) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

function logTicks(low, high) {
  const [a, b] = [Math.ceil(low - 1e-9), Math.floor(high + 1e-9)];
  const step = Math.max(1, Math.ceil((b - a) / 6));
  const found = [];
  for (let k = a; k <= b; k += step) found.push(k);
  return found;
}

function range(values, log) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (v === null) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (low > high) return [0, 1];
  if (low === high) {
    const margin = log ? 0.5 : Math.abs(low) * 0.05 || 0.5;
    return [low - margin, high + margin];
  }
  return [low, high];
}

function wider([low, high]) {
  const margin = 0.05 * (high - low);
  return [low - margin, high + margin];
}

// Dates without hours, where the axis is longer than a few days.
function shortDates(texts) {
  const days = texts.map((text) => (/^\d{4,}-\d\d-\d\d/.exec(text) || [null])[0]);
  return days.includes(null) || new Set(days).size < texts.length ? texts : days;
}

function drawChart(chart, parent) {
  const [width, height, left, right, top, bottom] = [460, 270, 74, 16, 10, 46];
  const figure = make("figure", parent);
  make("figcaption", figure, {}, chart.title);
  const svg = make("svg", figure, { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const label = make("title", svg);
  const legend = make("ul", figure, { class: "legend" });
  if (chart.curves.length > 1) chart.curves.forEach((curve, k) => {
    const item = make("li", legend);
    const key = make("svg", item, { viewBox: "0 0 28 10", "aria-hidden": "true" });
    make("path", key, { d: "M1 5H27", class: `c${k % 6}`, fill: "none", "stroke-width": 2, "stroke-dasharray": DASHES[k % 6] });
    item.append(curve.name);
  });
  const scaled = (v) => (v === null ? null : chart.log ? (v > 0 ? Math.log10(v) : null) : v);
  const all = chart.curves.map((c) => c.values.flat(3).map(scaled));
  const value = wider(range(all.flat(), chart.log));
  const along = range(chart.x, false);
  const [across, up] = chart.upright ? [value, along] : [along, value];
  const px = (v) => left + ((v - across[0]) / (across[1] - across[0])) * (width - left - right);
  const share = (v) => (v - up[0]) / (up[1] - up[0]);
  const down = chart.upright && chart.downward;
  const py = (v) => (down ? top + share(v) * (height - top - bottom) : height - bottom - share(v) * (height - top - bottom));
  const valueTicks = chart.log ? logTicks(...value) : ticks(...value, chart.upright ? 4 : 5);
  const valueText = (v) => (chart.log ? `1e${v}` : show(v));
  const alongTicks = ticks(...along, chart.upright ? 7 : chart.texts.length ? 3 : 6);
  const texts = shortDates(chart.texts);
  const alongText = (v) => {
    if (!chart.texts.length) return show(v);
    let best = 0;
    chart.x.forEach((x, k) => { if (Math.abs(x - v) < Math.abs(chart.x[best] - v)) best = k; });
    return texts[best];
  };
  const [xTicks, xText] = chart.upright ? [valueTicks, valueText] : [alongTicks, alongText];
  const [yTicks, yText] = chart.upright ? [alongTicks, alongText] : [valueTicks, valueText];
  for (const v of xTicks) {
    make("line", svg, { class: "grid", x1: px(v), x2: px(v), y1: top, y2: height - bottom });
    make("text", svg, { x: px(v), y: height - bottom + 16, "text-anchor": "middle" }, xText(v));
  }
  for (const v of yTicks) {
    make("line", svg, { class: "grid", x1: left, x2: width - right, y1: py(v), y2: py(v) });
    make("text", svg, { x: left - 5, y: py(v) + 4, "text-anchor": "end" }, yText(v));
  }
  const [xLabel, yLabel] = chart.upright ? [chart.yLabel, chart.xLabel] : [chart.xLabel, chart.yLabel];
  make("text", svg, { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xLabel);
  make("text", svg, { x: 0, y: 0, transform: `translate(12 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel);
  const paths = chart.curves.map((_, k) => make("path", svg, { class: `c${k % 6}`, "stroke-dasharray": DASHES[k % 6] }));
  return (at, place) => {
    const ends = [];
    chart.curves.forEach((curve, k) => {
      let values = curve.values;
      for (let d = 0; d < curve.moves - 1; d++) values = values[at[d]];
      let pen = false;
      let d = "";
      values.forEach((v, i) => {
        const s = scaled(v);
        if (s === null || chart.x[i] === null) { pen = false; return; }
        const [x, y] = chart.upright ? [px(s), py(chart.x[i])] : [px(chart.x[i]), py(s)];
        d += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        if (values.length === 1) d += "h4";
        pen = true;
      });
      paths[k].setAttribute("d", d);
      const kept = values.filter((v) => v !== null);
      const [low, high] = range(kept, false);
      ends.push(kept.length ? `${curve.name} from ${show(low)} to ${show(high)}` : `${curve.name} without values`);
    });
    label.textContent = `${chart.title}${place}: ${ends.join("; ")}`;
  };
}

// --- sliders ----------------------------------------------------------------------
// The address may choose a position: report.html#v0=3 or #v0=3,1
function start(viewer, number) {
  const section = document.getElementById(`v${number}`);
  const draws = [];
  const frameOf = (at) => at.reduce((frame, k, d) => frame * viewer.sliders[d].labels.length + k, 0);
  if (viewer.maps) {
    const draw = drawMaps(viewer.maps, section);
    draws.push((at, place) => draw(frameOf(at), place));
  }
  for (const chart of viewer.charts) draws.push(drawChart(chart, section.querySelector(".charts")));
  const inputs = viewer.sliders.map((_, k) => document.getElementById(`v${number}s${k}`));
  const update = () => {
    const at = inputs.map((input) => Number(input.value));
    const place = viewer.sliders.map((s, k) => `, ${s.name} ${s.labels[at[k]]}`).join("");
    inputs.forEach((input, k) => {
      const text = viewer.sliders[k].labels[at[k]];
      input.nextElementSibling.textContent = text;
      input.setAttribute("aria-valuetext", text);
    });
    draws.forEach((draw) => draw(at, place));
  };
  const asked = new RegExp(`[#&]v${number}=([0-9,]+)`).exec(location.hash);
  if (asked) asked[1].split(",").forEach((k, d) => { if (inputs[d]) inputs[d].value = k; });
  inputs.forEach((input) => input.addEventListener("input", update));
  update();
}

viewers.forEach(start);
document.documentElement.dataset.drawn = String(viewers.length);
