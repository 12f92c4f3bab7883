// The one place where text becomes markup: what this service's own templates
// made, in which every word that somebody wrote is escaped.
import { send } from "./service.js";

const trusted = globalThis.trustedTypes?.createPolicy("gradus", { createHTML: (markup) => markup }) ?? { createHTML: (markup) => markup };

/** gradeView is the element that shows a grade. */
export async function gradeView(what) {
  const response = await send("/view", what);
  const template = document.createElement("template");
  template.innerHTML = trusted.createHTML(await response.text());
  return template.content.firstElementChild;
}

/** make is an element with text and attributes. */
export function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "rect", "line", "circle", "polyline", "text", "title"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}
