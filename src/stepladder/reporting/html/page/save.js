// A chart as a file: an SVG or a PNG that needs nothing from this page.

"use strict";

const PNG_SCALE = 2; // pixels for each of the page's

/** A copy of a chart's SVG in which the page's colours stand as values: outside the page there are no variables. */
function selfContained(svg) {
  const copy = svg.cloneNode(true);
  const originals = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((part, k) => {
    const computed = getComputedStyle(originals[k]);
    for (const name of ["fill", "stroke"]) {
      if (part.getAttribute(name)?.includes("var(")) part.setAttribute(name, computed[name]);
    }
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", getComputedStyle(document.body).backgroundColor]]) {
    paper.setAttribute(name, value);
  }
  copy.prepend(paper);
  return copy;
}

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function pngOf(svg, text) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  const { width, height } = svg.getBoundingClientRect();
  [canvas.width, canvas.height] = [PNG_SCALE * width, PNG_SCALE * height];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function saveButtons(menu) {
  const rung = menu.closest("article")?.querySelector("h3").textContent ?? "";
  const name = [document.querySelector("h1").textContent, rung, menu.dataset.save].join(" ").replace(/[^\p{L}\p{N}]+/gu, "-");
  menu.querySelectorAll("[data-form]").forEach((button) => button.addEventListener("click", async () => {
    const svg = menu.closest("figure").querySelector(".chart svg");
    if (!svg) return;
    const text = new XMLSerializer().serializeToString(selfContained(svg));
    const form = button.dataset.form;
    const blob = form === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await pngOf(svg, text);
    download(blob, `${name}.${form}`);
  }));
}
