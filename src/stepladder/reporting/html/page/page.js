// What moves on the page: charts, confusion matrices, filters of the galleries, the theme.

"use strict";

function data() {
  return JSON.parse(document.getElementById("data").textContent);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Charts.

let drawn = [];

/** All charts of the page; those of the page before, if there was one, let go of the window. */
function drawCharts(charts) {
  drawn.forEach((each) => each.finalize());
  drawn = [];
  for (const place of document.querySelectorAll("[data-chart]")) {
    const spec = charts[place.dataset.chart];
    vegaEmbed(place, spec, { actions: false, ast: true, renderer: "svg", tooltip: { theme: "custom" } })
      .then((made) => {
        drawn.push(made);
        place.dataset.drawn = "yes";
        place.style.minHeight = "";
      });
  }
}

// Confusion matrices: seeds[k] holds counts [label, predicted, n] where n > 0, of the final epoch.

function confusionTable(section, record, onPair) {
  const select = section.querySelector("select[data-seeds]"); // only where there is a choice
  const holder = section.querySelector("[data-matrix]");
  const draw = () => {
    const chosen = select?.value ?? "all";
    const shown = chosen === "all" ? record.seeds : record.seeds.filter((each) => String(each.seed) === chosen);
    const counts = Array.from({ length: record.seeds[0].n }, () => new Array(record.seeds[0].n).fill(0));
    for (const { cells } of shown) for (const [label, predicted, n] of cells) counts[label][predicted] += n;
    holder.replaceChildren(matrix(counts, onPair, record.classes));
  };
  select?.addEventListener("change", draw);
  draw();
}

function matrix(counts, onPair, classes) {
  const called = (label) => classes[label] ?? String(label);
  const wrong = Math.max(1, ...counts.flatMap((row, label) => row.filter((_, predicted) => predicted !== label)));
  const head = element("tr", {}, element("td", { class: "corner" }, "label ↓ predicted →"));
  counts.forEach((_, k) => head.append(element("th", { scope: "col" }, element("span", {}, called(k)))));
  const body = counts.map((row, label) => {
    const line = element("tr", {}, element("th", { scope: "row" }, called(label)));
    row.forEach((n, predicted) => line.append(cell(n, [label, predicted], wrong, onPair, called)));
    return line;
  });
  const table = element("table", { class: "confusion" }, element("thead", {}, head), element("tbody", {}, ...body));
  table.classList.toggle("many", counts.length > 20);
  table.classList.toggle("named", classes.length > 0);
  return table;
}

/** Mistakes are shaded by the logarithm of their number: 1 is visible beside 100. */
function cell(n, [label, predicted], most, onPair, called) {
  if (n === 0) return element("td");
  if (label === predicted) return element("td", { class: "right" }, n.toLocaleString("en"));
  const button = element("button", { type: "button", title: `${called(label)} taken for ${called(predicted)}: ${n}` }, String(n));
  button.setAttribute("aria-label", `${button.title}; show the images`);
  button.addEventListener("click", () => onPair(`${label}-${predicted}`));
  const made = element("td", { class: "wrong" }, button);
  made.style.setProperty("--shade", Math.log1p(n) / Math.log1p(most));
  return made;
}

// Galleries.

class Gallery {
  constructor(section) {
    this.pair = section.querySelector("select[data-pair]");
    this.least = section.querySelector("select[data-least]");
    this.said = section.querySelector("[data-shown]");
    this.figures = [...section.querySelectorAll("figure")];
    for (const select of [this.pair, this.least]) select?.addEventListener("change", () => this.filter());
    this.filter();
  }

  choose(pair) {
    if (!this.pair) return;
    this.pair.value = pair;
    if (this.pair.selectedIndex < 0) this.pair.value = "";
    this.filter();
  }

  filter() {
    if (!this.pair) return;
    let n = 0;
    for (const figure of this.figures) {
      const fits = (!this.pair.value || figure.dataset.pairs.split(" ").includes(this.pair.value))
        && Number(figure.dataset.wrong) >= Number(this.least?.value ?? 1);
      figure.hidden = !fits;
      n += fits;
    }
    this.said.textContent = `${n} of ${this.figures.length} images`;
  }
}

// Light and dark: as the system says, until a person chooses.

const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

function themeButton(button) {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (SYSTEM_DARK.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  SYSTEM_DARK.onchange = label;
  label();
}

// What is long is closed on a narrow page, and open on paper.

const NARROW = matchMedia("(max-width: 46rem)");
const LONG = "details.part";

function closeOnNarrow() {
  if (NARROW.matches) document.querySelectorAll(LONG).forEach((part) => { part.open = false; });
}

addEventListener("beforeprint", () => document.querySelectorAll(`${LONG}:not([open])`).forEach((part) => {
  part.dataset.closed = "yes";
  part.open = true;
}));
addEventListener("afterprint", () => document.querySelectorAll(`${LONG}[data-closed]`).forEach((part) => {
  delete part.dataset.closed;
  part.open = false;
}));

// Where a reader is, in the navigation.

function markPlace() {
  const links = [...document.querySelectorAll("nav a")];
  const top = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) + 2; // where a link leads to
  const passed = links.filter((link) => document.querySelector(link.hash).getBoundingClientRect().top <= top);
  const here = passed.at(-1);
  if (here?.hasAttribute("aria-current")) return; // the list stays where a reader has moved it
  links.forEach((link) => link.removeAttribute("aria-current"));
  if (!here) return;
  here.setAttribute("aria-current", "true");
  const list = document.querySelector("nav > ul"); // wider than a narrow page
  list.scrollLeft = here.offsetLeft - (list.clientWidth - here.offsetWidth) / 2;
}

let isMarking = false;
addEventListener("scroll", () => {
  if (isMarking) return;
  isMarking = true;
  requestAnimationFrame(() => { isMarking = false; markPlace(); });
}, { passive: true });

function start() {
  closeOnNarrow();
  const { charts, confusion, networks } = data();
  themeButton(document.querySelector("[data-theme-button]"));
  for (const section of document.querySelectorAll("[data-mistakes]")) {
    const gallery = new Gallery(section);
    confusionTable(section, confusion[section.dataset.mistakes], (pair) => gallery.choose(pair));
  }
  const drawing = document.querySelector("[data-drawing]");
  window.drawing = drawing ? new Drawing(drawing, networks.map(readNetwork)) : null;
  drawCharts(charts);
  document.querySelectorAll("[data-save]").forEach(saveButtons);
  markPlace();
}

start();
