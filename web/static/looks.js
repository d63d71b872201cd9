// The cards of the looks: a picture in each, where the base has one, and how many are chosen.

import { slot, text } from "./templates.js";

const KEPT = "looks"; // in the tab's own storage, which ends with it

export class Looks {
  /** @param section where Gradio put the cards; its head (template looks-head) is in it already */
  constructor(section) {
    this.section = section;
    this.chosen = slot(section, "chosen");
    this.previews = new Set(this.chosen.dataset.previews.split(" ").filter(Boolean));
    this.wanted = JSON.parse(sessionStorage.getItem(KEPT) ?? "null"); // before a reload
    section.addEventListener("change", () => this.#keep());
    // Gradio draws its cards again when it likes.
    new MutationObserver(() => this.#dress()).observe(section, { childList: true, subtree: true });
    this.#dress();
  }

  #boxes() {
    return [...this.section.querySelectorAll('.cards input[type="checkbox"]')];
  }

  #dress() {
    for (const box of this.#boxes()) {
      const card = box.closest("label");
      box.removeAttribute("title"); // the look's key
      nameFirst(card.querySelector("span"));
      if (!this.previews.has(box.name) || card.querySelector("img")) continue;
      const image = document.createElement("img");
      image.src = `/look/${box.name}.webp`;
      image.alt = ""; // the words beside it say what it shows
      image.width = image.height = 96;
      image.loading = "lazy";
      card.append(image);
    }
    this.#restore();
    this.#count();
  }

  /** Press what differs from the choice before a reload, once the cards are there. */
  #restore() {
    const boxes = this.#boxes();
    if (!this.wanted || boxes.length === 0) return;
    const wanted = new Set(this.wanted);
    this.wanted = null;
    for (const box of boxes) if (box.checked !== wanted.has(box.name)) box.click();
  }

  #keep() {
    const chosen = this.#boxes().filter((box) => box.checked);
    sessionStorage.setItem(KEPT, JSON.stringify(chosen.map((box) => box.name)));
    this.#count();
  }

  #count() {
    const number = this.#boxes().filter((box) => box.checked).length;
    const { none, one, other } = this.chosen.dataset;
    text(this.chosen, number === 0 ? none : number === 1 ? one : other.replace("%", number));
  }
}

/** A label has the name in its first line; a narrow card may need two for it. */
export function nameFirst(words) {
  const [name, description] = words.textContent.split("\n");
  if (!description) return;
  const strong = document.createElement("strong");
  strong.textContent = name;
  words.replaceChildren(strong, " ", description);
}
