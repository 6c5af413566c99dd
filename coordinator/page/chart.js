// Curves over steps. Each point stands for a range of steps: the line is its mean, the band its least and
// greatest value. Moving the pointer names the values at a step.
"use strict";

const CHART_HEIGHT = 210, LEFT = 56, RIGHT = 22, TOP = 10, BOTTOM = 24;

function ticksOf(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function rangeOf(curves, names) {
  let low = Infinity, high = -Infinity;
  for (const curve of curves) {
    for (const name of names) {
      for (const value of curve[name]) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  if (low === high) {
    const margin = Math.abs(low) * 0.05 || 1;
    return [low - margin, high + margin];
  }
  return [low, high];
}

function nearest(steps, step) {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1; else high = middle;
  }
  return low > 0 && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
}

// `curves`: [{name, steps, mean, low, high}], at most two.
function chart(title, curves, width) {
  const shown = curves.filter((curve) => curve.steps.length > 0);
  const box = make("figure", {class: "card chart"}, make("h3", {}, title));
  box.style.margin = "0";
  if (shown.length === 0) return fill(box, {}, [make("p", {class: "small"}, "no step has been written yet")]);
  const [first, last] = rangeOf(shown, ["steps"]), [bottom, top] = rangeOf(shown, ["low", "high"]);
  const x = (step) => LEFT + (step - first) / (last - first) * (width - LEFT - RIGHT);
  const y = (value) => CHART_HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (CHART_HEIGHT - TOP - BOTTOM);
  const svg = draw("svg", {viewBox: `0 0 ${width} ${CHART_HEIGHT}`, role: "img", "aria-label": title});
  for (const tick of ticksOf(bottom, top, 4)) {
    svg.append(draw("line", {class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick)}),
      draw("text", {x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end"}, Math.abs(tick) >= 1e4 ? count(tick) : figure(tick)));
  }
  for (const tick of ticksOf(first, last, 4)) {
    if (Number.isInteger(tick)) svg.append(draw("text", {x: x(tick), y: CHART_HEIGHT - 6, "text-anchor": "middle"}, count(tick)));
  }
  shown.forEach((curve, i) => {
    const there = curve.steps.map((step, k) => `${x(step)} ${y(curve.high[k])}`);
    const back = curve.steps.map((step, k) => `${x(step)} ${y(curve.low[k])}`).reverse();
    svg.append(draw("path", {class: `band f${i + 1}`, d: `M${there.join("L")}L${back.join("L")}Z`}),
      draw("path", {class: `line s${i + 1}`, d: "M" + curve.steps.map((step, k) => `${x(step)} ${y(curve.mean[k])}`).join("L")}));
    if (curve.steps.length === 1) svg.append(draw("circle", {class: `f${i + 1}`, cx: x(curve.steps[0]), cy: y(curve.mean[0]), r: 3}));
  });
  const legend = make("figcaption", {class: "legend"});
  const say = (step) => legend.replaceChildren(...shown.map((curve, i) => {
    const at = step === null ? curve.steps.length - 1 : nearest(curve.steps, step);
    return make("span", {class: `s${i + 1}`}, `${curve.name} ${figure(curve.mean[at])} at step ${curve.steps[at]}`);
  }));
  const cursor = draw("line", {class: "cursor", y1: TOP, y2: CHART_HEIGHT - BOTTOM, visibility: "hidden"});
  svg.append(cursor);
  svg.addEventListener("pointermove", (event) => {
    const area = svg.getBoundingClientRect(), at = (event.clientX - area.left) / area.width * width;
    const step = first + (Math.max(LEFT, Math.min(width - RIGHT, at)) - LEFT) / (width - LEFT - RIGHT) * (last - first);
    fill(cursor, {x1: x(step), x2: x(step), visibility: "visible"}, []);
    say(step);
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    say(null);
  });
  say(null);
  return fill(box, {}, [svg, legend]);
}
