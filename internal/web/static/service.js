// Calls of the service, as any other caller makes them.
import { eventsOf } from "./events.js";

/** Problem is a failure that the service described. */
export class Problem extends Error {
  constructor(problem, after) {
    super(problem.title);
    this.title = problem.title ?? "";
    this.detail = problem.detail ?? "";
    this.status = problem.status ?? 0;
    this.kind = (problem.type ?? "").split("/").pop();
    this.faults = problem.errors ?? [];
    this.after = after;
  }

  /** sentence says, after the title, what went wrong and when to try again. */
  get sentence() {
    const wait = this.after > 0 ? `Try again in ${this.after === 1 ? "a second" : `${this.after} seconds`}.` : "";
    return [this.detail, wait].filter(Boolean).join(" ");
  }
}

/** ask sends a request and returns the response, or throws a Problem. Where a
 * key is missing it goes and asks for one. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new Problem({ title: "The service cannot be reached", detail: "Nothing that you wrote is lost." });
  }
  if (response.ok) return response;
  if (response.status === 401) {
    location.assign("/session?next=" + encodeURIComponent(location.pathname + location.search));
  }
  let problem = { status: response.status, title: response.statusText, detail: `The service answered ${response.status}.` };
  if ((response.headers.get("Content-Type") ?? "").includes("json")) {
    problem = await response.json().catch(() => problem);
  }
  throw new Problem(problem, Number(response.headers.get("Retry-After")) || 0);
}

/** send posts JSON. accept is what is wanted in return; anything, where it is
 * left out. */
export const send = (path, body, { accept = "*/*", ...options } = {}) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json", Accept: accept }, body: JSON.stringify(body), ...options });

/** gradeOf has an answer graded, and tells of criteria as they are decided where
 * the service does. */
export async function gradeOf(body, decided, options) {
  const response = await send("/v1/grades", body, { accept: "text/event-stream, application/json;q=0.9", ...options });
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return response.json();
  try {
    for await (const event of eventsOf(response)) {
      if (event.name === "criterion") decided(JSON.parse(event.data));
      if (event.name === "grade") return JSON.parse(event.data);
      if (event.name === "problem") throw new Problem(JSON.parse(event.data), Math.ceil((event.retry ?? 0) / 1000));
    }
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause; // the connection is gone
  }
  throw new Problem({ title: "The connection was lost before the grade came", detail: "Nothing that you wrote is lost." });
}
