// How verdicts, ends of rows and topics are called.
export const verdicts = { met: "Met", partial: "In part", missed: "Missed", contradicted: "Opposite", cannot_assess: "Not judged", pitfall: "Pitfall" };
export const states = { queued: "Waiting to begin", running: "Grading", paused: "Paused", completed: "Finished", cancelled: "Stopped" };

/** topic is a criterion's id as words. */
export function topic(id, n) {
  const words = id.replace(/[-_.]/g, " ");
  if (words.length < 3 || /\p{N}/u.test(words)) return `Criterion ${n}`;
  return words[0].toUpperCase() + words.slice(1);
}

/** wordCount counts the words of a text as somebody would. */
export const wordCount = (text) => text.match(/[\p{L}\p{N}][\p{L}\p{N}'’\-]*/gu)?.length ?? 0;
export const figure = (x) => x.toFixed(1).replace(/\.0$/, "");
export const many = (n, one, more) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;
