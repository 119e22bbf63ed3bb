// Words in the timeline: what the person wrote, what the model says and thinks.

const FOLD_CHARS = 4000;

/** @param {HTMLTemplateElement} template */
function clone(template) {
  const element = template.content.firstElementChild.cloneNode(true);
  return { element, part: (name) => element.querySelector(`[data-part=${name}]`) };
}

/** A message of the user; a very long one is shown in part until asked for. */
export function userMessage(template, { turn, text, files }) {
  const { element, part } = clone(template);
  element.dataset.turn = String(turn);
  const isLong = text.length > FOLD_CHARS;
  part("text").textContent = isLong ? `${text.slice(0, FOLD_CHARS)}…` : text;
  const more = part("more");
  more.hidden = !isLong;
  more.textContent = `Show all ${text.length.toLocaleString("en")} characters`;
  more.addEventListener("click", () => {
    part("text").textContent = text;
    more.remove();
  });
  const list = part("files");
  list.hidden = files.length === 0;
  for (const path of files) {
    const item = document.createElement("li");
    item.textContent = fileLabel(path);
    list.append(item);
  }
  return element;
}

/** A workspace path as it may be shown: percent-encoded bytes decoded where they are text. */
export function fileLabel(path) {
  try {
    return decodeURIComponent(path).replace(/[\p{Cc}\p{Cf}]/gu, "\u{fffd}");
  } catch {
    return path;
  }
}

/** A text or reasoning message that grows by deltas and is then replaced by its final form. */
export class ModelMessage {
  constructor(template, event) {
    const { element, part } = clone(template);
    this.id = event.message_id;
    this.kind = event.kind;
    this.element = element;
    this.body = part("body");
    element.dataset.messageId = this.id;
    this.node = document.createTextNode("");
    this.body.append(this.node);
    this.pending = "";
    this.isDone = false;
    element.classList.add("is-streaming");
  }

  delta(text) {
    this.pending += text;
  }

  /** @returns {boolean} whether anything changed */
  render() {
    if (!this.pending) return false;
    this.node.appendData(this.pending);
    this.pending = "";
    return true;
  }

  /** @param {{text: string, html?: string}} event `html` was sanitised by the server */
  done({ text, html }) {
    this.isDone = true;
    this.pending = "";
    this.element.classList.remove("is-streaming");
    if (html) {
      this.body.innerHTML = html;
      this.element.classList.add("is-rendered");
    } else this.body.textContent = text;
    if (!text.trim()) this.element.hidden = true;
  }
}
