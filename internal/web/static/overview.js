// The group at a glance: how the scores are spread, and which criteria are met.
import { make } from "./fragment.js";
import { figure, topic } from "./words.js";

/** scores draws how many answers fell into each tenth of the scale. */
export function scores(rows) {
  const all = rows.map((row) => row.grade?.score).filter((s) => typeof s === "number");
  if (all.length === 0) return make("p", { class: "faint" }, "There are no scores.");
  const bins = new Array(10).fill(0);
  for (const s of all) bins[Math.min(9, Math.floor(s / 10))]++;
  const top = Math.max(...bins);
  const sorted = all.toSorted((a, b) => a - b);
  const median = (sorted[Math.floor((all.length - 1) / 2)] + sorted[Math.ceil((all.length - 1) / 2)]) / 2;
  const words = bins.map((n, i) => (n ? `${n} from ${i * 10} to ${i === 9 ? 100 : i * 10 + 9}` : "")).filter(Boolean).join(", ");
  const chart = make("svg", { class: "histogram", viewBox: "0 0 400 130", role: "img", "aria-label": `Scores: ${words}.` });
  bins.forEach((n, i) => {
    const height = n ? Math.max(3, (n / top) * 86) : 1;
    chart.append(make("rect", { class: n ? "some" : "none", x: i * 40 + 2, y: 108 - height, width: 36, height, rx: n ? 3 : 0 }));
    if (n) chart.append(make("text", { x: i * 40 + 20, y: 102 - height, "text-anchor": "middle", class: "n" }, n.toLocaleString("en")));
  });
  for (const edge of [0, 40, 60, 80, 100]) {
    chart.append(make("text", { x: edge * 4, y: 127, "text-anchor": edge === 0 ? "start" : edge === 100 ? "end" : "middle" }, String(edge)));
  }
  const mean = all.reduce((sum, s) => sum + s, 0) / all.length;
  return make("div", {}, make("p", { class: "median" }, make("b", {}, figure(median)), " median, ", figure(mean), " mean"), chart);
}

/** missed lists the criteria, the one that fewest meet first. */
export function missed(rows) {
  const tally = new Map();
  for (const row of rows) {
    for (const [i, c] of (row.grade?.criteria ?? []).entries()) {
      if (c.kind === "bonus" || c.kind === "pitfall") continue;
      const t = tally.get(c.id) ?? { id: c.id, n: i + 1, statement: c.statement, met: 0, partial: 0, rest: 0, unknown: 0 };
      tally.set(c.id, t);
      if (c.verdict === "met") t.met++;
      else if (c.verdict === "partial") t.partial++;
      else if (c.verdict === "cannot_assess") t.unknown++;
      else t.rest++;
    }
  }
  const list = [...tally.values()].map((t) => ({ ...t, judged: t.met + t.partial + t.rest })).filter((t) => t.judged > 0);
  list.sort((a, b) => a.met / a.judged - b.met / b.judged || a.partial / a.judged - b.partial / b.judged);
  if (list.length === 0) return make("p", { class: "faint" }, "No criterion has been judged.");
  return make("ol", { class: "missed" }, ...list.map((t) => {
    const met = (100 * t.met) / t.judged;
    const partial = (100 * t.partial) / t.judged;
    return make("li", { title: t.statement },
      make("span", { class: "what" }, topic(t.id, t.n)),
      make("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
        make("rect", { class: "whole", width: 100, height: 8 }),
        make("rect", { class: "met", width: met, height: 8 }),
        make("rect", { class: "partial", x: met, width: partial, height: 8 })),
      make("span", { class: "share" }, make("b", {}, t.met.toLocaleString("en")), ` of ${t.judged.toLocaleString("en")} met`, t.partial ? `, ${t.partial.toLocaleString("en")} in part` : ""));
  }));
}
