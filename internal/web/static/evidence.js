// Ties the marked answer to the criteria: what is pointed at or chosen on one
// side is shown on the other.

/** tie wires the grades below a root. */
export function tie(root) {
  for (const grade of root.querySelectorAll("[data-grade]:not([data-tied])")) {
    grade.dataset.tied = "";
    tieGrade(grade);
  }
}

function tieGrade(grade) {
  const answer = grade.querySelector("[data-answer]");
  const marks = [...grade.querySelectorAll("[data-answer] mark")];
  const cards = [...grade.querySelectorAll("[data-card]")];
  const on = (mark) => mark.dataset.marks.split(" ");

  const pick = (numbers) => {
    answer?.classList.toggle("picking", numbers.length > 0 && marks.some((mark) => on(mark).some((n) => numbers.includes(n))));
    for (const mark of marks) mark.classList.toggle("on", on(mark).some((n) => numbers.includes(n)));
    for (const card of cards) card.classList.toggle("on", numbers.includes(card.dataset.card));
  };
  // What is pointed at comes before what has the focus.
  let pointed = [];
  let focused = [];
  const update = () => pick(pointed.length ? pointed : focused);
  const numbersOf = (target) => {
    const mark = target.closest?.("[data-answer] mark");
    if (mark) return on(mark);
    const card = target.closest?.("[data-to]")?.dataset.to ?? target.closest?.("[data-card]")?.dataset.card;
    return card ? [card] : [];
  };
  grade.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    pointed = numbersOf(event.target);
    update();
  });
  grade.addEventListener("pointerleave", () => {
    pointed = [];
    update();
  });
  grade.addEventListener("focusin", (event) => {
    focused = numbersOf(event.target);
    update();
  });
  grade.addEventListener("focusout", () => {
    focused = [];
    update();
  });
  grade.addEventListener("click", (event) => {
    const mark = event.target.closest("[data-answer] mark");
    if (mark && getSelection().isCollapsed) {
      show(grade.querySelector(`[data-card="${on(mark)[0]}"]`));
      return;
    }
    // The links work by themselves; this keeps them out of the history.
    const link = event.target.closest('a[href^="#"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const there = grade.querySelector(`[id="${link.hash.slice(1)}"]`);
    if (!there) return;
    event.preventDefault();
    if (there.matches("[data-card]")) show(there);
    else {
      const number = there.id.split("-")[1];
      there.nextElementSibling?.scrollIntoView({ block: "center" });
      // Back by keyboard: the reference that follows the passage leads here.
      grade.querySelector(`.ref[data-to="${number}"]`)?.focus({ preventScroll: true });
    }
  });
  const show = (card) => {
    card?.scrollIntoView({ block: "nearest" });
    card?.focus({ preventScroll: true });
  };
}
