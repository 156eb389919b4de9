// The whole script of the site: which sections are shown, light or dark, the menu, the search, and
// figures at the width of the screen.
// Without it the pages can be read as well. Nothing is asked of a network.
"use strict";

const root = document.documentElement;
root.classList.add("js");

// --- what a reader chose is kept where the browser allows it

function kept(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function keep(key, value) {
  try { localStorage.setItem(key, value); } catch { /* a private window */ }
}

const PATHS = ["must", "should", "extra"];
let shown = (kept("paths") || PATHS.join(" ")).split(" ").filter(path => PATHS.includes(path));

function showPaths(wanted) {
  shown = wanted.length ? wanted : PATHS; // nothing at all helps nobody
  root.dataset.hidden = PATHS.filter(path => !shown.includes(path)).join(" ");
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.setAttribute("aria-pressed", shown.includes(button.dataset.choose));
  }
}

function isDark() {
  return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches && "dark")) === "dark";
}

function showTheme(theme) {
  if (theme) root.dataset.theme = theme;
  const button = document.querySelector("button.theme");
  if (button) button.textContent = isDark() ? "Light" : "Dark";
}

// before the page is drawn, so that it does not flash
showPaths(shown);
showTheme(kept("theme"));

// --- the search: each section is found by the words in it, headings first

const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
let sections = null;

function load() {
  if (sections) return Promise.resolve();
  return new Promise(done => {
    const script = document.createElement("script"); // fetch() reads no file beside a page
    script.src = "search.js";
    script.onload = () => {
      sections = window.searched.flatMap(([page, title, parts]) => parts.map(
        ([anchor, heading, path, text]) => ({
          address: page + (anchor ? "#" + anchor : ""), title, heading, path, text,
          head: plain(heading + " " + title), body: plain(text),
        })));
      done();
    };
    document.head.append(script);
  });
}

function search(query) {
  const words = plain(query).split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  return sections
    .filter(section => words.every(word => section.head.includes(word) || section.body.includes(word)))
    .map(section => ({
      section,
      score: words.reduce((sum, word) => sum + 20 * section.head.includes(word)
        + Math.min(section.body.split(word).length - 1, 10), 0),
    }))
    .sort((one, other) => other.score - one.score)
    .slice(0, 20)
    .map(found => ({ ...found.section, words }));
}

// The words around the first hit, with the hits marked; text only, never HTML.
function excerpt(found) {
  const line = document.createElement("span");
  const { text, words } = found;
  // a letter and its accent may count differently: then the place is a little off, and no more
  const places = words.map(word => found.body.indexOf(word)).filter(place => place >= 0);
  const from = Math.max(0, Math.min(...places, text.length) - 50);
  const part = (from ? "… " : "") + text.slice(from, from + 160);
  const escaped = words.map(word => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  part.split(new RegExp(`(${escaped.join("|")})`, "i")).forEach((piece, place) => {
    const node = document.createElement(place % 2 ? "mark" : "span");
    node.textContent = piece;
    line.append(node);
  });
  return line;
}

function listFound(box, query) {
  const found = search(query);
  box.hidden = !query.trim();
  box.replaceChildren();
  if (!found.length) {
    box.textContent = "Nothing was found.";
    return;
  }
  const list = document.createElement("ul");
  for (const one of found) {
    const link = document.createElement("a");
    link.href = one.address;
    const heading = document.createElement("strong");
    heading.textContent = one.heading;
    const where = document.createElement("small");
    where.textContent = [one.heading === one.title ? "" : one.title, one.path].filter(Boolean).join(" · ");
    link.append(heading, where, excerpt(one));
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  box.append(list);
}

// --- a figure opens over the page; without a script, its link leads to the picture alone

function enlarge(link) {
  const dialog = document.createElement("dialog"); // Escape closes it, and the focus goes back
  dialog.className = "figure";
  dialog.setAttribute("aria-label", "A figure at the width of the screen");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Close";
  dialog.append(link.firstElementChild.cloneNode(), button);
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// --- a link into something folded or left out opens it

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const cell = target.closest("[data-path]");
  if (cell && PATHS.includes(cell.dataset.path) && !shown.includes(cell.dataset.path)) {
    showPaths([...shown, cell.dataset.path]);
  }
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  target.scrollIntoView();
}

document.addEventListener("DOMContentLoaded", () => {
  showPaths(shown);
  showTheme();

  document.querySelector("button.theme").addEventListener("click", () => {
    showTheme(isDark() ? "light" : "dark");
    keep("theme", root.dataset.theme);
  });

  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => {
      const path = button.dataset.choose;
      showPaths(PATHS.filter(each => shown.includes(each) !== (each === path)));
      keep("paths", shown.join(" "));
    });
  }

  const menu = document.querySelector("button.menu");
  const openMenu = open => {
    root.classList.toggle("menu-open", open);
    menu.setAttribute("aria-expanded", open);
  };
  menu.addEventListener("click", () => openMenu(!root.classList.contains("menu-open")));
  document.getElementById("menu").addEventListener("click", event => {
    if (event.target.closest("a")) openMenu(false);
  });

  const form = document.querySelector("form.search");
  const field = form.querySelector("input");
  const box = document.getElementById("found");
  const update = () => load().then(() => listFound(box, field.value));
  field.addEventListener("focus", () => { load(); if (field.value) update(); });
  field.addEventListener("input", update);
  form.addEventListener("submit", event => {
    event.preventDefault();
    box.querySelector("a")?.click();
  });
  form.addEventListener("keydown", event => {
    const links = [field, ...box.querySelectorAll("a")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      links[(links.indexOf(document.activeElement) + step + links.length) % links.length].focus();
    }
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") { box.hidden = true; openMenu(false); }
    if (event.key === "/" && !event.target.closest("input, textarea, select")) {
      event.preventDefault();
      field.focus();
    }
  });
  document.addEventListener("click", event => {
    if (!form.contains(event.target) || event.target.closest("#found a")) box.hidden = true;
  });

  for (const link of document.querySelectorAll("a.larger")) {
    link.addEventListener("click", event => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
      event.preventDefault();
      enlarge(link);
    });
  }

  addEventListener("hashchange", openTarget);
  openTarget();
});
