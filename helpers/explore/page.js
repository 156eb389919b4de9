"use strict";
/* What happens on the page: a start picture, two walks, and what everybody sees in them. */

const data = JSON.parse(document.getElementById("data").textContent);
const element = id => document.getElementById(id);
const digits = unpackImages(data.digits.images);
const judges = {
  MLP: new DenseNetwork(unpackWeights(data.weights.mlp)),
  "k-NN": new Neighbours(unpackImages(data.neighbours.images), data.neighbours.labels,
    data.neighbours.k),
};

/* ---- settings ---- */

const SETTINGS = {
  learning_rate: {label: "Learning rate η", values: [.01, .02, .05, .1, .2, .5, 1, 2, 5, 10]},
  max_steps: {label: "Steps", values: [10, 20, 30, 40, 60, 80, 100, 150, 200, 250, 300]},
  blur_every: {label: "Blur every", values: [0, 10, 8, 6, 4, 3, 2],
    text: value => value ? `${value} steps` : "never"},
  decay: {label: "Fading", values: [0, .01, .02, .04, .06, .08, .1, .15],
    text: value => value || "none"},
  speed: {label: "Steps a frame", values: [1, 2, 4, 8, 16]},
};
const settings = {};

function set(name, value) {
  const {values, text = String, input, shown} = SETTINGS[name];
  settings[name] = value;
  input.value = values.indexOf(value);
  shown.textContent = text(value);
  input.setAttribute("aria-valuetext", text(value));
}

for (const [name, setting] of Object.entries(SETTINGS)) {
  const [label, shown, input] = ["label", "span", "input"].map(tag => document.createElement(tag));
  Object.assign(label, {htmlFor: name, textContent: setting.label});
  Object.assign(input, {type: "range", id: name, min: 0, max: setting.values.length - 1});
  Object.assign(setting, {input, shown});
  element("sliders").appendChild(document.createElement("div")).append(label, shown, input);
  input.addEventListener("input", () => {
    set(name, setting.values[input.value]);
    describeButtons();
  });
}
element("walks").append("Walk as in");
for (const [number, walk] of Object.entries(data.walks)) {
  const button = element("walks").appendChild(document.createElement("button"));
  Object.assign(button, {type: "button", textContent: `notebook ${number}`});
  button.addEventListener("click", () => {
    for (const [name, value] of Object.entries(walk)) set(name, value);
    if (target !== null) run(target);
  });
}

/* ---- two networks, side by side ---- */

class Walk {
  constructor(name, about) {
    this.name = name;
    this.network = new ConvolutionalNetwork(unpackWeights(data.weights[name]));
    const card = element("network").content.cloneNode(true).firstElementChild;
    card.classList.add(name);
    card.querySelector("h2").textContent = `${name[0].toUpperCase()}${name.slice(1)} network `;
    card.querySelector("h2").append(
      Object.assign(document.createElement("small"), {textContent: about}));
    card.querySelector(".bars").append(...Array.from({length: CLASSES}, (_, digit) => {
      const bar = document.createElement("span");
      bar.append(document.createElement("i"), String(digit));
      return bar;
    }));
    card.querySelector(".keep").addEventListener("click", () => keep(this));
    this.card = element("networks").appendChild(card);
    this.find = selector => card.querySelector(selector);
  }

  begin(x) {
    this.trace = [];    // p of the target, after each step
    this.opinions = []; // [step, mean p of the others], for each picture that was shown
    this.look(x);
  }

  look(x) {
    this.x = x;
    this.layers = this.network.look(x);
    this.p = this.layers.p;
    if (target !== null) this.trace.push(this.p[target]);
  }

  take() {
    this.look(step(this.network, this.x, this.layers, target, this.trace.length, settings));
  }

  /* Draw the picture, and ask the others. */
  show() {
    const other = walks.find(walk => walk !== this);
    const others = {[`${other.name} network`]: other.network, ...judges};
    this.seen = Object.entries(others).map(([name, judge]) => [name, judge.probabilities(this.x)]);
    if (target !== null) {
      const mean = this.seen.reduce((sum, [, p]) => sum + p[target], 0) / this.seen.length;
      this.opinions.push([this.trace.length - 1, mean]);
    }
    drawGrey(this.find(".picture"), this.x);
    this.showVerdicts();
    this.showWalk();
  }

  agree() {
    return this.seen.filter(([, p]) => best(p) === target).length;
  }

  showVerdicts() {
    const sees = best(this.p);
    this.find(".sees").replaceChildren("sees a ",
      Object.assign(document.createElement("b"), {textContent: sees}),
      ` with p = ${this.p[sees].toFixed(2)}`);
    [...this.find(".bars").children].forEach((bar, digit) => {
      bar.classList.toggle("asked", digit === (target ?? sees));
      bar.firstChild.style.height = `${50 * this.p[digit]}px`;
    });
    this.find(".bars").setAttribute("aria-label", "Probabilities: " +
      [...this.p].map((p, digit) => `${digit}: ${p.toFixed(2)}`).join(", "));
    this.find("tbody").replaceChildren(...this.seen.map(([name, p]) => {
      const row = document.createElement("tr"), said = best(p), asked = target ?? said;
      const [who, digit, share] = ["th", "td", "td"].map(tag =>
        row.appendChild(document.createElement(tag)));
      who.textContent = name;
      who.scope = "row";
      digit.textContent = said;
      digit.className = said === target ? "agrees" : "";
      share.innerHTML = `<span>p(${asked}) = </span>${p[asked].toFixed(2)}`;
      return row;
    }));
  }

  showWalk() {
    const steps = Math.max(settings.max_steps, this.trace.length - 1);
    const line = points =>
      points.map(([x, p]) => `${200 * x / steps},${99.5 - 99 * p}`).join(" ");
    this.find(".own").setAttribute("points", line(this.trace.map((p, number) => [number, p])));
    this.find(".others").setAttribute("points", line(this.opinions));
    const walked = this.trace.length - 1, walking = target !== null;
    this.find(".now").setAttribute("x1", 200 * Math.max(0, walked) / steps);
    this.find(".now").setAttribute("x2", 200 * Math.max(0, walked) / steps);
    this.find(".walk").hidden = !walking;
    this.find("figcaption").innerHTML = walking
      ? `p of a ${target} over ${steps} steps: <span class="own">its own</span>, and ` +
        "<span class=others>the mean of the others</span>"
      : "p over the steps, when you have asked for a digit";
    this.find(".chart").setAttribute("aria-label", walking
      ? `p of a ${target} went from ${this.trace[0].toFixed(2)} to ` +
        `${this.trace.at(-1).toFixed(2)} in ${walked} steps; the mean of the others from ` +
        `${this.opinions[0][1].toFixed(2)} to ${this.opinions.at(-1)[1].toFixed(2)}`
      : "no walk yet");
    drawDifference(this.find(".difference"), this.x, start.x);
    this.find(".difference").setAttribute("aria-label",
      `What was added to the start and removed from it, after ${Math.max(0, walked)} steps`);
    this.find(".picture").setAttribute("aria-label", this.describe());
    this.find(".keep").disabled = start.empty;
  }

  describe() {
    const sees = best(this.p);
    return `The picture of the ${this.name} network: ${start.name}` +
      (target === null ? "" : `, ${this.trace.length - 1} steps towards a ${target}`) +
      `. It sees a ${sees}, p = ${this.p[sees].toFixed(2)}.`;
  }
}

function best(p) {
  return p.indexOf(Math.max(...p));
}

/* ---- pictures on canvases ---- */

function paint(canvas, colour) {
  const context = canvas.getContext("2d"), picture = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < PIXELS; i++) picture.data.set([...colour(i), 255], 4 * i);
  context.putImageData(picture, 0, 0);
}

function drawGrey(canvas, x) {
  paint(canvas, i => Array(3).fill(255 * x[i]));
}

function drawDifference(canvas, x, before) {
  const style = getComputedStyle(document.documentElement);
  const [added, removed, same] = ["--added", "--removed", "--same"].map(name =>
    style.getPropertyValue(name).trim().split(" ").map(Number));
  paint(canvas, i => {
    const change = x[i] - before[i], full = change > 0 ? added : removed;
    return same.map((value, channel) => value + Math.abs(change) * (full[channel] - value));
  });
}

/* ---- the start ---- */

const PEN = 12;  // half the width of a stroke, where the pad has 280 pixels
const pad = element("pad"), pen = element("pen"), ink = new Float32Array(280 * 280);
const start = {x: new Float32Array(PIXELS), name: "", empty: true, drawn: false};
let target = null, running = false;

function begin(x, name, kind = {}) {
  Object.assign(start, {x, name, empty: false, drawn: false}, kind);
  running = false;
  target = null;
  for (const button of document.querySelectorAll("#targets button, #digits button"))
    button.setAttribute("aria-pressed", "false");
  for (const walk of walks) walk.begin(x);
  element("hint").hidden = !start.empty;
  drawPad();
  for (const walk of walks) walk.show();
  describeButtons();
  say();
}

function drawPad() {
  const context = pad.getContext("2d"), picture = context.createImageData(280, 280);
  for (let i = 0; i < ink.length; i++) {
    const row = Math.floor(i / 2800), column = Math.floor(i % 280 / 10);
    const value = 255 * (start.drawn ? ink[i] : start.x[row * SIDE + column]);
    for (let channel = 0; channel < 3; channel++) picture.data[4 * i + channel] = value;
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  pad.style.imageRendering = start.drawn ? "auto" : "pixelated";
}

/* A stroke is all that lies within PEN of a segment; its edge is one pixel soft. */
function stroke([x0, y0], [x1, y1]) {
  const long = (x1 - x0) ** 2 + (y1 - y0) ** 2, reach = PEN + 1;
  const inside = value => Math.max(0, Math.min(279, Math.round(value)));
  for (let y = inside(Math.min(y0, y1) - reach); y <= inside(Math.max(y0, y1) + reach); y++)
    for (let x = inside(Math.min(x0, x1) - reach); x <= inside(Math.max(x0, x1) + reach); x++) {
      const along = long ? ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / long : 0;
      const t = Math.max(0, Math.min(1, along));
      const distance = Math.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0));
      const value = Math.max(0, Math.min(1, PEN + .5 - distance));
      ink[y * 280 + x] = Math.max(ink[y * 280 + x], value);
    }
}

/* Everybody looks at the drawing once a frame, however often a pen reports its place. */
let looking = false;
function drawTo(from, to) {
  if (!start.drawn) ink.fill(0);
  start.drawn = true;
  stroke(from, to);
  if (!looking) requestAnimationFrame(() => {
    looking = false;
    begin(likeMnist(ink, 280), "your drawing", {drawn: true});
  });
  looking = true;
}

function clearPad() {
  ink.fill(0);
  begin(new Float32Array(PIXELS), "an empty sheet", {drawn: true, empty: true});
}

let last = null;
function placeOf(event) {
  const box = pad.getBoundingClientRect();
  return [280 * (event.clientX - box.left) / box.width,
    280 * (event.clientY - box.top) / box.height];
}
pad.addEventListener("pointerdown", event => {
  pad.setPointerCapture(event.pointerId);
  last = placeOf(event);
  drawTo(last, last);
});
pad.addEventListener("pointermove", event => {
  if (last === null) return;
  const parts = event.getCoalescedEvents?.() ?? [];  // not every browser has them
  for (const part of parts.length ? parts : [event]) {
    const place = placeOf(part);
    drawTo(last, place);
    last = place;
  }
});
for (const name of ["pointerup", "pointercancel"])
  pad.addEventListener(name, () => { last = null; });

/* With the keyboard: a ring shows where the pen is, and a full one that it is down. */
const arrows = {ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8]};
let at = [140, 60], down = false;
pad.addEventListener("keydown", event => {
  if (event.key === " ") down = !down;
  else if (!(event.key in arrows)) return;
  event.preventDefault();
  const before = at, [right, below] = arrows[event.key] ?? [0, 0];
  at = [at[0] + right, at[1] + below].map(value => Math.max(PEN, Math.min(280 - PEN, value)));
  if (down) drawTo(before, at);
  pen.hidden = false;
  pen.classList.toggle("down", down);
  Object.assign(pen.style, {left: `${at[0] / 2.8}%`, top: `${at[1] / 2.8}%`});
});
pad.addEventListener("blur", () => { pen.hidden = true; down = false; });

element("clear").addEventListener("click", clearPad);
element("black").addEventListener("click", () => begin(noise(.01), "near black"));
element("noise").addEventListener("click", () => begin(noise(1), "noise"));

const stored = Array.from({length: CLASSES}, (_, digit) =>
  digits.filter((_, i) => data.digits.labels[i] === digit));
function takeDigit(digit, button) {
  const x = stored[digit][0];
  drawGrey(button.firstChild, x);
  stored[digit].push(stored[digit].shift());
  begin(x, `a real ${digit}`);
  button.setAttribute("aria-pressed", "true");
}
const digitButtons = stored.map((images, digit) => {
  const button = element("digits").appendChild(document.createElement("button"));
  Object.assign(button, {type: "button", title: `a real ${digit}`});
  button.setAttribute("aria-label", `a real ${digit}`);
  const canvas = button.appendChild(document.createElement("canvas"));
  Object.assign(canvas, {width: SIDE, height: SIDE});
  drawGrey(canvas, images[0]);
  button.addEventListener("click", () => takeDigit(digit, button));
  return button;
});

/* ---- the walk ---- */

for (let digit = 0; digit < CLASSES; digit++) {
  const button = element("targets").appendChild(document.createElement("button"));
  Object.assign(button, {type: "button", textContent: digit});
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => run(digit));
}
element("pause").addEventListener("click", () => {
  if (running) running = false;
  else if (walked() < settings.max_steps) go();
  else run(target);
  describeButtons();
  if (!running) say();
});
element("back").addEventListener("click", () => begin(start.x, start.name,
  {drawn: start.drawn, empty: start.empty}));

function run(digit) {
  target = digit;
  [...element("targets").children].forEach((button, i) =>
    button.setAttribute("aria-pressed", String(i === digit)));
  for (const walk of walks) {
    walk.begin(start.x);
    walk.show();
  }
  element("status").textContent = `Both walk from ${start.name} towards a ${digit} …`;
  const pictures = element("networks").getBoundingClientRect();
  if (pictures.top < 0 || pictures.top + pictures.width / 2 > innerHeight)
    element("networks").scrollIntoView();
  go();
}

function walked() {
  return walks[0].trace.length - 1;
}

let next = 0;
function go() {
  cancelAnimationFrame(next);  // one is enough, however fast somebody clicks
  next = requestAnimationFrame(frame);
  running = true;
  describeButtons();
}

/* Some steps, then one picture. A slow computer shows each step rather than stand still. */
function frame() {
  if (!running) return;
  const began = performance.now();
  for (let i = 0; i < settings.speed && walked() < settings.max_steps; i++) {
    if (i && performance.now() - began > 60) break;
    for (const walk of walks) walk.take();
  }
  for (const walk of walks) walk.show();
  running = walked() < settings.max_steps;
  if (running) {
    next = requestAnimationFrame(frame);
  } else {
    describeButtons();
    say();
  }
}

function describeButtons() {
  const over = target !== null && walked() >= settings.max_steps;
  element("pause").textContent = running ? "Pause" : over ? "Once more" : "Go on";
  element("pause").disabled = element("back").disabled = target === null;
}

/* In words, for everybody; a screen reader says it when something has ended. */
function say() {
  const sentence = walk => {
    const sees = best(walk.p), p = walk.p[sees].toFixed(2);
    const who = `${walk.name} network sees a ${sees} (p\u00a0=\u00a0${p})`;
    if (target === null) return `the ${who}`;
    return sees === target ? `The ${who}; so do ${walk.agree()} of 3 others.` :
      `The ${who}, not a ${target}.`;
  };
  element("status").textContent = start.empty && target === null
    ? "Draw a digit, or take one. Then choose what it is to become."
    : target === null
      ? `In ${start.name} ${walks.map(sentence).join(", and ")}. What shall it become?`
      : `${walked()} steps from ${start.name}. ${walks.map(sentence).join(" ")}`;
}

/* ---- pictures to keep ---- */

function keep(walk) {
  const large = Object.assign(document.createElement("canvas"), {width: 280, height: 280});
  const context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(walk.find(".picture"), 0, 0, 280, 280);
  const item = document.createElement("li"), picture = large.toDataURL();
  const image = Object.assign(document.createElement("img"), {src: picture, alt: walk.describe()});
  const text = Object.assign(document.createElement("div"), {textContent: target === null
    ? `${start.name}, ${walk.name} network sees a ${best(walk.p)}`
    : `${walk.name}: from ${start.name} to a ${target}, ${walked()} steps, ` +
      `p = ${walk.p[target].toFixed(2)}, seen by ${walk.agree()} of 3 others`});
  const save = Object.assign(document.createElement("a"), {href: picture, textContent: "Save",
    download: `${walk.name}-${target ?? "start"}.png`});
  const remove = Object.assign(document.createElement("button"),
    {type: "button", textContent: "Remove"});
  remove.addEventListener("click", () => {
    item.remove();
    element("kept").hidden = !element("kept").querySelector("li");
  });
  item.append(image, text, save, remove);
  element("kept").querySelector("ul").prepend(item);
  element("kept").hidden = false;
}

/* ---- off we go ---- */

const walks = [new Walk("plain", "trained on digits"),
  new Walk("robust", "trained under attack")];
for (const [name, value] of Object.entries({...data.walks[data.walk], speed: 4}))
  set(name, value);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  walks.forEach(walk => walk.showWalk()));
takeDigit(6, digitButtons[6]);
