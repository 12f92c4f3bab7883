// What this browser keeps: drafts and attempts, by question. A browser that
// keeps nothing (a private window, a full disk) loses only that.

const drafts = "gradus:draft:";
const attempts = "gradus:attempts:";
const mostAttempts = 20;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function keys(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix)).sort();
  } catch {
    return [];
  }
}

export const draft = (ref) => read(drafts + ref) ?? "";
export const keepDraft = (ref, text) => write(drafts + ref, text === "" ? null : text);

/** attemptsOf lists the attempts at a question, the oldest first. */
export function attemptsOf(ref) {
  const kept = read(attempts + ref);
  return Array.isArray(kept) ? kept.filter((a) => a && a.grade && typeof a.answer === "string") : [];
}

/** keepAttempt adds an attempt; where there is no room, the oldest make some. */
export function keepAttempt(ref, attempt) {
  let list = [...attemptsOf(ref), attempt].slice(-mostAttempts);
  while (!write(attempts + ref, list) && list.length > 1) list = list.slice(1);
}

/** all is every attempt in this browser, by question. */
export function all() {
  return Object.fromEntries(keys(attempts).map((key) => [key.slice(attempts.length), attemptsOf(key.slice(attempts.length))]));
}

/** erase forgets the attempts and the draft of one question, or of all. */
export function erase(ref) {
  const which = ref ? [attempts + ref, drafts + ref] : [...keys(attempts), ...keys(drafts)];
  for (const key of which) write(key, null);
}

/** best is the highest score of some attempts, or null. */
export function best(list) {
  const scores = list.map((a) => a.grade.score).filter((s) => typeof s === "number");
  return scores.length ? Math.max(...scores) : null;
}

export { read, write };
