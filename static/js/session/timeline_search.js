// A search of files: what was looked for, and the passages that were found.

export class SearchCard {
  /** @param {HTMLTemplateElement} template @param {{tool_call_id: string, queries: string[]}} event search.started */
  constructor(template, { tool_call_id: id, queries }) {
    this.id = id;
    this.hasEnded = false;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(`[data-part=${name}]`);
    this.element.setAttribute("aria-label", `Search of files: ${queries[0] ?? ""}`);
    this.part("queries").replaceChildren(...queries.map((query) => textElement("li", "", query)));
  }

  /** @param {{results: {filename: string, score: number, text: string}[]}} event search.ended */
  ended({ results }) {
    this.hasEnded = true;
    this.element.dataset.state = "ended";
    this.element.dataset.level = results.length ? "ok" : "warn";
    this.part("status").textContent = foundWords(results);
    this.part("found").hidden = results.length === 0;
    this.part("summary").textContent = [...new Set(results.map((result) => result.filename))].join(", ");
    this.part("results").replaceChildren(...results.map(resultElement));
  }

  /** The search was not made after all, or its turn ended before it did. */
  failed() {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.element.dataset.state = "ended";
    this.element.dataset.level = "danger";
    this.part("status").textContent = "search failed";
  }
}

/** @param {object[]} results */
export function foundWords(results) {
  if (results.length === 0) return "nothing found";
  return results.length === 1 ? "1 passage found" : `${results.length} passages found`;
}

function resultElement({ filename, score, text }) {
  const item = document.createElement("li");
  const name = textElement("bdi", "mono", filename);
  item.append(name, textElement("span", "num search-score", score.toFixed(2)), textElement("p", "", text));
  return item;
}

/** Words of files are hostile: they become text, never markup. */
function textElement(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  element.dir = "auto";
  return element;
}

/** What the timeline shows of these events. */
export const SEARCH_CASES = {
  "search.started": (timeline, event) => {
    timeline.endRetry();
    // One that a restart cut off is begun again, and shown once.
    if (timeline.searches.has(event.tool_call_id)) return;
    const card = new SearchCard(timeline.template("search"), event);
    timeline.searches.set(card.id, card);
    timeline.append(card.element);
    timeline.announce(`Searching files: ${(event.queries[0] ?? "").slice(0, 80)}`);
  },
  "search.ended": (timeline, event) => timeline.searches.get(event.tool_call_id)?.ended(event),
};
