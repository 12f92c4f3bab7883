// The page of one batch: follows it live, and shows what came of it.
import { Drawer } from "./drawer.js";
import { make } from "./fragment.js";
import { Matrix } from "./matrix.js";
import { missed, scores } from "./overview.js";
import { ask } from "./service.js";
import { answersOf, forget, mine } from "./shelf.js";
import { many, states, verdicts } from "./words.js";

const page = document.querySelector("[data-batch]");
const reading = document.querySelector("[data-reading]");
reading.hidden = false;
const id = page.dataset.batch;
const path = `/v1/batches/${encodeURIComponent(id)}`;
const find = (name) => page.querySelector(`[data-${name}]`);
const low = 40; // below is the band weak

let batch = null;
const rows = []; // by place in the upload; some may still be missing
let shown = []; // those that pass the filter, in the order of the table
const kept = answersOf(id); // a promise of the answers, by id
let words = new Map(); // the same, once it is there, for the search
kept.then((map) => { words = map; });

for (const item of page.querySelectorAll("[data-legend]")) item.querySelector("span").textContent = verdicts[item.dataset.legend];

// The batch itself.
const isOver = () => batch.status === "completed" || batch.status === "cancelled";
function appear() {
  reading.hidden = true;
  page.hidden = false;
}
let said = "";
function state(now) {
  batch = now;
  appear();
  const over = isOver();
  const done = now.total - now.pending;
  const name = mine().find((b) => b.id === id)?.name;
  find("title").textContent = `${many(now.total, "answer", "answers")}${name ? ` from ${name}` : ""}`;
  const parts = [`${now.graded.toLocaleString("en")} graded`];
  if (now.needs_review) parts.push(`${many(now.needs_review, "needs", "need")} review`);
  if (now.failed) parts.push(`${now.failed.toLocaleString("en")} failed`);
  if (now.cancelled) parts.push(`${now.cancelled.toLocaleString("en")} not graded`);
  if (now.pending) parts.push(`${now.pending.toLocaleString("en")} to go`);
  if (now.cached) parts.push(`${now.cached.toLocaleString("en")} graded before`);
  if (now.usage.calls) parts.push(`${many(now.usage.calls, "call", "calls")}${now.usage.cost_usd == null ? "" : `, $${now.usage.cost_usd.toFixed(now.usage.cost_usd < 1 ? 4 : 2)}`}`);
  find("state").replaceChildren(make("b", {}, `${states[now.status] ?? now.status}.`), ` ${parts.join(" · ")}`);
  find("bar").replaceChildren(bar(now));
  find("cancel").hidden = over;
  document.title = `${over ? "" : `${Math.floor((100 * done) / Math.max(1, now.total))} % · `}${many(now.total, "answer", "answers")} · gradus`;
  const notes = [];
  if (now.status === "paused") notes.push(`It waits, and goes on by itself: ${now.paused_reason ?? "the service is busy"}.`);
  if (!now.durable && !over) notes.push("This service keeps batches in memory: this one ends if the process does.");
  if (now.mixed) notes.push("Versions of the prompt or the program changed while this batch ran; each row names its own.");
  find("notes").replaceChildren(...notes.map((note) => make("div", { class: "note warn" }, make("p", {}, note))));
  // Aloud: each tenth, and the end.
  const tenth = over ? `${states[now.status]}: ${parts.join(", ")}.` : `${Math.floor((10 * done) / Math.max(1, now.total)) * 10} percent.`;
  if (tenth !== said) find("says").textContent = said = tenth;
  return over;
}

function bar(now) {
  const chart = make("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": `${now.total - now.pending} of ${now.total} done` });
  chart.append(make("rect", { class: "whole", width: 1000, height: 10 }));
  let x = 0;
  for (const kind of ["graded", "needs_review", "failed", "cancelled"]) {
    const width = (1000 * now[kind]) / Math.max(1, now.total);
    if (width > 0) chart.append(make("rect", { class: kind, x, width, height: 10 }));
    x += width;
  }
  return chart;
}

function trouble(problem) {
  appear();
  find("state").replaceChildren(make("b", {}, problem.status === 404 ? "There is no such batch. " : `${problem.title || "Something went wrong"}. `),
    problem.status === 404 ? "It was never sent, was erased, is too old, or belongs to somebody else." : (problem.sentence ?? ""));
  for (const part of page.querySelectorAll("[data-bar], [data-download], [data-cancel]")) part.hidden = true;
}

// Answers are graded in an order of their own. What is there is read again, from
// the first row that is missing, whenever the batch has changed; a large batch
// takes longer to read, and is read less often.
const leastPause = 500; // in milliseconds
const mostPause = 10_000; // without a word from the service
let changed = () => {}; // wakes follow

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
/** seen waits until somebody looks at the page. */
const seen = () => (document.hidden ? new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true })).then(seen) : null);

async function read() {
  let from = 0;
  while (rows[from]) from++;
  const response = await ask(`${path}/results?from=${from}`, { headers: { Accept: "application/x-ndjson" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines) {
      // What is graded stays as it is: a row that is known need not be read.
      if (line.trim() === "" || rows[/^\{"index":(\d+),/.exec(line)?.[1]]) continue;
      const row = JSON.parse(line);
      rows[row.index] ??= row;
    }
    later();
    if (done) return;
  }
}

/** follow reads until the batch is over and all of it is here. What the network
 * breaks off is tried again. */
async function follow() {
  for (let failed = 0; ; ) {
    await seen();
    const over = isOver(); // asked before reading: then there is nothing more to come
    const change = new Promise((resolve) => { changed = resolve; });
    const began = Date.now();
    try {
      await read();
      if (over) return;
      failed = 0;
      await pause(Math.max(leastPause, 4 * (Date.now() - began)));
      if (await Promise.race([change, pause(mostPause)]) === undefined) state(await (await ask(path)).json()); // should an event have been lost
    } catch (problem) {
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) return;
      await pause(Math.min(mostPause, leastPause * 2 ** failed++));
    }
  }
}

function watch() {
  const events = new EventSource(`${path}/events`);
  const hear = (event) => {
    if (state(JSON.parse(event.data))) events.close();
    changed(true);
  };
  events.addEventListener("progress", hear);
  events.addEventListener("done", hear);
}

// What is shown.
const matrix = new Matrix(find("matrix"), (at) => drawer.open(at));
const drawer = new Drawer(() => shown, async (row) => (await kept).get(row), (at) => matrix.focus(at));
const which = find("which");
const search = find("search");
const sort = find("sort");
const filters = [...page.querySelectorAll("[name=show]")];

const tests = {
  all: () => true,
  review: (row) => row.status === "needs_review",
  failed: (row) => row.status === "failed",
  low: (row) => typeof row.grade?.score === "number" && row.grade.score < low,
};
const orders = {
  low: (a, b) => (a.grade?.score ?? Infinity) - (b.grade?.score ?? Infinity) || a.index - b.index,
  high: (a, b) => (b.grade?.score ?? -Infinity) - (a.grade?.score ?? -Infinity) || a.index - b.index,
  id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }),
};

/** questions is what was asked, the most frequent first. */
function questions(all) {
  const found = new Map();
  for (const row of all) if (row.grade) found.set(row.grade.question_id, (found.get(row.grade.question_id) ?? 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1]);
}

function update() {
  const all = rows.filter(Boolean);
  find("results").hidden = all.length === 0;
  if (all.length === 0) return;
  const asked = questions(all);
  const several = asked.length > 1;
  find("pick").hidden = !several;
  if (several && which.options.length !== asked.length + 1) {
    const chosen = which.value;
    which.replaceChildren(make("option", { value: "" }, "All questions"), ...asked.map(([ref, n]) => make("option", { value: ref }, `${ref} (${n})`)));
    which.value = chosen;
  }
  const question = several ? which.value : asked[0]?.[0] ?? "";
  const group = several && question ? all.filter((row) => row.grade?.question_id === question) : all;
  // A question can have criteria of several versions; the newest row has those that count.
  const columns = question ? group.findLast((row) => row.grade)?.grade.criteria ?? null : null;

  find("scores").replaceChildren(scores(group));
  page.querySelector("[data-legend=pitfall]").hidden = !all.some((row) => row.grade?.criteria.some((c) => c.kind === "pitfall" && c.credit > 0));
  find("missed-part").hidden = !columns;
  if (columns) find("missed").replaceChildren(missed(group));

  for (const [name, test] of Object.entries(tests)) page.querySelector(`[data-n="${name}"]`).textContent = group.filter(test).length.toLocaleString("en");
  const wanted = search.value.trim().toLowerCase();
  const test = tests[filters.find((f) => f.checked)?.value ?? "all"];
  shown = group.filter((row) => test(row) && (wanted === "" || row.id.toLowerCase().includes(wanted) || words.get(row.id)?.toLowerCase().includes(wanted)));
  if (orders[sort.value]) shown.sort(orders[sort.value]);
  find("shown").textContent = shown.length === group.length ? "" : `${shown.length.toLocaleString("en")} of ${group.length.toLocaleString("en")} shown`;
  find("none").hidden = shown.length > 0;
  find("none").textContent = "No answer matches.";
  find("matrix").hidden = shown.length === 0;
  matrix.show(shown, columns);
}

// Rows come faster than anybody reads: redraw a few times a second.
let due = 0;
function later() {
  due ||= setTimeout(() => {
    due = 0;
    update();
  }, 200);
}

// What was chosen stays in the address, so that a reload or a link shows it.
const chosen = new URLSearchParams(location.search);
for (const filter of filters) filter.checked = filter.value === (chosen.get("show") ?? "all");
search.value = chosen.get("q") ?? "";
sort.value = orders[chosen.get("sort")] ? chosen.get("sort") : "";
function choose() {
  const query = new URLSearchParams();
  const show = filters.find((f) => f.checked)?.value;
  if (show && show !== "all") query.set("show", show);
  if (search.value) query.set("q", search.value);
  if (sort.value) query.set("sort", sort.value);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  update();
}
for (const part of [...filters, sort, which]) part.addEventListener("change", choose);
search.addEventListener("input", choose);

// Stop, or erase.
const question = document.querySelector("[data-ask]");
function sure(title, what, yes) {
  question.querySelector("h2").textContent = title;
  question.querySelector("[data-ask-what]").textContent = what;
  question.querySelector("[data-yes]").textContent = yes;
  question.returnValue = "";
  question.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      if (question.open) return; // an earlier closing, heard of late
      question.removeEventListener("close", closed);
      resolve(question.returnValue === "yes");
    };
    question.addEventListener("close", closed);
  });
}
find("cancel").addEventListener("click", async () => {
  if (!(await sure("Stop grading?", "What is graded stays. The rest is not graded.", "Stop"))) return;
  try {
    state(await (await ask(path, { method: "DELETE" })).json());
    changed(true);
  } catch (problem) {
    trouble(problem);
  }
});
find("erase").addEventListener("click", async () => {
  if (!(await sure("Erase this batch?", "Its results are erased from the service, and its answers from this browser. This cannot be undone.", "Erase"))) return;
  try {
    await ask(`${path}?purge=1`, { method: "DELETE" });
  } catch (problem) {
    if (problem.status !== 404) {
      trouble(problem);
      return;
    }
  }
  await forget(id);
  location.assign("/batches");
});

async function begin() {
  try {
    if (!state(await (await ask(path)).json())) watch();
    follow();
  } catch (problem) {
    trouble(problem);
  }
}
begin();
