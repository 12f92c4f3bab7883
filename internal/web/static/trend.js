// How the attempts at a question went, as a line of scores.
import { make } from "./fragment.js";

const widest = 640;
const height = 112;
const left = 34;

/** trend is a small chart of the scores of some attempts, in as many pixels as
 * there is room; null for fewer than two, of which no line can be drawn. */
export function trend(attempts, room) {
  const width = Math.min(widest, room || widest);
  const scores = attempts.map((a) => a.grade.score).filter((s) => typeof s === "number");
  if (scores.length < 2) return null;
  const x = (i) => left + 8 + (i * (width - left - 24)) / (scores.length - 1);
  const y = (score) => 8 + ((100 - score) * (height - 16)) / 100;
  const words = `Scores so far: ${scores.join(", ")}.`;
  const chart = make("svg", { class: "trend", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words });
  for (const edge of [0, 40, 60, 80, 100]) {
    chart.append(make("line", { class: "band-line", x1: left, x2: width, y1: y(edge), y2: y(edge) }));
    if (edge !== 40 && edge !== 100) chart.append(make("text", { x: 0, y: y(edge) + 4 }, String(edge)));
  }
  chart.append(make("polyline", { class: "course", points: scores.map((s, i) => `${x(i)},${y(s)}`).join(" ") }));
  scores.forEach((s, i) => chart.append(make("circle", { cx: x(i), cy: y(s), r: 4 }, make("title", {}, String(s)))));
  return chart;
}
