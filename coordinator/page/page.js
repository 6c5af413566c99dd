// Asks the server every two seconds for what the folder's files say, and draws it. The address names the
// job that is shown: #JOB.
"use strict";

const POLL_MS = 2000, LOST_MS = 10000;
const CHARTS = [
  ["Loss", [["loss", "training"], ["eval.heldout_loss", "held-out"]]],
  ["Tokens a second", [["tokens_per_s", "tokens/s"]]],
  ["BrierLM", [["eval.brier_lm", "BrierLM"]]],
];
const byId = (id) => document.getElementById(id);
let chosen = null, answeredAt = Date.now(), graphWidth = 0;

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store"});
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

const stateWord = (state) => make("span", {class: `state ${state}`}, state);
const isOver = (stage) => stage.state === "done" || stage.state === "reused";

function barKind(state) {
  if (state === "done" || state === "reused") return "done";
  if (state === "failed") return "failed";
  return state === "running" || state === "waiting" ? "" : "paused";
}

function showJobs(all) {
  byId("home").textContent = all.home;
  byId("jobs").replaceChildren(...all.jobs.map((job) => {
    const link = make("a", {href: "#" + encodeURIComponent(job.job_id), "aria-current": job.job_id === chosen ? "true" : null},
      make("div", {class: "title"}, make("span", {class: "name"}, job.name), stateWord(job.state)),
      make("div", {class: "small"}, job.job_id),
      bar(job.fraction, barKind(job.state)),
      make("div", {class: "small"}, `${job.at}, changed ${duration(all.now_ms - job.updated_ms)} ago`));
    return make("li", {}, link);
  }));
  if (all.jobs.length === 0) byId("jobs").append(make("li", {class: "small"}, "There is no job in this folder yet."));
  byId("unreadable").replaceChildren(...all.unreadable.map((line) => make("p", {}, "unreadable: " + line)));
}

function timeLeft(stage) {
  return stage.state === "running" && stage.pace > 0 ? (1 - stage.fraction) / stage.pace * 1000 : null;
}

// What a stage does now, or what it waits for.
function waitOf(stage, stages) {
  if (stage.state !== "waiting") return stage.note;
  const missing = stage.inputs.filter((label) => !isOver(stages.find((other) => other.label === label) ?? {}));
  return missing.length > 0 ? "waits for " + missing.join(", ") : stage.note || "waits for its turn";
}

function jobCard(job, nowMs) {
  const facts = [["time", duration(job.total_ms)]];
  const training = job.stages.filter((stage) => stage.steps > 0 && stage.step > 0).pop();
  if (training) {
    const figures = training.figures;
    facts.push(["step", `${count(training.step)} / ${count(training.steps)}`]);
    if (figures.loss !== undefined) facts.push(["loss", figure(figures.loss)]);
    if (figures.eval?.heldout_loss !== undefined) facts.push(["held-out loss", figure(figures.eval.heldout_loss)]);
    if (figures.tokens_per_s !== undefined) facts.push(["tokens/s", count(figures.tokens_per_s)]);
  }
  for (const stage of job.stages) {
    const left = timeLeft(stage);
    if (left !== null) facts.push([`${stage.label}: left`, duration(left)]);
  }
  const quiet = job.state === "running" && nowMs - job.updated_ms > LOST_MS
    ? `Its status was written ${duration(nowMs - job.updated_ms)} ago: its coordinator may be gone, or its disk slow.` : null;
  return make("div", {class: "card"},
    make("div", {class: "title"}, make("h2", {}, job.name), stateWord(job.state), make("span", {class: "small"}, job.job_id)),
    job.error ? make("p", {class: job.state === "failed" ? "reason" : "reason mild"}, job.error) : null,
    job.state === "partial" ? make("p", {class: "reason mild"}, `It was run until ${job.until}; the same command without --until goes on with it.`) : null,
    job.state === "interrupted" ? make("p", {class: "reason mild"}, "No process runs it now; the same command again goes on with it.") : null,
    quiet ? make("p", {class: "reason mild"}, quiet) : null,
    make("dl", {class: "figures"}, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))));
}

function table(title, heads, rows) {
  const cells = (row) => row.map(([content, kind], i) => make("td", {class: kind, "data-head": heads[i][0]}, content));
  return make("div", {class: "card"}, make("h3", {}, title), make("div", {class: "scroll"}, make("table", {class: "stack"},
    make("thead", {}, make("tr", {}, ...heads.map(([head, kind]) => make("th", {class: kind, scope: "col"}, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row)))))));
}

function stageTable(job, nowMs) {
  const heads = [["stage", null], ["state", null], ["progress", null], ["done", "number"], ["time", "number"], ["what", null]];
  return table("Stages", heads, job.stages.map((stage) => {
    const end = stage.state === "running" ? nowMs : stage.ended_ms;
    return [[stage.label, null], [stateWord(stage.state), null], [bar(stage.fraction, barKind(stage.state)), "progress"],
      [stage.steps > 0 ? `${stage.step} / ${stage.steps}` : stage.tasks > 0 ? `${stage.tasks_done} / ${stage.tasks}` : null, "number"],
      [stage.started_ms > 0 && end >= stage.started_ms ? duration(end - stage.started_ms) : null, "number"],
      [waitOf(stage, job.stages) || null, "words"]];
  }));
}

function workerTable(job, nowMs) {
  const heads = [["worker", null], ["host", null], ["health", null], ["step", "number"], ["does", null], ["waits for", null], ["since", "number"]];
  const healthy = new Set(["running", "idle", "waiting"]);
  return table(job.state === "running" ? "Ranks and agents" : "Ranks and agents, as last seen", heads, job.workers.map((worker) => [
    [worker.worker, null], [worker.host || null, null],
    [make("span", {class: `state ${healthy.has(worker.verdict) ? "running" : worker.verdict === "slow" ? "attention" : "lost"}`}, worker.verdict), null],
    [worker.step >= 0 ? String(worker.step) : null, "number"], [worker.phase || null, "words"], [worker.waits_for || null, "words"],
    [worker.since_ms > 0 ? duration(nowMs - worker.since_ms) : null, "number"]]));
}

function chartsOf(stage, curves, width) {
  const columns = width >= 820 ? 2 : 1, chartWidth = Math.max(260, Math.floor(width / columns) - (columns > 1 ? 42 : 34));
  const charts = [];
  for (const [title, wanted] of CHARTS) {
    const found = wanted.flatMap(([name, shown]) => (curves[name] ? [{...curves[name], name: shown}] : []));
    if (found.length > 0) charts.push(chart(`${title}: ${stage.label}`, found, chartWidth));
  }
  return charts;
}

function messageCard(messages) {
  return make("div", {class: "card"}, make("h3", {}, "Warnings and errors of the coordinator"),
    make("ul", {class: "log"}, ...messages.map((message) => make("li", {class: message.level},
      [message.time, ...Object.entries(message.fields).map(([key, value]) => `${key}=${value}`), message.message].join("  ")))));
}

// Redrawing under a pointer or a selection would take away what a person is looking at.
const isInUse = (part) => part.matches(":hover") || (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));

function place(parts) {
  const shown = byId("job"), next = parts.filter((part) => part !== null);
  if (shown.children.length !== next.length) return shown.replaceChildren(...next);
  next.forEach((part, i) => {
    if (!isInUse(shown.children[i]) || shown.children[i].className !== part.className) shown.children[i].replaceWith(part);
  });
}

async function showJob(id) {
  const answer = await ask("/api/jobs/" + encodeURIComponent(id)), job = answer.job;
  const trained = job.stages.filter((stage) => stage.has_metrics);
  const curves = await Promise.all(trained.map((stage) =>
    ask(`/api/jobs/${encodeURIComponent(id)}/curves/${encodeURIComponent(stage.label)}`)));
  if (id !== chosen) return;
  graphWidth = byId("job").clientWidth;
  const charts = trained.reverse().flatMap((stage, i) => chartsOf(stage, curves[trained.length - 1 - i].curves, graphWidth));
  place([
    jobCard(job, answer.now_ms),
    make("div", {class: "card"}, make("h3", {}, "Graph of the stages"), stageGraph(job.stages, graphWidth)),
    charts.length > 0 ? make("div", {class: "charts"}, ...charts) : null,
    stageTable(job, answer.now_ms),
    job.workers?.length > 0 ? workerTable(job, answer.now_ms) : null,
    answer.messages.length > 0 ? messageCard(answer.messages) : null,
  ]);
  document.title = `${job.name}: ${job.state}`;
}

async function update() {
  const all = await ask("/api/jobs");
  const named = decodeURIComponent(location.hash.slice(1));
  const known = all.jobs.some((job) => job.job_id === named);
  chosen = known ? named : all.jobs[0]?.job_id ?? null;
  showJobs(all);
  if (chosen !== null) await showJob(chosen); else byId("job").replaceChildren();
  answeredAt = Date.now();
}

function showConnection(error) {
  const place = byId("connection"), quietMs = Date.now() - answeredAt;
  place.className = error ? "lost" : "";
  place.textContent = error ? `no answer for ${duration(quietMs)}; what is shown is older` : "live";
}

let running = false, again = false;
async function turn() {
  if (running) { again = true; return; }
  running = true;
  do {
    again = false;
    let error = null;
    try { await update(); } catch (failure) { error = failure; }
    showConnection(error);
  } while (again);
  running = false;
}

addEventListener("hashchange", turn);
addEventListener("resize", () => { if (byId("job").clientWidth !== graphWidth) turn(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
setInterval(() => { if (!document.hidden) turn(); }, POLL_MS);
turn();
