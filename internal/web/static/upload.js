// Where a batch begins: a file is checked, its cost estimated, and only then
// accepted.
import { make } from "./fragment.js";
import { answers, media } from "./rows.js";
import { ask } from "./service.js";
import { keepAnswers, mine, remember } from "./shelf.js";
import { many } from "./words.js";

const page = document.querySelector("[data-upload]");
const find = (name) => page.querySelector(`[data-${name}]`);
const form = find("check");
const drop = find("drop");
const progress = find("progress");
const checked = find("checked");
const pasted = form.querySelector("#pasted");
page.hidden = false;

let file = null; // {name, blob, kind, key}

// An upload larger than this, in bytes, leaves its answers to the service: they
// would fill the browser.
const mostKept = 50e6;

function choose(blob, name) {
  file = blob ? { blob, name } : null;
  find("file").textContent = file ? `${name}, ${size(blob.size)}` : "";
  drop.classList.toggle("chosen", Boolean(file));
  checked.hidden = true;
  say("");
}
const size = (bytes) => (bytes < 100_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

const input = form.querySelector("#file");
input.addEventListener("change", () => {
  if (!input.files[0]) return;
  choose(input.files[0], input.files[0].name);
  check();
});
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  const dropped = event.dataTransfer.files[0];
  const text = event.dataTransfer.getData("text");
  if (dropped) choose(dropped, dropped.name);
  else if (text) choose(new Blob([text]), "what was dropped");
  if (file) check();
});
// A file that misses its place must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
pasted.addEventListener("input", () => {
  if (pasted.value.trim() === "") choose(null);
  else choose(new Blob([pasted.value]), "what was pasted");
});
find("sample").addEventListener("click", async () => {
  try {
    choose(await (await ask("/batches/sample.csv")).blob(), "the sample");
    await check();
  } catch (problem) {
    refuse(problem);
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
form.addEventListener("change", (event) => {
  if (event.target !== input) checked.hidden = true; // what was checked was something else
});

function say(words) {
  progress.textContent = words;
  progress.classList.toggle("busy", words.endsWith("…"));
}

/** options is the query that goes with every request about the file. */
function options(more) {
  const query = new URLSearchParams(more);
  for (const name of ["question_id", "judge", "max_cost"]) {
    const value = form.elements[name].value.trim();
    if (value !== "") query.set(name, value);
  }
  return query;
}

/** busy is true while a request is under way: one at a time. */
let busy = false;

async function check() {
  if (busy) return;
  if (!file) {
    say("Choose a file first.");
    input.focus();
    return;
  }
  busy = true;
  say("Checking …");
  try {
    file.kind = media(await file.blob.slice(0, 1e6).text());
    file.key = crypto.randomUUID?.() ?? String(Math.random()).slice(2); // sent twice, it is still one batch
    const response = await ask(`/v1/batches?${options({ dry_run: "true", on_error: "skip" })}`, {
      method: "POST", headers: { "Content-Type": file.kind }, body: file.blob,
    });
    report(await response.json());
    say("");
  } catch (problem) {
    say("");
    refuse(problem);
  } finally {
    busy = false;
  }
}

function report(estimate) {
  const faults = estimate.errors ?? [];
  const skipped = estimate.skipped ?? 0;
  checked.querySelector("h2").textContent = skipped
    ? `${many(skipped, "row", "rows")} cannot be accepted`
    : `${many(estimate.items, "answer is", "answers are")} ready to be graded`;
  find("faults").replaceChildren(...(faults.length ? [faultTable(faults)] : []));
  const { usage } = estimate;
  const figures = [
    ["Answers", estimate.items.toLocaleString("en")],
    ["Distinct", estimate.distinct.toLocaleString("en")],
    ["Graded before", estimate.cached.toLocaleString("en")],
    ["Model calls", usage.calls ? `about ${usage.calls.toLocaleString("en")}` : "none"],
    ["Tokens", usage.calls ? `about ${(usage.prompt_tokens + usage.completion_tokens).toLocaleString("en")}` : "none"],
    ["Cost", usage.calls ? (usage.cost_usd == null ? "no price is known" : `about $${usage.cost_usd.toFixed(usage.cost_usd < 1 ? 4 : 2)}`) : "nothing"],
  ];
  find("estimate").replaceChildren(...figures.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  find("estimate").hidden = estimate.items === 0;
  const accept = make("button", { type: "button", class: "primary" },
    skipped ? `Leave them out and grade ${many(estimate.items, "answer", "answers")}` : `Grade ${many(estimate.items, "answer", "answers")}`);
  accept.addEventListener("click", () => send(skipped > 0));
  find("accept").replaceChildren(...(estimate.items ? [accept] : []));
  open();
}

function refuse(problem) {
  checked.querySelector("h2").textContent = problem.title ? `${problem.title}.` : "The file cannot be accepted.";
  find("faults").replaceChildren(make("p", { class: "fault", role: "alert" }, problem.sentence ?? "The file could not be read."),
    ...(problem.faults?.length ? [faultTable(problem.faults)] : []));
  find("estimate").replaceChildren();
  find("accept").replaceChildren();
  open();
}

function open() {
  checked.hidden = false;
  checked.scrollIntoView({ block: "nearest" });
  checked.focus({ preventScroll: true });
}

function faultTable(faults) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What is wrong" },
    make("table", { class: "faults" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Line"), make("th", { scope: "col" }, "What is wrong"))),
      make("tbody", {}, ...faults.map((fault) => make("tr", {},
        make("td", {}, fault.line ? String(fault.line) : "–"),
        make("td", {}, fault.pointer ? make("code", {}, fault.pointer) : null, fault.pointer ? " " : "", fault.detail))))));
}

async function send(skip) {
  if (busy) return;
  busy = true;
  say("Sending …");
  try {
    const response = await ask(`/v1/batches?${options(skip ? { on_error: "skip" } : {})}`, {
      method: "POST", headers: { "Content-Type": file.kind, "Idempotency-Key": file.key }, body: file.blob,
    });
    const batch = await response.json();
    remember({ id: batch.id, name: file.name, at: batch.created_at, total: batch.total });
    if (file.blob.size <= mostKept) await keepAnswers(batch.id, answers(await file.blob.text(), file.kind));
    location.assign(`/batches/${batch.id}`);
  } catch (problem) {
    say("");
    refuse(problem);
  } finally {
    busy = false;
  }
}

// What this browser has sent before.
const list = document.querySelector("[data-list]");
for (const batch of mine()) {
  const state = make("span", { class: "faint" });
  list.append(make("li", {},
    make("a", { href: `/batches/${encodeURIComponent(batch.id)}` }, `${many(batch.total ?? 0, "answer", "answers")} from ${batch.name ?? "a file"}`),
    make("time", { class: "faint", datetime: batch.at }, new Date(batch.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })),
    state));
  if (list.children.length > 10) continue;
  ask(`/v1/batches/${encodeURIComponent(batch.id)}`)
    .then((response) => response.json())
    .then((now) => { state.textContent = now.status; })
    .catch((problem) => { state.textContent = problem.status === 404 ? "no longer kept" : ""; });
}
document.querySelector("[data-mine]").hidden = list.children.length === 0;
