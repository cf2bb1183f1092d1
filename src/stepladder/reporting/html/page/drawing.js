// Draw a digit, or drop a picture: a canvas, what the network sees of it, and its answer while one draws.

"use strict";

const PEN = 1 / 11; // of the canvas's shorter side: strokes as thick as MNIST's
const BOX = 20 / 28; // the digit fills this much of the image (LeCun et al. 1998)
const KEY_STEP = 1 / 40; // of the canvas, for each press of an arrow

/** The ink of a canvas, 0 to 255, row by row. */
function inkOf(canvas) {
  const { width, height } = canvas;
  const rgba = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return Float64Array.from({ length: width * height }, (_, k) => rgba[4 * k + 3]);
}

/** Where there is ink: [left, top, right, bottom), or null on an empty canvas of [height, width]. */
function boundingBox(ink, [height, width]) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  ink.forEach((value, k) => {
    if (value < 8) return;
    const [x, y] = [k % width, Math.floor(k / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  });
  return right > left ? [left, top, right, bottom] : null;
}

/**
 * As MNIST was made: the drawing's longer side is scaled to 20 of 28 pixels, grey from area averages, and put so that
 * its centre of mass is the centre of the image. Ink on a canvas of [height, width] -> pixels (height, width) of `size`,
 * 0 to 255; null if empty. In an image that is not square, the drawing fills as much of the height or of the width.
 */
function preprocessed(ink, canvasSize, size) {
  const canvas = both(canvasSize);
  const box = boundingBox(ink, canvas);
  if (!box) return null;
  const [left, top, right, bottom] = box;
  const [height, width] = both(size);
  // canvas pixels for each image pixel
  const scale = Math.max((right - left) / (BOX * width), (bottom - top) / (BOX * height));
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const value = ink[y * canvas[1] + x];
      mass += value;
      massX += value * (x + 0.5);
      massY += value * (y + 0.5);
    }
  }
  // whole pixels, to the middle of pixel 14 of 28, counted from 0: so it is in all 70,000 images
  const startX = left - scale * Math.round(width / 2 + 0.5 - (massX / mass - left) / scale);
  const startY = top - scale * Math.round(height / 2 + 0.5 - (massY / mass - top) / scale);
  return Float32Array.from({ length: width * height }, (_, k) => {
    const [x, y] = [k % width, Math.floor(k / width)];
    return areaMean(ink, canvas, startX + x * scale, startY + y * scale, scale);
  });
}

/** The mean ink of a square that may cut through pixels and reach beyond the canvas. */
function areaMean(ink, canvas, left, top, width) {
  let sum = 0;
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(canvas[0], top + width); y++) {
    const high = Math.min(y + 1, top + width) - Math.max(y, top);
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(canvas[1], left + width); x++) {
      sum += ink[y * canvas[1] + x] * high * (Math.min(x + 1, left + width) - Math.max(x, left));
    }
  }
  return Math.min(255, sum / width ** 2);
}

const [INK, PAPER] = [[255, 255, 255], [12, 12, 14]];

/** Values (height, width) on a small canvas, from dark for `low` to light for `high`. */
function paint(canvas, values, size, { low, high }) {
  const [height, width] = both(size);
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  values.forEach((value, k) => {
    const part = high > low ? (value - low) / (high - low) : 0;
    INK.forEach((colour, c) => { image.data[4 * k + c] = PAPER[c] + (colour - PAPER[c]) * part; });
    image.data[4 * k + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}

/** Pixels (C, height, width), 0 to 255, as they look: the first three channels are colours, where there are as many. */
function paintSeen(canvas, pixels, size, channels) {
  const [[height, width], area] = [both(size), areaOf(size)];
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const colours = channels < 3 ? [0, 0, 0] : [0, 1, 2];
  for (let k = 0; k < area; k++) {
    colours.forEach((channel, c) => { image.data[4 * k + c] = pixels[channel * area + k]; });
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Where a picture goes on an image of this size, as the images trained on were made alike. */
function placed(width, height, size, resize) {
  const [high, wide] = both(size);
  if (resize === "stretch") return [0, 0, wide, high];
  const scale = (resize === "crop" ? Math.max : Math.min)(wide / width, high / height);
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  return [Math.floor((wide - w) / 2), Math.floor((high - h) / 2), w, h];
}

/** The mean colour of the rim of a rectangle, which pads the rest of the image. */
function rimColour(context, [left, top, width, height]) {
  const sum = [0, 0, 0];
  let n = 0;
  for (const [x, y, w, h] of [[left, top, width, 1], [left, top + height - 1, width, 1], [left, top, 1, height], [left + width - 1, top, 1, height]]) {
    const rgba = context.getImageData(x, y, w, h).data;
    for (let k = 0; k < rgba.length; k += 4) {
      for (let c = 0; c < 3; c++) sum[c] += rgba[k + c];
      n += 1;
    }
  }
  return `rgb(${sum.map((each) => Math.round(each / n)).join(", ")})`;
}

class Drawing {
  constructor(root, networks) {
    this.networks = networks;
    this.mayDraw = root.dataset.draw === "yes";
    this.resize = root.dataset.resize;
    this.canvas = root.querySelector("canvas.paper");
    this.seen = root.querySelector("canvas.seen");
    this.answer = root.querySelector("[data-answer]");
    this.bars = root.querySelector("[data-bars]");
    this.layers = root.querySelector("[data-layers]");
    this.select = root.querySelector("select");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.clear();
    this.listen(root);
    this.chooseNetwork(0);
    const first = root.querySelector("[data-example] img");
    first?.decode().then(() => { if (!this.pixels) this.example(first); });
  }

  listen(root) {
    if (this.mayDraw) this.listenToPen();
    root.querySelector("[data-clear]").addEventListener("click", () => { this.clear(); this.show(); });
    root.querySelectorAll("[data-example]").forEach((button) =>
      button.addEventListener("click", () => this.example(button.querySelector("img"))));
    this.select.addEventListener("change", () => this.chooseNetwork(this.select.selectedIndex));
    const file = root.querySelector("[data-file]");
    file.addEventListener("change", () => { if (file.files.length) this.drop(file.files[0]); file.value = ""; });
    root.addEventListener("dragover", (event) => event.preventDefault());
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.drop(event.dataTransfer.files[0]);
    });
  }

  listenToPen() {
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      if (this.isExample) this.clear();
      this.moveTo(...this.place(event));
      this.lineTo(...this.at);
      event.preventDefault();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.lineTo(...this.place(event));
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** A picture of one's own, made alike as the images trained on were. */
  async drop(file) {
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      this.answer.textContent = `${file.name} is no picture that this browser can show.`;
      return;
    }
    const { size } = this.network;
    const canvas = document.createElement("canvas");
    [canvas.height, canvas.width] = both(size);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const place = placed(picture.width, picture.height, size, this.resize);
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, ...place);
    if (this.resize === "pad") {
      context.globalCompositeOperation = "destination-over";
      context.fillStyle = rimColour(context, place);
      context.fillRect(0, 0, canvas.width, canvas.height);
    }
    this.take(canvas);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  /** Arrows move the pen, with Shift it draws; Escape wipes the canvas. */
  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") { this.clear(); this.show(); }
    if (!way) return;
    event.preventDefault();
    const sides = [this.canvas.width, this.canvas.height];
    const step = KEY_STEP * Math.max(...sides);
    const to = way.map((part, k) => Math.min(sides[k], Math.max(0, this.at[k] + part * step)));
    if (this.isExample) { this.clear(); this.show(); }
    if (event.shiftKey) this.lineTo(...to);
    else this.moveTo(...to);
    if (!this.pixels) this.answer.textContent = `Pen at ${to.map(Math.round).join(", ")}`;
  }

  clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.at = [this.canvas.width / 2, this.canvas.height / 2];
    this.pixels = null;
    this.isExample = false;
  }

  moveTo(x, y) { this.at = [x, y]; }

  lineTo(x, y) {
    this.pen.strokeStyle = "#fff";
    this.pen.lineCap = this.pen.lineJoin = "round";
    this.pen.lineWidth = PEN * Math.min(this.canvas.width, this.canvas.height);
    this.pen.beginPath();
    this.pen.moveTo(...this.at);
    this.pen.lineTo(x, y);
    this.pen.stroke();
    this.at = [x, y];
    this.pixels = preprocessed(inkOf(this.canvas), [this.canvas.height, this.canvas.width], this.network.size);
    this.soon();
  }

  /** An image of the data set, just as the network was trained on such. */
  example(image) {
    const [height, width] = both(this.network.size);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, width, height);
    this.take(canvas);
  }

  /** What is on a canvas of the network's size, as its pixels; of colours a grey network sees how bright they are. */
  take(canvas) {
    this.clear();
    const { size, channels } = this.network;
    const area = areaOf(size);
    const rgba = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const grey = (k) => (299 * rgba[4 * k] + 587 * rgba[4 * k + 1] + 114 * rgba[4 * k + 2]) / 1000; // ITU-R BT.601
    this.pixels = Float32Array.from({ length: channels * area }, (_, k) => {
      const [channel, pixel] = [Math.floor(k / area), k % area];
      return channels < 3 ? (channel ? rgba[4 * pixel + 3] : grey(pixel)) : rgba[4 * pixel + channel];
    });
    this.isExample = true;
    this.pen.imageSmoothingEnabled = false;
    this.pen.drawImage(canvas, 0, 0, this.canvas.width, this.canvas.height);
    this.show();
  }

  chooseNetwork(number) {
    this.network = this.networks[number];
    this.buildLayers();
    this.show();
  }

  /** Once for each frame, however many moves come. */
  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.show(); });
  }

  buildLayers() {
    this.layers.replaceChildren(...this.network.layers.map((layer) => {
      const row = document.createElement("div");
      row.className = "maps";
      const words = document.createElement("p");
      const [height, width] = both(layer.outSize);
      words.textContent = `${layer.words}: ${layer.outChannels} × ${height} × ${width}`;
      const maps = document.createElement("div");
      maps.className = layer.outSize === 1 ? "single" : "";
      if (height !== width) {
        const parts = { wide: width, tall: height };
        for (const [name, side] of Object.entries(parts)) {
          maps.style.setProperty(`--map-${name}`, Math.max(side / Math.max(height, width), 1 / 8));
        }
      }
      maps.append(...Array.from({ length: Math.min(layer.outChannels, 64) }, () => document.createElement("canvas")));
      row.append(words, maps);
      return row;
    }));
    const longest = Math.max(1, ...this.network.classes.map((name) => name.length));
    this.bars.style.setProperty("--name", `${Math.min(longest, 20)}ch`);
    this.bars.replaceChildren(...Array.from({ length: this.network.layers.at(-1).outChannels }, (_, k) => {
      const row = document.createElement("li");
      const [name, bar, value] = ["span", "i", "span"].map((tag) => document.createElement(tag));
      name.textContent = this.called(k);
      row.append(name, bar, value);
      return row;
    }));
  }

  called(k) { return this.network.classes[k] ?? String(k); }

  show() {
    const { size, channels } = this.network;
    const empty = !this.pixels;
    const pixels = this.pixels ?? new Float32Array(channels * areaOf(size));
    const maps = activations(this.network, pixels);
    const probabilities = softmax(maps.at(-1));
    const best = probabilities.indexOf(Math.max(...probabilities));
    if (channels < 3) paint(this.seen, pixels.subarray(0, areaOf(size)), size, { low: 0, high: 255 });
    else paintSeen(this.seen, pixels, size, channels);
    [...this.bars.children].forEach((row, k) => {
      const part = empty ? 0 : probabilities[k];
      row.classList.toggle("best", !empty && k === best);
      row.children[1].style.setProperty("--part", part);
      row.children[2].textContent = empty ? "" : `${(100 * part).toFixed(1)}%`;
    });
    this.answer.textContent = empty ? this.invitation() : `${this.called(best)}, says the network.`;
    this.answer.dataset.answer = empty ? "" : best;
    this.network.layers.forEach((layer, number) => this.showMaps(layer, maps[number], this.layers.children[number], empty));
  }

  invitation() { return this.mayDraw ? "Draw, or choose an example or a picture." : "Choose an example or a picture."; }

  showMaps(layer, values, row, empty) {
    const area = areaOf(layer.outSize);
    const [low, high] = [Math.min(0, ...values), Math.max(...values)];
    [...row.querySelectorAll("canvas")].forEach((canvas, channel) =>
      paint(canvas, values.subarray(channel * area, (channel + 1) * area), layer.outSize, empty ? { low: 0, high: 0 } : { low, high }));
  }
}
