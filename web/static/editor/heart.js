// The heart of the editor: keeps the portrait at full size, or takes the heart back.

import { at } from "../address.js";
import { text } from "../templates.js";
import { Told, ask } from "./parts.js";

const JSON_BODY = { "content-type": "application/json" };

export class Heart {
  /** @param news where it is told  @param changed told that the portraits are others now */
  constructor(button, news, changed) {
    Object.assign(this, { button, news, changed });
    this.hearts = new Set();
    this.kept = new Map(); // what was asked for -> the portrait's id
    button.addEventListener("click", () => this.#press());
  }

  /** Follows the portraits that have a heart. */
  follow(hearts) {
    this.hearts = new Set(hearts);
    this.#draw();
  }

  /** Says what would be kept. */
  show(asked) {
    this.asked = asked;
    this.#draw();
  }

  #id() {
    return this.kept.get(JSON.stringify(this.asked));
  }

  #draw() {
    this.button.setAttribute("aria-pressed", String(this.hearts.has(this.#id())));
  }

  async #press() {
    const { button, news, asked } = this;
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    const known = this.#id();
    const on = !this.hearts.has(known);
    const [address, body] = known ? [at(`/portrait/${known}/heart`), { on }] : [at("/studio-portrait"), asked];
    text(news, known ? "" : news.dataset.keeping);
    try {
      const answer = await ask(address, { method: "POST", headers: JSON_BODY, body: JSON.stringify(body) });
      const id = known ?? (await answer.json()).id;
      this.kept.set(JSON.stringify(asked), id);
      if (on) this.hearts.add(id);
      else this.hearts.delete(id);
      text(news, on ? news.dataset.kept : news.dataset.released);
      this.changed();
    } catch (error) {
      text(news, error instanceof Told ? error.message : news.dataset.failed);
    }
    button.setAttribute("aria-busy", "false");
    this.#draw();
  }
}
