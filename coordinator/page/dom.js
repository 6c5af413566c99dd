// Elements are made here and nowhere else. Text is always a text node, so that no name that a user chose
// can become markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function bar(fraction, kind) {
  const part = make("div");
  part.style.width = `${Math.max(0, Math.min(1, fraction)) * 100}%`;
  return make("div", {class: `track ${kind}`}, part);
}

function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000)), two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86400)}d ${two(Math.floor(s / 3600) % 24)}h`;
}

function count(n) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(n) >= size) return Number((n / size).toPrecision(3)) + letter;
  }
  return String(Math.round(n * 100) / 100);
}

function figure(x) {
  if (typeof x !== "number") return "";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return x.toExponential(2);
  return String(Number(x.toPrecision(5)));
}
