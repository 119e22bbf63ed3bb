// Words in the timeline: what the person wrote, what the model says and thinks.

/** A message of more lines or characters is folded. */
const FOLD_LINES = 20;
const FOLD_CHARS = 1200;
const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;

/** @param {HTMLTemplateElement} template */
function clone(template) {
  const element = template.content.firstElementChild.cloneNode(true);
  return { element, part: (name) => element.querySelector(`[data-part=${name}]`) };
}

/** A message of the user, its fenced blocks as code; a long one is shown in part until asked for. */
export function userMessage(template, { turn, text, files }) {
  const { element, part } = clone(template);
  element.dataset.turn = String(turn);
  part("text").replaceChildren(...splitFences(text).map(partElement));
  const more = part("more");
  const isLong = text.length > FOLD_CHARS || text.split("\n").length > FOLD_LINES;
  more.hidden = !isLong;
  element.classList.toggle("is-folded", isLong);
  more.addEventListener("click", () => {
    const isFolded = element.classList.toggle("is-folded");
    more.textContent = isFolded ? "Show all" : "Show less";
    more.setAttribute("aria-expanded", String(!isFolded));
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

/** @param {{isCode: boolean, text: string}} part */
function partElement({ isCode, text }) {
  const element = document.createElement(isCode ? "pre" : "p");
  element.textContent = text;
  if (isCode) element.dir = "ltr";
  return element;
}

/**
 * The text in order, cut at its fences; an open fence reaches to the end.
 * @returns {{isCode: boolean, text: string}[]}
 */
export function splitFences(text) {
  const parts = [];
  let lines = [];
  let fence = "";
  const flush = () => {
    const joined = lines.join("\n");
    if (fence || joined.trim()) parts.push({ isCode: fence !== "", text: joined });
    lines = [];
  };
  for (const line of text.split("\n")) {
    const found = FENCE.exec(line)?.[1] ?? "";
    if (!fence && found) {
      flush();
      fence = found;
    } else if (fence && found.startsWith(fence) && line.trim() === found) {
      flush();
      fence = "";
    } else lines.push(line);
  }
  if (lines.length) flush();
  return parts;
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
    this.text = "";
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
    this.text += this.pending;
    this.pending = "";
    // Code is code from its first line on, or the page would jump when the message is done.
    splitFences(this.text).forEach((part, index) => this.#show(part, this.body.children[index]));
    return true;
  }

  #show(part, element) {
    if (element?.tagName !== (part.isCode ? "PRE" : "P")) {
      if (element) element.replaceWith(partElement(part));
      else this.body.append(partElement(part));
      return;
    }
    const shown = element.firstChild;
    if (shown && part.text.startsWith(shown.data)) shown.appendData(part.text.slice(shown.data.length));
    else element.textContent = part.text;
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
