// Reads the rows of an upload, so that this browser can show an answer beside
// its grade: results hold grades, not answers.

/** table splits CSV (RFC 4180) into rows of fields. */
export function table(text) {
  const rows = [];
  let row = [];
  let field = "";
  let quoted = false;
  const end = () => {
    row.push(field);
    field = "";
  };
  for (let i = text.charCodeAt(0) === 0xfeff ? 1 : 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[++i];
      else quoted = false;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === ",") end();
    else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      end();
      rows.push(row);
      row = [];
    } else field += c;
  }
  if (field !== "" || row.length) {
    end();
    rows.push(row);
  }
  return rows.filter((fields) => fields.length > 1 || fields[0] !== "");
}

/** media says what an upload is, by how it begins. */
export function media(text) {
  const start = text.trimStart();
  if (!start.startsWith("{") && !start.startsWith("[")) return "text/csv";
  const line = start.slice(0, start.indexOf("\n") < 0 ? undefined : start.indexOf("\n"));
  try {
    const first = JSON.parse(line);
    return Array.isArray(first?.items) ? "application/json" : "application/x-ndjson";
  } catch {
    return "application/json"; // of several lines
  }
}

/** answers maps the ids of an upload to their answers. What cannot be read has
 * none: the service has the last word on that. */
export function answers(text, kind) {
  const out = new Map();
  const note = (item) => {
    if (item && typeof item.answer === "string") out.set(String(item.id), item.answer);
  };
  try {
    if (kind === "application/json") JSON.parse(text).items.forEach(note);
    else if (kind === "application/x-ndjson") {
      for (const line of text.split("\n")) if (line.trim() !== "") note(JSON.parse(line));
    } else {
      const [head, ...rows] = table(text);
      const [id, answer] = [head.indexOf("id"), head.indexOf("answer")];
      if (id >= 0 && answer >= 0) for (const row of rows) note({ id: row[id], answer: row[answer] });
    }
  } catch {
    // as far as it went
  }
  return out;
}
