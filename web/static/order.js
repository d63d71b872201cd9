// What is ordered: looks as cards behind a fold, the way with what it takes, number. All of it
// survives a reload of the tab. Whatever is wrong stands beside the button, until it is mended.

import { at } from "./address.js";
import { slot, text } from "./templates.js";

const KEPT = "order"; // in the tab's own storage, which ends with it
const NOT_KEPT = "#agree"; // who agrees does so each time

export class OrderForm {
  /** @param section where Gradio put the fields; @param looks the part of it with the cards */
  constructor(section, looks, clone) {
    this.section = section;
    this.looks = looks;
    section.prepend(clone("order-head"));
    looks.before(clone("order-needs"));
    looks.prepend(clone("looks-head"));
    section.append(clone("order-refused"));
    this.heard = "";
    this.chosen = slot(looks, "chosen");
    this.previews = new Set(this.chosen.dataset.previews.split(" ").filter(Boolean));
    this.takes = new Map(
      [...section.querySelectorAll("[data-slot=takes] data")].map((data) => [data.value, data.textContent]),
    );
    this.wanted = recalled(); // before a reload
    this.missing = {};
    section.addEventListener("change", () => this.#changed());
    // Gradio draws its fields again when it likes.
    const watch = new MutationObserver((mutations) => {
      if (!section.hasChildNodes()) return watch.disconnect(); // the session has ended
      this.#hear(mutations);
      this.#dress();
    });
    watch.observe(section, { childList: true, characterData: true, subtree: true });
    this.#dress();
  }

  /** The way that is chosen; undefined while Gradio has not drawn it. */
  get way() {
    return this.section.querySelector("#way input:checked")?.value;
  }

  /** @param missing by way, what a person is told who has too few photos for it, or "" */
  needs(missing) {
    this.missing = missing;
    this.mended();
    this.#drawNeeds();
  }

  /** Something was changed, so what was wrong before may not be any more. */
  mended() {
    this.#refuse("");
  }

  unfold(button) {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    this.looks.toggleAttribute("data-open", open);
  }

  /** Gradio brings the sentence into an element that comes and goes; ours is always there. */
  #hear(mutations) {
    const carrier = this.section.querySelector("#refusal");
    if (!carrier || !mutations.some(({ target }) => carrier.contains(target) || target.contains(carrier))) return;
    const sentence = carrier.querySelector(".prose")?.textContent.trim() ?? "";
    if (sentence !== this.heard) this.#refuse(sentence);
    this.heard = sentence;
  }

  #refuse(sentence) {
    const refused = slot(this.section, "refused");
    text(refused, sentence);
    refused.hidden = sentence === "";
  }

  #boxes() {
    return [...this.section.querySelectorAll("input[type=checkbox], input[type=radio]")]
      .filter((box) => !box.closest(NOT_KEPT));
  }

  #cards() {
    return [...this.looks.querySelectorAll('.cards input[type="checkbox"]')];
  }

  #dress() {
    for (const box of this.#cards()) this.#dressCard(box);
    for (const set of this.section.querySelectorAll("fieldset")) {
      const heading = set.querySelector(":scope > span");
      if (!heading) continue;
      heading.id ||= `${set.id || heading.textContent.trim()}-heading`;
      set.setAttribute("aria-labelledby", heading.id);
      // Radios of one name are walked by the arrow keys; Gradio gives each its own.
      for (const box of set.querySelectorAll("input[type=radio]")) box.name = set.id;
    }
    this.#draw();
  }

  #dressCard(box) {
    const card = box.closest("label");
    box.removeAttribute("title"); // the look's key
    nameFirst(card.querySelector("span"));
    if (!this.previews.has(box.name) || card.querySelector("img")) return;
    const image = document.createElement("img");
    image.src = at(`/look/${box.name}.webp`);
    image.alt = ""; // the words beside it say what it shows
    image.width = image.height = 96;
    image.loading = "lazy";
    card.append(image);
  }

  /** Press what differs from the choice before a reload, once all fields are there. */
  restore() {
    if (!this.wanted || !this.section.querySelector("#create")) return;
    const wanted = new Set(this.wanted);
    this.wanted = null;
    for (const box of this.#boxes()) {
      const on = wanted.has(nameOf(box));
      if (box.checked !== on && (on || box.type === "checkbox")) box.click();
    }
  }

  #changed() {
    if (this.wanted) return; // not yet restored
    const chosen = this.#boxes().filter((box) => box.checked);
    remember(chosen.map(nameOf));
    this.mended();
    this.#draw();
  }

  #draw() {
    const number = this.#cards().filter((box) => box.checked).length;
    const { none, one, other } = this.chosen.dataset;
    text(this.chosen, number === 0 ? none : number === 1 ? one : other.replace("%", number));
    if (this.way) document.body.dataset.way = this.way;
    const many = this.section.querySelector("#count input:checked")?.value;
    for (const box of this.section.querySelectorAll("#way input")) {
      const words = box.closest("label").querySelector("span");
      const takes = this.takes.get(`${box.value} ${many}`);
      if (takes) nameFirst(words, `${words.querySelector("strong")?.textContent ?? words.textContent}\n${takes}`);
    }
    this.#drawNeeds();
  }

  #drawNeeds() {
    const needs = slot(this.section, "needs");
    text(needs, this.missing[this.way] ?? "");
    needs.hidden = needs.textContent === "";
  }
}

/** What was chosen before a reload, null where nothing is known of it. */
function recalled() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    return Array.isArray(kept) ? kept : null;
  } catch {
    return null; // a browser that keeps nothing, or somebody wrote into it
  }
}

function remember(chosen) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch {
    // Then it is forgotten at a reload.
  }
}

/** What a choice is remembered by: radios share a name, cards have the look's. */
function nameOf(box) {
  const part = box.closest("fieldset[id], [id=keep]")?.id ?? "";
  return box.type === "radio" ? `${part}=${box.value}` : box.name || part;
}

/** A label has the name in its first line; a narrow card may need two for it. */
function nameFirst(words, told = words.textContent) {
  const [name, description] = told.split("\n");
  if (!description || words.dataset.told === told) return;
  words.dataset.told = told;
  const strong = document.createElement("strong");
  strong.textContent = name;
  words.replaceChildren(strong, " ", description);
}
