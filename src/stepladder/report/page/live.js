// A page that is served while a climb goes on: asks how far it is, and takes in new results without losing its place.

"use strict";

const ASK_EVERY_MS = 2000;

function showState(state) {
  const section = document.getElementById("live");
  section.querySelectorAll("p").forEach((line) => line.remove());
  section.querySelector("progress").before(...state.lines.map((line) => element("p", {}, line)));
  Object.assign(section.querySelector("progress"), { max: Math.max(1, state.n_total), value: state.n_done });
}

/** Whether a person is in the middle of something that a new page would take away. */
function isBusy() {
  const drawn = window.drawing?.pixels && !window.drawing.isExample;
  return drawn || document.activeElement?.tagName === "SELECT";
}

async function takeIn() {
  const text = await (await fetch("/", { cache: "no-store" })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const open = [...document.querySelectorAll("details")].map((each) => each.open);
  const place = scrollY;
  for (const part of ["header", "main", "#data"]) {
    document.querySelector(part).replaceWith(document.adoptNode(fresh.querySelector(part)));
  }
  document.querySelectorAll("details").forEach((each, k) => { each.open = open[k] ?? each.open; });
  start();
  scrollTo(0, place);
}

async function keepUp(shown) {
  try {
    const state = await (await fetch("/state", { cache: "no-store" })).json();
    if (state.version !== shown && !isBusy()) {
      await takeIn();
      shown = state.version;
    } else {
      showState(state);
    }
    setTimeout(keepUp, ASK_EVERY_MS, shown);
  } catch {
    const section = document.getElementById("live");
    section.querySelectorAll("p").forEach((line) => line.remove());
    section.append(element("p", {}, "The climb has ended; this page stays as it is."));
  }
}

if (data().live !== null) keepUp(data().live);
