// The question page: keeps the draft, grades without leaving the page, shows
// what changed since the last time.
import { Awaited } from "./awaited.js";
import { tie } from "./evidence.js";
import { gradeView, make } from "./fragment.js";
import { keepsake } from "./keepsake.js";
import { gradeOf } from "./service.js";
import { attemptsOf, best, draft, keepAttempt, keepDraft } from "./store.js";
import { timer } from "./timer.js";
import { trend } from "./trend.js";
import { figure, many, wordCount } from "./words.js";

const page = document.querySelector("[data-question]");
const ref = page.dataset.question;
const max = Number(page.dataset.max);
const find = (name) => page.querySelector(`[data-${name}]`);
const form = find("write");
const text = form.elements.answer;
const count = find("count");
const progress = find("progress");
const result = find("result");
const button = find("submit");

// The draft: what the page came with is newer than what was kept.
if (text.value === "") text.value = draft(ref);
/** excess is how many characters are more than what is graded. */
const excess = () => (text.value.length > max ? Math.max(0, [...text.value].length - max) : 0);
let saving = 0;
function wrote() {
  const over = excess();
  count.classList.toggle("over", over > 0);
  count.textContent = over ? `${many(over, "character", "characters")} too many` : many(wordCount(text.value), "word", "words");
  clearTimeout(saving);
  saving = setTimeout(() => keepDraft(ref, text.value), 300);
}
text.addEventListener("input", wrote);
addEventListener("pagehide", () => keepDraft(ref, text.value));
wrote();

const clock = timer(find("timer"));
find("keys").hidden = false;
if (/Mac|iP/.test(navigator.platform)) find("keys").textContent = "⌘ + Return grades";
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

function put(words, select) {
  text.value = words;
  wrote();
  text.scrollIntoView({ block: "center" });
  text.focus({ preventScroll: true });
  if (select) text.setSelectionRange(...select);
}
const example = find("example");
if (example) {
  const offer = () => {
    example.hidden = text.value !== "";
  };
  text.addEventListener("input", offer);
  example.addEventListener("click", () => {
    put(example.dataset.example);
    offer();
  });
  offer();
}

// Grading.
let busy = null;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  grade(event.submitter?.name === "judge" ? event.submitter.value : undefined);
});

async function grade(judge) {
  if (busy) return;
  const over = excess();
  if (over) {
    complain({ title: "The answer is too long", sentence: `It has ${many(over, "character", "characters")} too many: at most ${max.toLocaleString("en")} are graded.` });
    return;
  }
  busy = new AbortController();
  const answer = text.value.toWellFormed?.() ?? text.value;
  keepDraft(ref, text.value);
  button.setAttribute("aria-disabled", "true");
  const since = Date.now();
  wait("Reading your answer …");
  result.classList.add("awaited");
  const awaited = new Awaited(result, ref);
  const slow = setInterval(() => {
    const seconds = Math.round((Date.now() - since) / 1000);
    wait(`Reading your answer … ${[`${seconds} seconds`, awaited.said].filter(Boolean).join(", ")}`);
  }, 5000);
  try {
    const grade = await gradeOf({ question_id: ref, answer, judge }, (criterion) => awaited.decided(criterion), { signal: busy.signal });
    awaited.stop();
    const previous = attemptsOf(ref).at(-1)?.grade ?? null;
    const view = await gradeView({ grade, answer, previous, sample: true });
    clock.stop();
    keepAttempt(ref, { at: new Date().toISOString(), answer, grade });
    show(view);
    wait("");
    showAttempts();
  } catch (problem) {
    wait("");
    complain(problem);
  } finally {
    clearInterval(slow);
    awaited.end();
    result.classList.remove("awaited");
    button.removeAttribute("aria-disabled");
    busy = null;
  }
}

function wait(words) {
  progress.classList.toggle("busy", words !== "");
  progress.textContent = words;
  form.querySelector(".note")?.remove();
}

function complain(problem) {
  form.querySelector(".note")?.remove();
  const note = make("div", { class: "note warn", role: "alert" },
    make("p", {}, make("b", {}, problem.title ? `${problem.title}. ` : "Something went wrong. "), problem.sentence ?? "The page could not show the grade."));
  if (["model-unavailable", "model-misconfigured", "model-rejected", "model-timeout", "answer-too-long"].includes(problem.kind)) {
    note.append(make("p", {}, make("button", { class: "small", name: "judge", value: "lexical" }, "Estimate it without a model")));
  }
  form.insertBefore(note, progress);
}

// A grade on the page.
function show(view) {
  result.replaceChildren(view);
  dress();
  const title = result.querySelector("#grade-title");
  title.scrollIntoView({ block: "start" });
  title.focus({ preventScroll: true });
}

function dress() {
  tie(result);
  const fixes = result.querySelectorAll("[data-starter]");
  for (const starter of fixes) {
    starter.hidden = false;
    starter.addEventListener("click", () => {
      const before = text.value.trimEnd();
      const from = before === "" ? 0 : before.length + 2;
      const added = starter.dataset.starter;
      const gap = added.match(/\[[^\]]*\]/);
      put(before === "" ? added : `${before}\n\n${added}`, gap ? [from + gap.index, from + gap.index + gap[0].length] : [from, from + added.length]);
    });
  }
  if (result.firstElementChild && !result.querySelector("[data-again]")) {
    const again = make("button", { type: "button", class: "primary", "data-again": true }, "Try again");
    again.addEventListener("click", () => put(text.value, [text.value.length, text.value.length]));
    result.firstElementChild.append(make("p", { class: "again" }, again));
  }
}

// The attempts so far.
function showAttempts() {
  const list = attemptsOf(ref);
  const part = find("attempts");
  part.hidden = list.length === 0;
  const chart = find("trend");
  chart.replaceChildren(...[trend(list, chart.clientWidth)].filter(Boolean));
  const top = best(list);
  find("list").replaceChildren(...list.map((attempt, i) => line(attempt, list[i - 1], top)).reverse());
  kept();
}

function line(attempt, before, top) {
  const { score, band } = attempt.grade;
  const when = new Date(attempt.at);
  const open = make("button", { type: "button", class: "small" }, "Show", make("span", { class: "sr" }, ` the attempt of ${when.toLocaleString()}`));
  open.addEventListener("click", async () => {
    try {
      show(await gradeView({ grade: attempt.grade, answer: attempt.answer, previous: before?.grade ?? null, sample: true }));
    } catch (problem) {
      complain(problem);
    }
  });
  return make("li", {},
    make("time", { datetime: attempt.at }, when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" })),
    make("span", { class: "words" }, make("b", {}, score === null ? "No score" : `${figure(score)} ${band}`), score !== null && score === top ? ", your best" : "", `, ${many(wordCount(attempt.answer), "word", "words")}`),
    open);
}

const kept = keepsake(ref, () => {
  text.value = "";
  wrote();
  result.replaceChildren();
  showAttempts();
});
dress();
showAttempts();
