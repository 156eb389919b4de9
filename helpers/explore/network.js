"use strict";
/* The networks of the course in plain JavaScript: what they see, and the gradient of the loss with
   respect to the pixels. It follows helpers/models.py and helpers/inversion.py line by line, and
   tests/test_explore.py compares the two. Images are Float32Array of 28 x 28 values in [0, 1]. */

const SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10;
const EPSILON = 1e-10;  // of the loss -log(p + EPSILON), and of the length of a gradient

/* ---- weights, as text ---- */

function bytes(base64) {
  return Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
}

/* A 16-bit float is a sign, 5 bits of exponent and 10 of fraction. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function unpackWeights(base64) {
  return Float32Array.from(new Uint16Array(bytes(base64).buffer), fromHalf);
}

/* Cut all weights of a network into arrays of these lengths, in the order of Keras. */
function cut(weights, lengths) {
  let end = 0;
  return lengths.map(length => weights.subarray(end, end += length));
}

/* ---- the layers ---- */

/* 3 x 3 convolution and ReLU; kernel[row][column][channel][filter], as in Keras. Four filters at
   a time, because their sums then stay in registers: that halves the time of a step. */
function convolve(input, side, channels, kernel, bias, filters) {
  const size = side - 2, width = 3 * channels, patch = new Float32Array(3 * width);
  const output = new Float32Array(size * size * filters);
  for (let y = 0, at = 0; y < size; y++) for (let x = 0; x < size; x++) {
    for (let row = 0; row < 3; row++) {
      // three neighbours in a row lie side by side
      const from = ((y + row) * side + x) * channels;
      for (let k = 0; k < width; k++) patch[row * width + k] = input[from + k];
    }
    for (let filter = 0; filter < filters; filter += 4, at += 4) {
      let a = bias[filter], b = bias[filter + 1], c = bias[filter + 2], d = bias[filter + 3];
      for (let i = 0, tap = filter; i < patch.length; i++, tap += filters) {
        const value = patch[i];
        a += value * kernel[tap];
        b += value * kernel[tap + 1];
        c += value * kernel[tap + 2];
        d += value * kernel[tap + 3];
      }
      output[at] = Math.max(0, a);
      output[at + 1] = Math.max(0, b);
      output[at + 2] = Math.max(0, c);
      output[at + 3] = Math.max(0, d);
    }
  }
  return output;
}

/* 2 x 2 max-pooling; `places` remembers where each largest value came from. */
function pool(input, side, channels) {
  const size = side >> 1, values = new Float32Array(size * size * channels);
  const places = new Int32Array(values.length);
  for (let y = 0, at = 0; y < size; y++) for (let x = 0; x < size; x++) {
    const corner = (2 * y * side + 2 * x) * channels;
    for (let channel = 0; channel < channels; channel++, at++) {
      let best = corner + channel;
      for (const offset of [channels, side * channels, (side + 1) * channels])
        if (input[corner + offset + channel] > input[best]) best = corner + offset + channel;
      values[at] = input[best];
      places[at] = best;
    }
  }
  return {values, places};
}

/* kernel[input][unit], as in Keras. */
function dense(input, kernel, bias, relu = false) {
  const units = bias.length, output = Float32Array.from(bias);
  for (let i = 0; i < input.length; i++) {
    const value = input[i], weights = i * units;
    if (value === 0) continue;
    for (let unit = 0; unit < units; unit++) output[unit] += value * kernel[weights + unit];
  }
  return relu ? output.map(value => Math.max(0, value)) : output;
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Float32Array.from(logits, z => Math.exp(z - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(power => power / sum);
}

/* ---- and backwards ---- */

/* Gradient with respect to the input of a dense layer; only where that input is above 0, because
   every such input comes out of a ReLU. */
function denseBack(input, gradient, kernel) {
  const units = gradient.length, back = new Float32Array(input.length);
  for (let i = 0; i < input.length; i++) {
    if (input[i] <= 0) continue;
    let sum = 0;
    for (let unit = 0; unit < units; unit++) sum += gradient[unit] * kernel[i * units + unit];
    back[i] = sum;
  }
  return back;
}

/* Gradient with respect to the input of a convolution, ReLU and pooling. Only the winner of each
   pool passes it on, so three quarters of the work of the way there fall away. `turned` is the
   kernel as [filter][row][column][channel], so that the innermost loop runs along the memory. */
function convolveBack(pooled, gradient, side, channels, turned, filters) {
  const size = side - 2, back = new Float32Array(side * side * channels);
  for (let i = 0; i < gradient.length; i++) {
    const g = gradient[i];
    if (g === 0 || pooled.values[i] <= 0) continue;
    const place = pooled.places[i], filter = place % filters, at = (place - filter) / filters;
    const x = at % size, y = (at - x) / size;
    for (let row = 0; row < 3; row++) {
      // the three columns of a row lie side by side in both arrays
      const to = ((y + row) * side + x) * channels, from = (filter * 3 + row) * 3 * channels;
      for (let k = 0; k < 3 * channels; k++) back[to + k] += g * turned[from + k];
    }
  }
  return back;
}

function turn(kernel, filters) {
  const taps = kernel.length / filters;
  return Float32Array.from(kernel, (_, i) => kernel[(i % taps) * filters + Math.floor(i / taps)]);
}

/* ---- the three that look at a picture ---- */

/* The reference network: `build_cnn` in helpers/models.py. */
class ConvolutionalNetwork {
  constructor(weights) {
    [this.kernel1, this.bias1, this.kernel2, this.bias2, this.kernel3, this.bias3,
      this.kernel4, this.bias4] = cut(weights,
        [9 * 32, 32, 9 * 32 * 64, 64, 1600 * 128, 128, 128 * CLASSES, CLASSES]);
    this.turned1 = turn(this.kernel1, 32);
    this.turned2 = turn(this.kernel2, 64);
  }

  /* What each layer makes of an image; the last is p. The way back needs them all. */
  look(x) {
    const pooled1 = pool(convolve(x, 28, 1, this.kernel1, this.bias1, 32), 26, 32);
    const pooled2 = pool(convolve(pooled1.values, 13, 32, this.kernel2, this.bias2, 64), 11, 64);
    const hidden = dense(pooled2.values, this.kernel3, this.bias3, true);
    return {pooled1, pooled2, hidden, p: softmax(dense(hidden, this.kernel4, this.bias4))};
  }

  probabilities(x) {
    return this.look(x).p;
  }

  /* Gradient of -log(p[target] + EPSILON) with respect to the pixels of the image that `look`
     looked at. Near p = 1 the roundings count: they are those of float32. */
  gradient({pooled1, pooled2, hidden, p}, target) {
    const ofLoss = Math.fround(-1 / Math.fround(p[target] + EPSILON));
    const mean = Math.fround(ofLoss * p[target]);
    const ofLogits = p.map((value, i) => value * ((i === target ? ofLoss : 0) - mean));
    const ofHidden = denseBack(hidden, ofLogits, this.kernel4);
    const ofPooled2 = denseBack(pooled2.values, ofHidden, this.kernel3);
    const ofPooled1 = convolveBack(pooled2, ofPooled2, 13, 32, this.turned2, 64);
    return convolveBack(pooled1, ofPooled1, 28, 1, this.turned1, 32);
  }
}

/* The judge without convolutions: `build_judge_mlp`; dropout does nothing after training. */
class DenseNetwork {
  constructor(weights) {
    [this.kernel1, this.bias1, this.kernel2, this.bias2, this.kernel3, this.bias3] =
      cut(weights, [PIXELS * 256, 256, 256 * 128, 128, 128 * CLASSES, CLASSES]);
  }

  probabilities(x) {
    const hidden = dense(dense(x, this.kernel1, this.bias1, true), this.kernel2, this.bias2, true);
    return softmax(dense(hidden, this.kernel3, this.bias3));
  }
}

/* The k nearest of some stored digits vote: `pseudo_probability` in helpers/neighbours.py. */
class Neighbours {
  constructor(images, labels, k) {
    Object.assign(this, {images, labels, k});
  }

  probabilities(x) {
    const distances = this.images.map(image => {
      let sum = 0;
      for (let i = 0; i < PIXELS; i++) sum += (x[i] - image[i]) ** 2;
      return sum;
    });
    const order = distances.map((_, i) => i).sort((a, b) => distances[a] - distances[b]);
    const votes = new Float32Array(CLASSES);
    for (const i of order.slice(0, this.k)) votes[this.labels[i]] += 1 / this.k;
    return votes;
  }
}

/* Images of 28 x 28 bytes, one after the other. */
function unpackImages(base64) {
  const all = bytes(base64);
  return Array.from({length: all.length / PIXELS}, (_, i) =>
    Float32Array.from(all.subarray(i * PIXELS, (i + 1) * PIXELS), value => value / 255));
}

/* ---- the walk: `invert` in helpers/inversion.py ---- */

/* One step of gradient descent: x <- clip((1 - decay) x - learning_rate g / ||g||, 0, 1). `seen`
   is what the network made of x, and `number` counts the steps from 1. */
function step(network, x, seen, target, number, {learning_rate, blur_every, decay}) {
  const g = network.gradient(seen, target);
  const length = Math.sqrt(g.reduce((sum, value) => sum + value * value, 0)) + EPSILON;
  const after = x.map((value, i) =>
    Math.min(1, Math.max(0, (1 - decay) * value - learning_rate * g[i] / length)));
  return blur_every && number % blur_every === 0 ? blur(after) : after;
}

/* The binomial 3 x 3 kernel (1 2 1) / 4, along the rows and then down the columns; outside is
   black. */
function blur(x) {
  const along = x.map((value, i) =>
    (2 * value + (i % SIDE ? x[i - 1] : 0) + (i % SIDE < SIDE - 1 ? x[i + 1] : 0)) / 4);
  return along.map((value, i) =>
    (2 * value + (along[i - SIDE] ?? 0) + (along[i + SIDE] ?? 0)) / 4);
}

function noise(brightest) {
  return Float32Array.from({length: PIXELS}, () => brightest * Math.random());
}

/* ---- a drawing in the form of MNIST ---- */

/* As `like_mnist` in helpers/alterations.py, which says where each step comes from: cut out the
   ink, fit it into a box of 20 x 20, make the darkest ink white, and put its centre of mass into
   the middle. `ink` is a square of bright ink on black, `size` pixels wide; it returns null where
   nothing is drawn. (Nothing here has to tell ink from paper: a drawing has no shadows.) */
function likeMnist(ink, size) {
  const inked = [...ink.keys()].filter(i => ink[i] > 0.5);
  if (!inked.length) return null;
  const rows = inked.map(i => Math.floor(i / size)), columns = inked.map(i => i % size);
  const [top, bottom] = ends(rows), [left, right] = ends(columns);
  const scale = 20 / Math.max(bottom - top + 1, right - left + 1);
  const height = Math.max(1, Math.round((bottom - top + 1) * scale));
  const width = Math.max(1, Math.round((right - left + 1) * scale));
  const box = shrink(ink, size, {top, left, bottom, right}, height, width);
  const brightest = Math.max(...box);
  let mass = 0, massY = 0, massX = 0;
  box.forEach((value, i) => {
    mass += value;
    massY += value * Math.floor(i / width);
    massX += value * (i % width);
  });
  const place = (middle, length) => Math.min(SIDE - length, Math.max(0, Math.round(14 - middle)));
  const firstRow = place(massY / mass, height), firstColumn = place(massX / mass, width);
  const square = new Float32Array(PIXELS);
  box.forEach((value, i) => {
    const row = firstRow + Math.floor(i / width), column = firstColumn + i % width;
    square[row * SIDE + column] = value / brightest;
  });
  return square;
}

/* Smallest and largest of many numbers. */
function ends(numbers) {
  return numbers.reduce(([low, high], n) => [Math.min(low, n), Math.max(high, n)],
    [Infinity, -Infinity]);
}

/* Each new pixel is the mean of the ink below it. */
function shrink(ink, size, {top, left, bottom, right}, height, width) {
  const small = new Float32Array(height * width);
  const edge = (i, parts, first, last) => first + Math.round(i * (last - first + 1) / parts);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const y0 = edge(y, height, top, bottom), x0 = edge(x, width, left, right);
    const y1 = Math.max(y0 + 1, edge(y + 1, height, top, bottom));
    const x1 = Math.max(x0 + 1, edge(x + 1, width, left, right));
    let sum = 0;
    for (let i = y0; i < y1; i++) for (let j = x0; j < x1; j++) {
      const value = ink[i * size + j];
      if (value > 0.5) sum += value;
    }
    small[y * width + x] = sum / ((y1 - y0) * (x1 - x0));
  }
  return small;
}
