// Server-sent events of a reply to a POST, which an EventSource cannot send.

/** eventsOf yields the events of a response as they arrive: name, data and, in
 * milliseconds, retry. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return; // an event that was cut off is none
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (event.data != null) yield { name: "message", ...event };
          event = {};
          continue;
        }
        const [, field, text] = line.match(/^([^:]*):? ?(.*)$/);
        if (field === "event") event.name = text;
        else if (field === "data") event.data = event.data == null ? text : `${event.data}\n${text}`;
        else if (field === "retry") event.retry = Number(text);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
