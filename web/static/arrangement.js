// Shape and backdrop of all portraits, chosen where they are looked at. What is chosen stands in the
// addresses of pictures and downloads; the server keeps it for the next time the page is opened.

import { at } from "./address.js";
import { slot } from "./templates.js";

const AS_MADE = { shape: "made", tone: "look" };

export class Arrangement {
  /** @param section with the radios  @param changed is called when something else was chosen */
  constructor(section, changed) {
    this.place = slot(section, "arrangement");
    this.remembered = false; // as it was before a reload
    this.saving = false;
    this.unsaved = false;
    this.place.addEventListener("change", () => {
      changed();
      this.#save();
    });
    window.addEventListener("pagehide", () => { if (this.unsaved) this.#send(); });
  }

  get shape() {
    return this.#chosen("shape");
  }

  /** What an address says of it: nothing of portraits as they were made. */
  get wanted() {
    const all = Object.keys(AS_MADE).map((name) => [name, this.#chosen(name)]);
    return Object.fromEntries(all.filter(([name, value]) => value !== AS_MADE[name]));
  }

  /** Shapes that no portrait has room for are off. The first time, what was chosen before. */
  draw(shapes, arrangement) {
    for (const { key, off } of shapes) this.#radio("shape", key).disabled = off;
    if (!this.remembered) {
      for (const [name, value] of Object.entries(arrangement)) this.#radio(name, value).checked = true;
    }
    this.remembered = true;
    if (this.#radio("shape", this.shape).disabled) this.#radio("shape", AS_MADE.shape).checked = true;
  }

  #radio(name, value) {
    return this.place.querySelector(`[name="portraits-${name}"][value="${value}"]`);
  }

  #chosen(name) {
    return this.place.querySelector(`[name="portraits-${name}"]:checked`).value;
  }

  /** One after the other, so that the last one stays. */
  async #save() {
    this.unsaved = true;
    if (this.saving) return;
    this.saving = true;
    while (this.unsaved) await this.#send();
    this.saving = false;
  }

  /** It outlives the page. One that fails is only forgotten at a reload. */
  #send() {
    this.unsaved = false;
    return fetch(at("/portraits/arrangement"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(this.wanted),
      keepalive: true,
    }).catch(() => null);
  }
}
