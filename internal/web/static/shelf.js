// The batches that this browser has sent: their names, and the answers, which
// results do not hold.
import { read, write } from "./store.js";

const listKey = "gradus:batches";
const most = 30;

export const mine = () => {
  const list = read(listKey);
  return Array.isArray(list) ? list : [];
};

/** remember puts a batch first in the list. */
export function remember(batch) {
  const list = [batch, ...mine().filter((b) => b.id !== batch.id)];
  for (const old of list.slice(most)) dropAnswers(old.id);
  write(listKey, list.slice(0, most));
}

export function forget(id) {
  write(listKey, mine().filter((b) => b.id !== id));
  return dropAnswers(id);
}

// Answers are too many for localStorage. Where there is no database (a private
// window) they are not shown later, and nothing else is lost.
const database = () =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open("gradus", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("answers");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function within(mode, act) {
  try {
    const db = await database();
    return await new Promise((resolve, reject) => {
      const transaction = db.transaction("answers", mode);
      const request = act(transaction.objectStore("answers"));
      transaction.oncomplete = () => {
        db.close();
        resolve(request.result);
      };
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    return undefined;
  }
}

export const keepAnswers = (id, answers) => within("readwrite", (store) => store.put(answers, id));
export const answersOf = async (id) => (await within("readonly", (store) => store.get(id))) ?? new Map();
const dropAnswers = (id) => within("readwrite", (store) => store.delete(id));
