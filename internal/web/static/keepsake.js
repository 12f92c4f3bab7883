// What to do with the attempts that this browser keeps: export or erase them.
import { all, attemptsOf, erase } from "./store.js";

/** keepsake wires the part of the page for one question, or for all where ref
 * is empty; changed is called after erasing. It returns a function that shows
 * or hides the part. */
export function keepsake(ref, changed) {
  const part = document.querySelector("[data-keepsake]");
  const kept = () => (ref ? { [ref]: attemptsOf(ref) } : all());
  const count = () => Object.values(kept()).reduce((sum, list) => sum + list.length, 0);
  const update = () => {
    part.hidden = count() === 0;
  };
  part.querySelector("[data-export]").addEventListener("click", () => {
    const file = new Blob([JSON.stringify({ exported_at: new Date().toISOString(), attempts: kept() }, null, 2)], { type: "application/json" });
    save(file, ref ? `gradus-${ref.replace("/", "-")}.json` : "gradus-attempts.json");
  });
  const dialog = part.querySelector("dialog");
  part.querySelector("[data-erase]").addEventListener("click", () => {
    const n = count();
    dialog.querySelector("[data-erase-what]").textContent =
      `${n === 1 ? "One attempt" : `${n} attempts`} at ${ref ? "this question" : "your questions"}, with the drafts. This cannot be undone.`;
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "erase") return;
    erase(ref);
    update();
    changed();
  });
  update();
  return update;
}

/** save hands a file to the reader. */
export function save(file, name) {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
