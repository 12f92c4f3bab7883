// Answers by criteria. Only the rows in sight are in the page, so that
// thousands scroll as smoothly as ten.
import { make } from "./fragment.js";
import { counts, verdictOf } from "./marks.js";
import { figure, topic } from "./words.js";

const rowHeight = 44;
const beyond = 12; // rows kept ready above and below
const mostPrinted = 2000;

const ends = { graded: "", needs_review: "Needs review", failed: "Failed", cancelled: "Not graded" };

/** Matrix shows rows in a scrolling region and says which one was opened. */
export class Matrix {
  #region;
  #head;
  #body;
  #rows = [];
  #columns = null; // criteria, or null where rows are of several questions
  #headed = undefined; // their ids, as the head was made for
  #of = new WeakMap(); // what a row of the table shows
  #from = -1;
  #to = -1;

  constructor(region, open) {
    this.#region = region;
    this.#head = region.querySelector("thead");
    this.#body = region.querySelector("tbody");
    region.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(region);
    // Paper does not scroll.
    addEventListener("beforeprint", () => this.#draw(true, mostPrinted));
    addEventListener("afterprint", () => this.#draw(true));
    this.#body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-at]");
      if (row && getSelection().isCollapsed) open(Number(row.dataset.at));
    });
    this.#body.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const row = event.target.closest("tr[data-at]");
      if (!step || !row) return;
      event.preventDefault();
      this.focus(Number(row.dataset.at) + step);
    });
  }

  /** show replaces the rows. columns are the criteria of the one question. */
  show(rows, columns) {
    this.#rows = rows;
    this.#columns = columns;
    const focused = this.#body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.at : null;
    this.#title();
    this.#draw(true);
    if (focused != null && !this.#body.contains(document.activeElement)) this.#body.querySelector(`tr[data-at="${focused}"] button`)?.focus({ preventScroll: true });
  }

  /** title makes the head, and the table anew, where the columns are others. */
  #title() {
    const table = this.#region.querySelector("table");
    table.setAttribute("aria-rowcount", this.#rows.length + 1);
    const columns = this.#columns;
    const ids = columns?.map((c) => c.id).join(" ") ?? null;
    if (ids === this.#headed) return;
    this.#headed = ids;
    this.#body.replaceChildren();
    table.style.minWidth = columns ? `${25 + 2.9 * columns.length}rem` : "48rem";
    this.#head.replaceChildren(make("tr", {},
      make("th", { scope: "col", class: "who" }, "Answer"),
      make("th", { scope: "col", class: "score" }, "Score"),
      ...(columns
        ? columns.map((c, i) => make("th", { scope: "col", class: "turned", title: c.statement }, make("span", {}, topic(c.id, i + 1))))
        : [make("th", { scope: "col", class: "topic" }, "Question"), make("th", { scope: "col", class: "strip" }, "Criteria")]),
      make("th", { scope: "col", class: "end" }, make("span", { class: "sr" }, "State"))));
  }

  /** focus brings a row into sight and gives it the focus. */
  focus(at) {
    if (at < 0 || at >= this.#rows.length) return;
    const top = this.#head.offsetHeight;
    const { scrollTop, clientHeight } = this.#region;
    const y = at * rowHeight;
    if (y < scrollTop) this.#region.scrollTop = y;
    else if (y + rowHeight > scrollTop + clientHeight - top) this.#region.scrollTop = y + rowHeight - clientHeight + top;
    this.#draw();
    this.#body.querySelector(`tr[data-at="${at}"] button`)?.focus({ preventScroll: true });
  }

  #draw(fresh = false, more = 0) {
    const { clientHeight } = this.#region;
    // Fewer rows than before: the region will find out when they are drawn.
    const scrollTop = Math.min(this.#region.scrollTop, Math.max(0, this.#rows.length * rowHeight - clientHeight));
    const from = Math.max(0, Math.floor(scrollTop / rowHeight) - beyond - more);
    const to = Math.min(this.#rows.length, Math.ceil((scrollTop + clientHeight) / rowHeight) + beyond + more);
    if (!fresh && from === this.#from && to === this.#to) return;
    this.#from = from;
    this.#to = to;
    // A row that stays in sight stays the same element, wherever others come in:
    // it keeps the focus, and a click that is half done.
    const wanted = new Set(this.#rows.slice(from, to));
    const kept = new Map();
    for (const line of [...this.#body.children]) {
      const row = this.#of.get(line);
      if (wanted.has(row)) kept.set(row, line);
      else line.remove();
    }
    let next = this.#body.firstChild;
    for (let at = from; at < to; at++) {
      const line = kept.get(this.#rows[at]) ?? this.#row(this.#rows[at]);
      line.dataset.at = at;
      line.setAttribute("aria-rowindex", at + 2);
      if (line === next) next = next.nextSibling;
      else this.#body.insertBefore(line, next);
    }
    this.#body.prepend(spacer(from));
    this.#body.append(spacer(this.#rows.length - to));
  }

  #row(row) {
    const { grade } = row;
    const score = grade?.score;
    const byID = this.#columns && new Map((grade?.criteria ?? []).map((c) => [c.id, c]));
    const line = make("tr", { class: row.status },
      make("th", { scope: "row", class: "who" }, make("button", { type: "button", class: "plain" }, row.id)),
      make("td", { class: "score" }, typeof score === "number" ? make("b", {}, figure(score)) : "–"),
      ...(this.#columns
        ? this.#columns.map((c) => make("td", { class: "cell" }, sign(byID.get(c.id))))
        : [make("td", { class: "topic" }, grade?.question_id ?? ""), make("td", { class: "strip" }, ...(grade?.criteria ?? []).map(sign))]),
      make("td", { class: "end" }, ends[row.status] ?? row.status));
    this.#of.set(line, row);
    return line;
  }
}

/** sign is a verdict by shape and colour, with its word for those who see
 * neither. */
function sign(criterion) {
  if (!criterion) return null;
  if (!counts(criterion)) return make("span", { class: "nothing" }, make("span", { class: "sr" }, "none"));
  const { name, said, mark } = verdictOf(criterion);
  return make("span", { class: `verdict ${name}`, title: said }, mark, make("span", { class: "sr" }, said));
}

function spacer(rows) {
  const row = make("tr", { "aria-hidden": "true", class: "spacer" });
  row.style.height = `${rows * rowHeight}px`;
  return row;
}
