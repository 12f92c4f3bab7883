// What is shown where a grade is to be, for as long as it is not there.
import { make } from "./fragment.js";
import { counts, verdictOf } from "./marks.js";
import { ask } from "./service.js";
import { topic } from "./words.js";

const patience = 300; // milliseconds; who waits no longer is shown nothing

/** Awaited lists the criteria of a question, with the verdict of each as soon as
 * it is decided, in the place of the grade. */
export class Awaited {
  #place;
  #before = null; // what stood there
  #list = make("ol");
  #tally = make("span", { class: "faint" });
  #rows = new Map(); // by id of the criterion
  #decided = new Map();
  #over = false;
  #timer;

  constructor(place, ref) {
    this.#place = place;
    this.#timer = setTimeout(() => this.#open(ref), patience);
  }

  /** decided takes a verdict, or another one on the same criterion. */
  decided(criterion) {
    if (!this.#decided.has(criterion.id) && !counts(criterion)) return;
    this.#decided.set(criterion.id, criterion);
    if (this.#before) this.#mark(criterion);
  }

  /** said is how far it is, in words; empty where that is not shown. */
  get said() {
    return this.#before ? this.#tally.textContent : "";
  }

  /** stop keeps what is not shown yet from being shown: the grade is there. */
  stop() {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /** end leaves what stood there before, unless the grade has taken its place. */
  end() {
    this.stop();
    if (this.#list.isConnected) this.#place.replaceChildren(...this.#before);
  }

  async #open(ref) {
    const path = ref.split("/").map(encodeURIComponent);
    // Without the question there is a row for each criterion that is decided.
    const criteria = await ask(`/v1/sets/${path[0]}/questions/${path[1]}`).then(async (r) => (await r.json()).criteria).catch(() => []);
    if (this.#over) return;
    for (const c of criteria) if ((c.kind ?? "core") === "core") this.#row(c); // all at once, so that nothing moves later
    this.#before = [...this.#place.childNodes];
    this.#place.replaceChildren(make("section", { class: "deciding", "aria-labelledby": "deciding-title" },
      make("div", { class: "section-head" }, make("h2", { id: "deciding-title" }, "Criterion by criterion"), this.#tally),
      this.#list));
    for (const c of this.#decided.values()) this.#mark(c);
    this.#count();
    this.#list.parentElement.scrollIntoView({ block: "nearest" });
  }

  #row(criterion) {
    const n = this.#rows.size + 1;
    const row = make("li", {},
      make("span", { class: "n", "aria-hidden": "true" }, n),
      make("p", {}, make("b", {}, topic(criterion.id, n)), make("span", { class: "statement" }, criterion.statement)),
      make("span", { class: "verdict" }, "Not yet"));
    this.#rows.set(criterion.id, row);
    this.#list.append(row);
    return row;
  }

  #mark(criterion) {
    const row = this.#rows.get(criterion.id) ?? this.#row(criterion);
    const { name, said, mark } = verdictOf(criterion);
    row.className = "decided";
    row.querySelector(".verdict").replaceWith(make("span", { class: `verdict ${name}` }, mark, said));
    this.#count();
  }

  #count() {
    this.#tally.textContent = `${this.#decided.size} of ${this.#rows.size} decided`;
  }
}
