// Verdicts by shape and colour, as the service draws them.
import { verdicts } from "./words.js";

const marks = Object.fromEntries([...document.querySelectorAll("template[data-mark]")].map((t) => [t.dataset.mark, t.content.firstElementChild]));

/** counts says whether a criterion is shown: a bonus not earned is not missing,
 * and a pitfall avoided is no news. */
export const counts = (criterion) => criterion.kind === "core" || criterion.credit > 0;

/** verdictOf is what a criterion that counts is marked as. */
export function verdictOf(criterion) {
  const name = criterion.kind === "pitfall" ? "pitfall" : criterion.verdict;
  return { name, said: verdicts[name] ?? name, mark: (marks[name] ?? marks.cannot_assess).cloneNode(true) };
}
