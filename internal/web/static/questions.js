// Marks, in a list of questions, what was tried and how well it went; sends the
// example off.
import { make } from "./fragment.js";
import { keepsake } from "./keepsake.js";
import { all, best } from "./store.js";
import { figure } from "./words.js";

function mark() {
  const kept = all();
  for (const item of document.querySelectorAll("[data-ref]")) {
    const list = kept[item.dataset.ref] ?? [];
    const slot = item.querySelector("[data-best]");
    slot.replaceChildren();
    if (list.length === 0) continue;
    const score = best(list);
    slot.append(make("span", { class: "dot done" }));
    if (score === null) slot.append("tried");
    else slot.append("best ", make("b", {}, figure(score)));
  }
  for (const set of document.querySelectorAll("[data-set]")) {
    const tried = Object.entries(kept).filter(([ref, list]) => ref.startsWith(set.dataset.set + "/") && list.length > 0).length;
    const slot = set.querySelector("[data-tried]");
    slot.dataset.all ??= slot.textContent;
    slot.textContent = tried ? `${slot.dataset.all.trim()}${slot.dataset.all.trim() ? ", " : ""}${tried} tried` : slot.dataset.all;
  }
}

mark();
keepsake("", mark);

// A model takes its time over the example: say so, and ask it once.
const example = document.querySelector(".try");
example?.addEventListener("submit", (event) => {
  const button = example.querySelector("button");
  if (button.hasAttribute("aria-disabled")) event.preventDefault();
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Reading the answer …";
});
