// The whole grade of one row, beside the table.
import { tie } from "./evidence.js";
import { gradeView, make } from "./fragment.js";

/** Drawer shows rows of a list one at a time. */
export class Drawer {
  #dialog = document.querySelector("[data-drawer]");
  #at = -1;
  #turn = 0; // of what was asked for last

  /** list gives the rows as they are shown; answerOf an answer or undefined;
   * closed is told which row was open. */
  constructor(list, answerOf, closed) {
    this.list = list;
    this.answerOf = answerOf;
    this.#dialog.querySelector("[data-previous]").addEventListener("click", () => this.open(this.#at - 1));
    this.#dialog.querySelector("[data-next]").addEventListener("click", () => this.open(this.#at + 1));
    this.#dialog.addEventListener("close", () => {
      this.#turn++; // what is still on its way comes too late
      closed(this.#at);
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // beside it
    });
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") this.open(this.#at - 1);
      if (event.key === "ArrowRight") this.open(this.#at + 1);
    });
  }

  async open(at) {
    const rows = this.list();
    const row = rows[at];
    if (!row) return;
    this.#at = at;
    const turn = ++this.#turn;
    const title = this.#dialog.querySelector("#drawer-title");
    const body = this.#dialog.querySelector("[data-body]");
    title.textContent = row.id;
    this.#dialog.querySelector("[data-previous]").disabled = at === 0;
    this.#dialog.querySelector("[data-next]").disabled = at === rows.length - 1;
    let view;
    if (row.grade) {
      const answer = await this.answerOf(row.id);
      try {
        view = await gradeView({ grade: row.grade, answer: answer ?? null, reader: true });
        if (answer === undefined) {
          view.append(make("p", { class: "faint" }, "Results hold grades, not answers. The browser that sent the file shows the answer here as well."));
        }
      } catch (problem) {
        view = make("p", { class: "fault" }, problem.sentence ?? "The grade cannot be shown.");
      }
    } else {
      view = make("div", { class: "note warn" }, make("p", {}, make("b", {}, `${row.error?.title ?? "There is no grade"}. `), row.error?.detail ?? ""));
    }
    if (turn !== this.#turn) return;
    body.replaceChildren(view);
    tie(body);
    body.scrollTop = 0;
    if (!this.#dialog.open) this.#dialog.showModal();
    title.focus({ preventScroll: true });
  }
}
