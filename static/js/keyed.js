// An htmx swap for lists: rows are known by their id, and only what changed is touched, so that
// a refresh moves neither focus, nor scroll, nor hover, nor a text selection.
import { refreshAges } from "berth/ages";

/** Make the children of `list` those of `fragment`. */
export function keyedSwap(list, fragment) {
  const fresh = [...fragment.children];
  for (const element of fresh) refreshAges(element);
  const old = new Map([...list.children].map((element) => [element.id, element]));
  const wanted = new Set(fresh.map((element) => element.id));
  // Activity alone does not move a row: two busy sessions would trade places all the time.
  const isNewOrder =
    fresh.length !== old.size ||
    fresh.some((element) => old.get(element.id)?.dataset.status !== element.dataset.status);
  for (const [id, element] of old) if (!wanted.has(id)) element.remove();
  const rows = fresh.map((element) => {
    const known = old.get(element.id);
    return known ? updateRow(known, element) : element;
  });
  if (!isNewOrder || list.matches(":focus-within")) {
    rows.forEach((row, index) => row.isConnected || list.insertBefore(row, list.children[index] ?? null));
    return;
  }
  rows.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
}

function updateRow(known, fresh) {
  if (known.outerHTML === fresh.outerHTML) return known;
  for (const name of fresh.getAttributeNames()) {
    if (known.getAttribute(name) !== fresh.getAttribute(name)) {
      known.setAttribute(name, fresh.getAttribute(name));
    }
  }
  if (known.children.length !== fresh.children.length) {
    known.replaceChildren(...fresh.childNodes);
    return known;
  }
  const cells = [...known.children];
  [...fresh.children].forEach((cell, index) => updateCell(cells[index], cell));
  return known;
}

function updateCell(known, fresh) {
  if (known.outerHTML === fresh.outerHTML) return;
  if (known.children.length && known.children.length === fresh.children.length && known.matches(".row-main")) {
    const parts = [...known.children];
    [...fresh.children].forEach((part, index) => {
      if (parts[index].outerHTML !== part.outerHTML) replaceKeepingFocus(parts[index], part);
    });
    return;
  }
  replaceKeepingFocus(known, fresh);
}

function replaceKeepingFocus(known, fresh) {
  const hadFocus = known === document.activeElement;
  known.replaceWith(fresh);
  if (hadFocus) fresh.focus({ preventScroll: true });
}

window.htmx.defineExtension("keyed", {
  isInlineSwap: (style) => style === "keyed",
  handleSwap(style, target, fragment) {
    if (style !== "keyed") return false;
    keyedSwap(target, fragment);
    return true;
  },
});
