// The graph of a job's stages: a stage stands one rank after the last of those that it is made from. Ranks
// are columns on a wide screen and rows on a narrow one.
"use strict";

const BOX_WIDTH = 150, BOX_HEIGHT = 62, GAP_ALONG = 44, GAP_ACROSS = 16, AROUND = 40;

function ranksOf(stages) {
  const rank = new Map();
  for (const stage of stages) {  // inputs come first
    rank.set(stage.label, stage.inputs.reduce((most, input) => Math.max(most, (rank.get(input) ?? -1) + 1), 0));
  }
  return rank;
}

function placesOf(stages, isWide) {
  const rank = ranksOf(stages), used = new Map(), places = new Map();
  for (const stage of stages) {
    const along = rank.get(stage.label), across = used.get(along) ?? 0;
    used.set(along, across + 1);
    places.set(stage.label, isWide
      ? {x: 2 + along * (BOX_WIDTH + GAP_ALONG), y: 2 + across * (BOX_HEIGHT + GAP_ACROSS)}
      : {x: 2 + across * (BOX_WIDTH + GAP_ACROSS), y: 2 + along * (BOX_HEIGHT + GAP_ALONG)});
  }
  return places;
}

// Over several ranks it goes around the boxes between.
function edge(from, to, isWide, isLong) {
  const half = isWide ? BOX_WIDTH / 2 : BOX_HEIGHT / 2;
  if (isLong && isWide) {
    const y = Math.max(from.y, to.y) + BOX_HEIGHT;
    return `M${from.x + half} ${from.y + BOX_HEIGHT}C${from.x + half} ${y + AROUND} ${to.x + half} ${y + AROUND} ${to.x + half} ${to.y + BOX_HEIGHT}`;
  }
  if (isLong) {
    const x = Math.max(from.x, to.x) + BOX_WIDTH;
    return `M${from.x + BOX_WIDTH} ${from.y + half}C${x + AROUND} ${from.y + half} ${x + AROUND} ${to.y + half} ${to.x + BOX_WIDTH} ${to.y + half}`;
  }
  const x1 = from.x + (isWide ? BOX_WIDTH : BOX_WIDTH / 2), y1 = from.y + (isWide ? BOX_HEIGHT / 2 : BOX_HEIGHT);
  const x2 = to.x + (isWide ? 0 : BOX_WIDTH / 2), y2 = to.y + (isWide ? BOX_HEIGHT / 2 : 0);
  const bend = isWide ? [(x1 + x2) / 2, y1, (x1 + x2) / 2, y2] : [x1, (y1 + y2) / 2, x2, (y1 + y2) / 2];
  return `M${x1} ${y1}C${bend[0]} ${bend[1]} ${bend[2]} ${bend[3]} ${x2} ${y2}`;
}

function stageCount(stage) {
  if (stage.state === "waiting" || stage.state === "reused") return stage.state;
  if (stage.steps > 0) return `${stage.state}, ${count(stage.step)} / ${count(stage.steps)}`;
  if (stage.tasks > 1) return `${stage.state}, ${count(stage.tasks_done)} / ${count(stage.tasks)}`;
  return stage.state;
}

const shortened = (text, most) => (text.length <= most ? text : text.slice(0, most - 1) + "…");

function stageGraph(stages, width) {
  const isWide = width >= 700, places = placesOf(stages, isWide), rank = ranksOf(stages);
  const isLong = (stage, input) => rank.get(stage.label) - rank.get(input) > 1;
  const anyLong = stages.some((stage) => stage.inputs.some((input) => isLong(stage, input)));
  let right = 0, bottom = 0;
  for (const {x, y} of places.values()) {
    right = Math.max(right, x + BOX_WIDTH + 2);
    bottom = Math.max(bottom, y + BOX_HEIGHT + 2);
  }
  if (anyLong && isWide) bottom += AROUND; else if (anyLong) right += AROUND;
  const svg = draw("svg", {class: "graph", viewBox: `0 0 ${right} ${bottom}`, role: "img", "aria-label": "Graph of the stages"});
  svg.style.maxWidth = `${right}px`;
  for (const stage of stages) {
    for (const input of stage.inputs) {
      if (!places.has(input)) continue;
      svg.append(draw("path", {class: "edge", d: edge(places.get(input), places.get(stage.label), isWide, isLong(stage, input))}));
    }
  }
  for (const stage of stages) {
    const {x, y} = places.get(stage.label), inner = BOX_WIDTH - 20;
    svg.append(draw("g", {transform: `translate(${x} ${y})`},
      draw("title", {}, `${stage.label}: ${stageCount(stage)}${stage.note ? ", " + stage.note : ""}`),
      draw("rect", {class: `box ${stage.state}`, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 8}),
      draw("text", {class: "label", x: 10, y: 20}, shortened(stage.label, 20)),
      draw("text", {class: "sub", x: 10, y: 38}, shortened(stageCount(stage), 23)),
      draw("rect", {class: "bar", x: 10, y: 47, width: inner, height: 5, rx: 2.5}),
      draw("rect", {class: `part ${stage.state}`, x: 10, y: 47, width: inner * Math.max(0, Math.min(1, stage.fraction)), height: 5, rx: 2.5})));
  }
  return svg;
}
