// Templates from the server, and the few ways in which data is put into them.
// Data goes in as text or as an attribute, never as HTML.

import { at } from "./address.js";

const AGAIN = 2000; // milliseconds until the templates are asked for once more

/** Fetches the templates, however often it takes. Returns a function that clones one by its id. */
export async function loadTemplates() {
  const answer = await fetch(at("/studio-parts"), { cache: "no-store" }).catch(() => null);
  if (!answer?.ok) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
    return loadTemplates();
  }
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  return (id) => document.importNode(parsed.getElementById(id).content, true);
}

/** The element of `root` that is marked data-slot="name". */
export function slot(root, name) {
  return root.querySelector(`[data-slot="${name}"]`);
}

/** The keyboard goes on from a heading. */
export function focusOn(heading) {
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Sets text only where it differs, so that screen readers announce changes only. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/**
 * Makes the children of `list` follow `items` by their id, keeping the elements of those that stay:
 * an image that is on the page is not fetched again.
 */
export function follow(list, items, make, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.id, child]));
  items.forEach((item, place) => {
    let child = old.get(item.id);
    old.delete(item.id);
    if (!child) {
      child = make(item);
      child.dataset.id = item.id;
    }
    update(child, item);
    if (list.children[place] !== child) list.insertBefore(child, list.children[place] ?? null);
  });
  for (const child of old.values()) child.remove();
}
