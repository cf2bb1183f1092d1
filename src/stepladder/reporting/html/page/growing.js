// Curves of the runs under way, a small chart for each rung: they grow by the epochs that the climb tells of.

"use strict";

const WIDE = 360;
const HIGH = 180;
const PLOT = { x: 34, y: 8, width: 316, height: 148 };
const SETTLED = 0.25; // as in charts.py: the first quarter of the epochs would squeeze all others together
const N_HUES = 6; // as there, var(--series-1) and so on; with more seeds, dashes tell them apart
const DASHES = ["none", "6 3", "2 2", "8 3 2 3"];
const MEAN = { style: "--hue: var(--ink-2)", "stroke-width": 1, opacity: 0.7 };

function shape(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The least of 1, 2, 5, 10, 20, ... and their tenths that divides a span into no more than so many parts. */
function niceStep(span, most) {
  const power = 10 ** Math.floor(Math.log10(span / most));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => span / step <= most + 1e-9);
}

/** The accuracies that a chart shows, between whole steps so that it seldom moves: [low, high, step]. */
function accuracies(curves) {
  const settled = curves.flatMap(({ points }) => {
    const last = points.at(-1)?.[0] ?? 0;
    return points.filter(([epoch]) => epoch > SETTLED * last || epoch === last).map(([, value]) => value);
  });
  const values = [...settled, curves[0].target];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const step = niceStep(Math.max(high - low, 0.1), 4);
  const top = Math.min(100, Math.ceil(high / step + 0.2) * step);
  return [Math.max(0, Math.min(Math.floor(low / step) * step, top - step)), top, step];
}

/** What the page's own chart of all rungs shows: the mean over finished seeds, points by rung. */
function finishedMeans() {
  const chart = document.querySelector("#curves [data-chart]");
  const means = new Map();
  for (const { line, epoch, mean } of chart ? data().charts[chart.dataset.chart].data.values : []) {
    const rung = line.replace(/^\d+\. /, "");
    means.set(rung, [...(means.get(rung) ?? []), [epoch, mean]]);
  }
  return means;
}

class GrowingCurves {
  constructor() {
    this.curves = new Map(); // by number
    this.rungs = new Set(); // in the order in which they were first told of: charts do not change places
    this.means = finishedMeans();
  }

  /** What the climb tells: all runs under way, each with the points that are new. */
  hear(told) {
    for (const curve of this.curves.values()) curve.isOver = true;
    for (const each of told) {
      this.rungs.add(each.rung);
      const known = this.curves.get(each.number)?.points ?? [];
      const last = known.at(-1)?.[0] ?? 0; // an answer may have come twice
      this.curves.set(each.number, { ...each, isOver: false, points: [...known, ...each.points.filter(([epoch]) => epoch > last)] });
    }
  }

  /** The page shows all that is finished: its curves are no longer needed here. */
  forget() {
    for (const [number, { isOver }] of this.curves) if (isOver) this.curves.delete(number);
  }

  says(line) {
    return [...this.curves.values()].some(({ words, isOver }) => words === line && !isOver);
  }

  draw(place) {
    const curves = [...this.curves.values()].sort((one, other) => one.seed - other.seed);
    const charts = [...this.rungs].map((rung) => [rung, curves.filter((each) => each.rung === rung)]);
    place.replaceChildren(...charts.filter(([, of]) => of.length).map(([rung, of]) => (
      growingChart(rung, of, of[0].balanced ? [] : this.means.get(rung) ?? [])
    )));
  }
}

/** A seed keeps its look, whichever others are under way. */
function lookOf({ seed }) {
  const k = seed + N_HUES * DASHES.length - 1; // seeds are usually 1 and on, but 0 is one too
  return {
    style: `--hue: var(--series-${(k % N_HUES) + 1})`,
    "stroke-dasharray": DASHES[Math.floor(k / N_HUES) % DASHES.length],
  };
}

function growingChart(rung, curves, mean) {
  const name = `${rung}: accuracy by epoch of the seeds under way; their last values stand below`;
  return element(
    "figure",
    {},
    element("figcaption", {}, rung),
    shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": name }, ...growingParts(curves, mean)),
    ...curves.map(growingLine),
    ...(mean.length ? [element("p", {}, pieceOfCurve(MEAN), "mean of the finished seeds")] : []),
  );
}

function pieceOfCurve(look) {
  return shape("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, shape("path", { d: "M0 4H26", class: "curve", ...look }));
}

/** Where a run is: a piece of its curve, and the words, whose beginning is the chart's title. */
function growingLine(curve) {
  const { words, seed, isOver } = curve;
  const at = words.lastIndexOf(`seed ${seed}: `);
  const said = isOver ? `seed ${seed}: it trains no more` : words.slice(at);
  const whose = element("span", { class: "said" }, words.slice(0, at));
  return element("p", isOver ? { class: "over" } : {}, pieceOfCurve(lookOf(curve)), whose, said);
}

function growingParts(curves, mean) {
  const [low, high, step] = accuracies(curves);
  const { epochs, target } = curves[0];
  const across = (epoch) => ((epoch - 1) / Math.max(1, epochs - 1)) * PLOT.width;
  const up = (value) => (1 - (value - low) / (high - low)) * PLOT.height;
  const line = (points, look) => shape("polyline", {
    class: "curve",
    points: points.map(([epoch, value]) => `${across(epoch)},${up(value)}`).join(" "),
    ...look,
  });
  const lines = curves.map((curve) => line(curve.points, { ...lookOf(curve), ...(curve.isOver ? { opacity: 0.45 } : {}) }));
  const ends = curves.filter(({ points, isOver }) => !isOver && points.length && points.at(-1)[1] >= low).map((curve) => {
    const [epoch, value] = curve.points.at(-1);
    return shape("circle", { cx: PLOT.x + across(epoch), cy: PLOT.y + up(value), r: 3.5, style: lookOf(curve).style });
  });
  const plot = shape("svg", PLOT, line(mean, MEAN), ...lines); // cut at its edges
  return [...growingGrid(low, high, step, up), plot, ...ends, ...growingTarget(target, up), ...growingEpochs(epochs)];
}

function growingGrid(low, high, step, up) {
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const values = Array.from({ length: Math.floor((high - low) / step + 1e-9) + 1 }, (_, k) => low + k * step);
  return values.flatMap((value) => {
    const y = PLOT.y + up(value);
    const label = shape("text", { x: PLOT.x - 5, y: y + 4, "text-anchor": "end" }, value.toFixed(decimals));
    return [shape("path", { class: "grid", d: `M${PLOT.x} ${y}h${PLOT.width}` }), label];
  });
}

function growingTarget(target, up) {
  const y = PLOT.y + up(target);
  const rule = shape("path", { class: "target", d: `M${PLOT.x} ${y}h${PLOT.width}` });
  return [rule, shape("text", { class: "aim", x: PLOT.x + 4, y: y - 4 }, `target ${target}%`)];
}

function growingEpochs(epochs) {
  const end = { x: PLOT.x + PLOT.width, y: HIGH - 6, "text-anchor": "end" };
  return [shape("text", { x: PLOT.x, y: HIGH - 6 }, "epoch 1"), shape("text", end, String(epochs))];
}
