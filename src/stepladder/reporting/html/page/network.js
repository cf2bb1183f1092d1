// A trained network, run in the page. Maps are Float32Array (C, H, W), flat; shapes come from the geometry in Python.

"use strict";

/** A number for down and across, or two, as [down, across]. */
function both(sides) {
  return Array.isArray(sides) ? sides : [sides, sides];
}

function areaOf(sides) {
  const [down, across] = both(sides);
  return down * across;
}

/** Read a network from the page's data: its arrays are one base64 text of little-endian float32. */
function readNetwork(record) {
  const bytes = Uint8Array.from(atob(record.arrays), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const numbers = Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
  const arrays = {};
  for (const [name, [start, end]] of Object.entries(record.places)) arrays[name] = numbers.subarray(start, end);
  return { ...record, arrays };
}

/** Pixels (C, H, W), 0 to 255, as the network was trained on them. */
function normalised(network, pixels) {
  const area = areaOf(network.size);
  return Float32Array.from(pixels, (value, k) => {
    const channel = Math.floor(k / area);
    return (value / 255 - network.pixelMean[channel]) / network.pixelStd[channel];
  });
}

/** The maps after each layer, of pixels (C, H, W), 0 to 255; the last are the logits. */
function activations(network, pixels) {
  const maps = [];
  let x = normalised(network, pixels);
  for (const layer of network.layers) {
    x = OPERATIONS[layer.operation](layer, x, network.arrays, maps);
    for (const step of layer.steps) x = STEPS[step.kind](step, layer, x, network);
    maps.push(x);
  }
  return maps;
}

function logits(network, pixels) {
  return activations(network, pixels).at(-1);
}

function softmax(values) {
  const largest = Math.max(...values);
  const powers = Array.from(values, (value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

const OPERATIONS = {
  Conv2d: (layer, x, arrays) => convolve(layer, x, arrays, (_, channel) => channel, layer.inChannels),
  DepthwiseConv2d: (layer, x, arrays) => convolve(layer, x, arrays, (out) => out, 1),
  MaxPool: (layer, x) => pool(layer, x, (values) => Math.max(...values)),
  AvgPool: (layer, x) => pool(layer, x, (values) => values.reduce((a, b) => a + b, 0) / areaOf(layer.kernel)),
  GAP: (layer, x) => pool(layer, x, (values) => values.reduce((a, b) => a + b, 0) / values.length),
  Residual: (layer, x, _, maps) => x.map((value, k) => value + maps[layer.added][k]),
  SqueezeExcite: squeezeExcite,
  Linear: (layer, x, arrays) => affine(x, arrays, layer.index, layer.outChannels),
};

/** The part of a kernel that falls into the image: taps t with 0 <= start + t < size. */
function taps(start, span) {
  return [Math.max(0, -start), Math.min(span.kernel, span.inSize - start)];
}

/** A layer's window down and across. */
function spans(layer) {
  const [kernel, stride, padding, inSize, outSize] =
    ["kernel", "stride", "padding", "inSize", "outSize"].map((name) => both(layer[name]));
  return [0, 1].map((k) => (
    { kernel: kernel[k], stride: stride[k], padding: padding[k], inSize: inSize[k], outSize: outSize[k] }));
}

/** A convolution in which input map `from(out, k)`, k < nInputs, goes into output map `out`. */
function convolve(layer, x, arrays, from, nInputs) {
  const { outChannels } = layer;
  const [down, across] = spans(layer);
  const weight = arrays[`${layer.index}.weight`];
  const bias = arrays[`${layer.index}.bias`];
  const y = new Float32Array(outChannels * down.outSize * across.outSize);
  for (let out = 0; out < outChannels; out++) {
    for (let row = 0; row < down.outSize; row++) {
      const top = row * down.stride - down.padding;
      const [firstY, lastY] = taps(top, down);
      for (let column = 0; column < across.outSize; column++) {
        const left = column * across.stride - across.padding;
        const [firstX, lastX] = taps(left, across);
        let sum = bias ? bias[out] : 0;
        for (let k = 0; k < nInputs; k++) {
          const map = from(out, k) * down.inSize * across.inSize;
          const taken = (out * nInputs + k) * down.kernel * across.kernel;
          for (let ky = firstY; ky < lastY; ky++) {
            const line = map + (top + ky) * across.inSize + left;
            for (let kx = firstX; kx < lastX; kx++) sum += weight[taken + ky * across.kernel + kx] * x[line + kx];
          }
        }
        y[(out * down.outSize + row) * across.outSize + column] = sum;
      }
    }
  }
  return y;
}

/** Each output value from the pixels of its window that lie in the image. */
function pool(layer, x, summary) {
  const [down, across] = spans(layer);
  const area = down.outSize * across.outSize;
  const y = new Float32Array(layer.outChannels * area);
  for (let k = 0; k < y.length; k++) {
    const column = k % across.outSize;
    const row = Math.floor(k / across.outSize) % down.outSize;
    const map = Math.floor(k / area) * down.inSize * across.inSize;
    const [top, left] = [row * down.stride - down.padding, column * across.stride - across.padding];
    const [[firstY, lastY], [firstX, lastX]] = [taps(top, down), taps(left, across)];
    const values = [];
    for (let ky = firstY; ky < lastY; ky++) {
      const line = map + (top + ky) * across.inSize + left;
      for (let kx = firstX; kx < lastX; kx++) values.push(x[line + kx]);
    }
    y[k] = summary(values);
  }
  return y;
}

/** Each map times a number between 0 and 1 that the means of all maps decide. */
function squeezeExcite(layer, x, arrays) {
  const area = areaOf(layer.inSize);
  const means = Float32Array.from({ length: layer.inChannels }, (_, map) => {
    return x.subarray(map * area, (map + 1) * area).reduce((a, b) => a + b, 0) / area;
  });
  const nReduced = arrays[`${layer.index}.reduce.bias`].length;
  const reduced = affine(means, arrays, `${layer.index}.reduce`, nReduced).map((value) => Math.max(0, value));
  const gate = affine(reduced, arrays, `${layer.index}.expand`, layer.outChannels);
  return x.map((value, k) => value / (1 + Math.exp(-gate[Math.floor(k / area)])));
}

/** Every one of `nOutputs` numbers from all of x, by the weights and, if there is one, the bias of this name. */
function affine(x, arrays, name, nOutputs) {
  const weight = arrays[`${name}.weight`];
  const bias = arrays[`${name}.bias`];
  return Float32Array.from({ length: nOutputs }, (_, out) => {
    let sum = bias ? bias[out] : 0;
    for (let k = 0; k < x.length; k++) sum += weight[out * x.length + k] * x[k];
    return sum;
  });
}

/** What follows an operation; dropout does nothing in a trained network. */
const STEPS = {
  relu: (step, layer, x) => x.map((value) => Math.max(0, value)),
  leaky: (step, layer, x) => x.map((value) => (value > 0 ? value : step.slope * value)),
  norm: normalise,
  dropout: (step, layer, x) => x,
};

/** Batch norm by its running statistics, with a scale where it has learned one. */
function normalise(step, layer, x, network) {
  const named = (name) => network.arrays[`${layer.index}.norm.${name}`];
  const [mean, variance, weight, bias] = ["running_mean", "running_var", "weight", "bias"].map(named);
  const area = areaOf(layer.outSize);
  return x.map((value, k) => {
    const channel = Math.floor(k / area);
    const scale = (weight?.[channel] ?? 1) / Math.sqrt(variance[channel] + network.normEpsilon);
    return (value - mean[channel]) * scale + bias[channel];
  });
}
