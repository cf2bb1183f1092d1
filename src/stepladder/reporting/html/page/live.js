// A page that is served while a climb goes on: hears how far it is, and takes in new results without losing its place.

"use strict";

const ASK_AGAIN_MS = 2000; // after a question that got no answer
const MOST_SILENT = 2;
const LOOK_EVERY_MS = 500; // whether a person is still busy
const KEPT = "details, summary, select, button, .chart, .scroll, .images"; // what a person may have changed
const LANDMARKS = "main [id], main details, main [aria-label]";

class NoAnswer extends Error {}

/** Whether a person is in the middle of something that a new page would take away. */
function isBusy() {
  const isDrawn = window.drawing?.pixels && !window.drawing.isExample;
  const open = CSS.supports("selector(select:open)") ? "select:open" : "select:focus";
  return isDrawn || document.querySelector(`${open}, canvas:focus`) !== null;
}

/** What a part is called on this page and on the next one. */
function placeOf(part) {
  const summary = part.closest("summary") ?? part.querySelector(":scope > summary");
  const words = part.getAttribute("aria-label") ?? summary?.textContent ?? Object.keys(part.dataset).join(" ");
  return `${part.tagName} ${part.closest("[id]")?.id} ${words}`;
}

function memoryOf(part) {
  const { open, value, scrollLeft, scrollTop, offsetHeight } = part;
  return { open, value, scrollLeft, scrollTop, offsetHeight, isFocused: part === document.activeElement };
}

function restore(part, was) {
  if (part.tagName === "DETAILS") part.open = was.open;
  if (part.tagName === "SELECT" && part.value !== was.value && [...part.options].some((each) => each.value === was.value)) {
    part.value = was.value;
    part.dispatchEvent(new Event("change"));
  }
  if (part.matches(".chart")) part.style.minHeight = `${was.offsetHeight}px`; // until it is drawn
  [part.scrollLeft, part.scrollTop] = [was.scrollLeft, was.scrollTop];
  if (was.isFocused) part.focus({ preventScroll: true });
}

function topOf(part) {
  return part.getBoundingClientRect().top;
}

/** The last of some parts that begins above the window: what a person sees keeps its distance from it. */
function landmark(parts) {
  return parts.filter((each) => topOf(each) < 0).reduce((last, each) => (last && topOf(last) > topOf(each) ? last : each), null);
}

function takeIn(fresh) {
  const known = new Map([...document.querySelectorAll(KEPT)].map((part) => [placeOf(part), memoryOf(part)]));
  const mark = landmark([...document.querySelectorAll(LANDMARKS)]);
  const [name, top, place] = mark ? [placeOf(mark), topOf(mark), scrollY] : ["", 0, scrollY];
  document.getElementById("vg-tooltip-element")?.classList.remove("visible");
  for (const part of ["header", "nav", "main", "#data"]) {
    document.querySelector(part).replaceWith(document.adoptNode(fresh.querySelector(part)));
  }
  start();
  for (const part of document.querySelectorAll(KEPT)) {
    const was = known.get(placeOf(part));
    if (was) restore(part, was);
  }
  const same = [...document.querySelectorAll(LANDMARKS)].find((each) => placeOf(each) === name);
  scrollTo({ top: same ? scrollY + topOf(same) - top : place, behavior: "instant" });
}

class Follower {
  constructor(version) {
    this.reader = Math.random().toString(36).slice(2); // the end of a climb waits for those who read
    this.version = version; // of the newest page that was fetched
    this.fresh = null; // that page, while a person is busy with an older one
    this.state = null;
    this.growing = new GrowingCurves();
    setInterval(() => this.turn(), LOOK_EVERY_MS);
  }

  async follow() {
    let nSilent = 0;
    for (;;) {
      try {
        if (await this.hear()) return;
        nSilent = 0;
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        nSilent = error.message ? 0 : nSilent + 1;
        if (nSilent === MOST_SILENT) break;
        if (error.message) this.say([`This page cannot be brought up to date just now: ${error.message}`]);
        await new Promise((resolve) => { setTimeout(resolve, ASK_AGAIN_MS); });
      }
    }
    this.say(["The climb does not answer any more; this page stays as it is."]);
  }

  /** One question, its answer, and the new page if there is one; whether that was the last. */
  async hear() {
    this.state = JSON.parse(await this.ask("state", { shown: this.version, after: this.state?.change ?? -1 }));
    this.growing.hear(this.state.curves);
    if (this.state.version !== this.version) {
      this.fresh = new DOMParser().parseFromString(await this.ask("./"), "text/html");
      this.version = JSON.parse(this.fresh.getElementById("data").textContent).live;
      this.turn();
    }
    this.say(this.state.lines);
    return this.state.ended && this.state.version === this.version;
  }

  async ask(path, query = {}) {
    const url = `${path}?${new URLSearchParams({ reader: this.reader, ...query })}`;
    try {
      const answer = await fetch(url, { cache: "no-store" });
      const text = await answer.text();
      if (answer.ok) return text;
      throw new NoAnswer(text);
    } catch (error) {
      throw error instanceof NoAnswer ? error : new NoAnswer();
    }
  }

  /** To the new page, as soon as nobody loses anything by it. */
  turn() {
    if (!this.fresh || isBusy()) return;
    takeIn(this.fresh);
    this.growing.means = finishedMeans();
    this.fresh = null;
    this.say(this.state.lines);
  }

  /** How many runs are known already, but not in what the page shows. */
  nUnseen() {
    return (this.state?.n_done ?? 0) - Number(document.querySelector("#live progress").dataset.shown);
  }

  lag() {
    if (this.fresh) return ["New results are here: they are shown when your drawing is wiped, or your choice made."];
    const n = this.nUnseen();
    return n > 0 ? [`The page below is being drawn anew: it does not show the last ${n === 1 ? "run" : `${n} runs`} yet.`] : [];
  }

  say(lines) {
    const section = document.getElementById("live");
    section.querySelectorAll(":scope > p").forEach((line) => line.remove());
    const unsaid = lines.filter((line) => !this.growing.says(line)); // others stand beside their curves
    section.querySelector("progress").before(...[...unsaid, ...this.lag()].map((line) => element("p", {}, line)));
    if (!this.state) return;
    if (this.nUnseen() <= 0) this.growing.forget();
    this.growing.draw(section.querySelector("[data-growing]"));
    Object.assign(section.querySelector("progress"), { max: Math.max(1, this.state.n_total), value: this.state.n_done });
  }
}

if (data().live !== null) new Follower(data().live).follow();
