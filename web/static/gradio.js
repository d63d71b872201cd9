// What Gradio draws: waiting for it, and our words for those that it has in English only.

const ATTRIBUTES = ["aria-label", "title"];
const NAMED_BY_CONTENT = "Click to upload or drop files";

/**
 * Replaces words as they appear.
 *
 * @param root what to keep an eye on
 * @param words a fragment of <data value="theirs">ours</data>; theirs are whole texts, but those
 *   that end in a space are beginnings
 */
export function replaceWords(root, words) {
  const pairs = [...words.querySelectorAll("data")].map((data) => [data.value, data.textContent]);

  function ours(found) {
    for (const [theirs, own] of pairs) {
      if (found === theirs) return own;
      if (theirs.endsWith(" ") && found.startsWith(theirs)) return own + found.slice(theirs.length);
    }
    return found;
  }

  function change(element) {
    // What is written on it says it better, and people who speak to their computer read it out.
    if (element.getAttribute("aria-label") === NAMED_BY_CONTENT) element.removeAttribute("aria-label");
    for (const name of ATTRIBUTES) {
      const found = element.getAttribute(name);
      if (found && ours(found) !== found) element.setAttribute(name, ours(found));
    }
    for (const node of element.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE) continue;
      const found = node.data.trim();
      if (found && ours(found) !== found) node.data = ours(found);
    }
  }

  function changeAll(top) {
    change(top);
    top.querySelectorAll("*").forEach(change);
  }

  changeAll(root);
  new MutationObserver((mutations) => {
    for (const { type, target, addedNodes } of mutations) {
      if (type === "attributes") change(target);
      else for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) changeAll(node);
    }
  }).observe(root, { attributeFilter: ATTRIBUTES, childList: true, subtree: true });
}

/** Resolves with the elements of these ids as soon as Gradio has put all of them on the page. */
export function whenPresent(ids) {
  const find = () => ids.map((id) => document.getElementById(id));
  return new Promise((resolve) => {
    const look = () => {
      const found = find();
      if (found.some((element) => element === null)) return false;
      resolve(Object.fromEntries(found.map((element) => [element.id, element])));
      return true;
    };
    if (look()) return;
    const watch = new MutationObserver(() => { if (look()) watch.disconnect(); });
    watch.observe(document.body, { childList: true, subtree: true });
  });
}
