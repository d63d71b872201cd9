// Giving portraits to whom the operator names: a dialog that shows exactly what goes, and below the
// downloads what became of what was given. Where nothing can be given, all of it stays empty.

import { at } from "./address.js";
import { sentenceOf } from "./answers.js";
import { focusOn, follow, slot, text } from "./templates.js";

const MOST = 3;

export class HandIn {
  /** @param section of the portraits  @param portraits what is known of them */
  constructor(section, portraits, clone) {
    this.section = section;
    this.portraits = portraits;
    this.clone = clone;
    this.asked = 0; // offers, of which the last counts
    section.querySelector(".download").after(clone("hand-in-part"));
    this.dialog = document.getElementById("hand-in");
    if (!this.dialog) return;
    slot(this.dialog, "picks").addEventListener("change", () => this.#offer());
    slot(this.dialog, "form").addEventListener("submit", (event) => event.preventDefault());
  }

  /** Draws what became of what was given. */
  draw(status) {
    const list = slot(this.section, "given");
    const make = () => this.clone("given").firstElementChild;
    follow(list, status.given, make, (item, one) => {
      text(slot(item, "sentence"), one.sentence);
      item.querySelector("button").hidden = !one.back;
    });
    list.hidden = !status.given.length;
    const latest = status.given[0];
    if (latest && this.latest !== latest.id + latest.back) {
      text(slot(this.section, "given-news"), latest.sentence);
      this.latest = latest.id + latest.back;
    }
  }

  /** Opens the dialog; favourites come first, and up to three of them are chosen. */
  open() {
    const { hearts, known } = this.portraits;
    const hearted = known.filter((portrait) => hearts.has(portrait.id));
    const chosen = hearted.length <= MOST ? hearted : [];
    const all = [...hearted, ...known.filter((portrait) => !hearts.has(portrait.id))];
    const make = () => this.clone("pick").firstElementChild;
    follow(slot(this.dialog, "picks"), all, make, (item, portrait) => {
      const image = slot(item, "image");
      image.src = this.portraits.address(portrait, "400");
      const number = Number(portrait.id.split("-").pop());
      image.alt = this.portraits.told(portrait, number);
      slot(item, "box").checked = chosen.includes(portrait);
    });
    this.#tell("");
    this.#offer();
    this.dialog.showModal();
    this.dialog.querySelector("input").focus(); // and not the list, where that can be scrolled
  }

  /** What would be sent. */
  #choice() {
    const picks = [...slot(this.dialog, "picks").children];
    return {
      portraits: picks.filter((item) => slot(item, "box").checked).map((item) => item.dataset.id),
      size: slot(this.section, "size").value,
      format: slot(this.section, "format").value,
      ...this.portraits.arrangement.wanted,
    };
  }

  /** Asks the server what exactly would go, and shows it. */
  async #offer() {
    const { portraits, ...how } = this.#choice();
    const number = ++this.asked;
    const yes = slot(this.dialog, "yes");
    yes.disabled = true;
    slot(this.dialog, "goes").hidden = !portraits.length;
    if (!portraits.length) return this.#tell("");
    const query = new URLSearchParams([...portraits.map((id) => ["portraits", id]), ...Object.entries(how)]);
    const answer = await fetch(at(`/session/hand-in?${query}`)).catch(() => null);
    if (number !== this.asked) return;
    if (!answer?.ok) {
      slot(this.dialog, "goes").hidden = true;
      return this.#tell(answer ? await sentenceOf(answer) : this.#offline());
    }
    const { files, until } = await answer.json();
    const make = () => this.clone("going").firstElementChild;
    follow(slot(this.dialog, "files"), files.map((told) => ({ id: told, told })), make,
      (item, file) => text(item, file.told));
    text(slot(this.dialog, "until"), until);
    this.#tell("");
    yes.disabled = false;
  }

  /** Gives what is chosen. Resolves when the server has answered. */
  async give(button) {
    button.disabled = true;
    const name = slot(this.dialog, "name");
    const answer = await fetch(at("/session/hand-in"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...this.#choice(), name: name?.value ?? "" }),
    }).catch(() => null);
    button.disabled = false;
    if (!answer?.ok) return this.#tell(answer ? await sentenceOf(answer) : this.#offline());
    if (name) name.value = "";
    this.dialog.close();
  }

  /** Takes one back. Resolves when the server has answered. */
  async takeBack(button) {
    const item = button.closest("[data-id]");
    const problem = slot(item, "problem");
    button.disabled = true;
    const address = at(`/session/hand-in/${item.dataset.id}`);
    const answer = await fetch(address, { method: "DELETE" }).catch(() => null);
    button.disabled = false;
    const sentence = answer?.ok ? "" : answer ? await sentenceOf(answer) : this.#offline();
    text(problem, sentence);
    problem.hidden = sentence === "";
    if (!sentence) focusOn(slot(item, "sentence")); // the button goes
  }

  #tell(sentence) {
    const problem = slot(this.dialog, "problem");
    text(problem, sentence);
    problem.hidden = sentence === "";
  }

  #offline() {
    return document.querySelector('[data-slot="offline"]').textContent;
  }
}
