// A portrait that moves: looked at small, made as a file while its progress comes, shown to colleagues.
// Where somebody asked for less motion nothing moves until they press Play.

import { at } from "./address.js";
import { sentenceOf } from "./answers.js";
import { slot, text } from "./templates.js";

const FILMS = ["mp4", "webm"];
const less = matchMedia("(prefers-reduced-motion: reduce)");

export class Moving {
  /** @param portraits what is shown large */
  constructor(portraits) {
    this.portraits = portraits;
    this.dialog = document.getElementById("moving");
    this.pictures = { still: null, preview: null }; // addresses of blobs
    this.asked = 0; // what was chosen last counts
    this.making = null; // ends what is being made
    this.film = slot(this.dialog, "film");
    slot(portraits.viewer, "move").addEventListener("click", () => this.open());
    const form = slot(this.dialog, "form");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => this.#changed(event.target));
    slot(this.dialog, "pause").addEventListener("click", () => this.#play(!this.playing));
    slot(this.dialog, "make").addEventListener("click", () => this.#make());
    // A browser that cannot play it still shows the picture that moves.
    this.film.addEventListener("error", () => this.#showFilm(false));
    this.dialog.addEventListener("close", () => this.#closed());
    // The browser's Back leaves the large view, and this with it.
    window.addEventListener("popstate", () => { if (this.dialog.open) this.dialog.close(); });
    less.addEventListener("change", () => { if (less.matches) this.#play(false); });
  }

  /** Opens it for the portrait that is shown large. */
  async open() {
    this.id = this.portraits.shown;
    this.playing = !less.matches;
    this.#tell("");
    this.#clear();
    this.dialog.showModal();
    const answer = await this.#ask(this.#address(""));
    if (!answer) return;
    const { why, shared } = await answer.json();
    slot(this.dialog, "shared").checked = shared;
    if (why) this.#tell(why);
    else await this.#look();
  }

  /** What an address says of preset and shape. */
  get #wanted() {
    const of = (name) => this.dialog.querySelector(`[name="moving-${name}"]:checked`).value;
    return { preset: of("preset"), shape: of("shape") };
  }

  get #format() {
    return slot(this.dialog, "format").value;
  }

  #address(part, more = {}) {
    return at(`/portrait/${this.id}/${part || "moving"}?${new URLSearchParams({ ...this.#wanted, ...more })}`);
  }

  #changed(field) {
    if (field === slot(this.dialog, "shared")) return this.#share(field);
    this.#unmade();
    if (field.type === "radio") return this.#look();
  }

  /** The still picture first, which comes at once; then the one that moves, if it is to. */
  async #look() {
    const number = ++this.asked;
    this.#busy(true);
    for (const part of this.playing ? ["still", "preview"] : ["still"]) {
      const answer = await this.#ask(this.#address(`moving/${part}`));
      if (number !== this.asked) return;
      if (!answer) return this.#busy(false);
      if (part === "still") this.#forget("preview");
      this.#forget(part);
      const picture = await answer.blob();
      if (number !== this.asked) return;
      this.pictures[part] = URL.createObjectURL(picture);
      this.#draw();
    }
    this.#busy(false);
  }

  #draw() {
    const picture = slot(this.dialog, "picture");
    const { still, preview } = this.pictures;
    const shown = (this.playing && preview) || still;
    if (shown && picture.src !== shown) picture.src = shown;
    picture.hidden = !shown || !this.film.hidden;
    const pause = slot(this.dialog, "pause");
    pause.hidden = !shown;
    text(pause, this.playing ? pause.dataset.pause : pause.dataset.play);
  }

  async #play(on) {
    this.playing = on;
    if (!this.film.hidden) await (on ? this.film.play().catch(() => null) : this.film.pause());
    this.#draw();
    if (on && !this.pictures.preview && this.film.hidden) await this.#look();
  }

  // --- files -----------------------------------------------------------------------------------

  /** The request is the work: leaving the dialog ends it. */
  async #make() {
    const [number, format, film] = [this.asked, this.#format, FILMS.includes(this.#format)];
    const address = this.#address("clip", { format });
    this.making = new AbortController();
    this.#tell("");
    this.#step(0);
    const answer = await this.#ask(at(`/portrait/${this.id}/clip`), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...this.#wanted, format }),
      signal: this.making.signal,
    });
    const made = answer && await this.#follow(answer).catch(() => false);
    if (number !== this.asked || format !== this.#format) return;
    this.making = null;
    this.#step(null);
    if (!made) {
      if (answer && slot(this.dialog, "problem").hidden) this.#tell(this.dialog.dataset.failed);
      return;
    }
    const download = slot(this.dialog, "download");
    download.href = address;
    download.download = ""; // the server names it
    download.hidden = false;
    slot(this.dialog, "make").hidden = true;
    this.#news(this.dialog.dataset.ready);
    download.focus({ preventScroll: true });
    if (!film) return;
    this.film.src = address;
    if (this.pictures.still) this.film.poster = this.pictures.still;
    this.#showFilm(true);
    await this.#play(this.playing);
  }

  /** Reads the lines of an answer; whether the last one said that it is done. */
  async #follow(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let share = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return share === 1;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines.map((one) => JSON.parse(one))) {
        if (line.sentence) this.#tell(line.sentence);
        else this.#step(share = line.done);
      }
    }
  }

  /** Shows how far it is; null: nothing is being made. */
  #step(share) {
    const progress = slot(this.dialog, "progress");
    progress.hidden = share === null;
    slot(this.dialog, "make").disabled = share !== null;
    if (share === null) return this.#news("");
    progress.value = share;
    this.#news(this.dialog.dataset.making.replace("%", Math.round(share * 100)));
  }

  /** Something else was chosen: what is being made, or was, is not that. */
  #unmade() {
    this.making?.abort();
    this.making = null;
    this.#tell("");
    this.#step(null);
    this.#showFilm(false);
    slot(this.dialog, "download").hidden = true;
    slot(this.dialog, "make").hidden = false;
  }

  #showFilm(on) {
    if (!on && this.film.hasAttribute("src")) {
      this.film.pause();
      this.film.removeAttribute("src");
      this.film.load();
    }
    this.film.hidden = !on;
    this.#draw();
  }

  // --- colleagues ------------------------------------------------------------------------------

  async #share(box) {
    const [on, address] = [box.checked, at(`/portrait/${this.id}/moving/shared`)];
    const body = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(this.#wanted) };
    box.disabled = true;
    const answer = await this.#ask(address, on ? body : { method: "DELETE" });
    box.disabled = false;
    if (!answer) box.checked = !on;
    else this.#news(on ? this.dialog.dataset.shared : this.dialog.dataset.unshared);
  }

  // --- all of it -------------------------------------------------------------------------------

  /** A good answer, or null: then the dialog says why. */
  async #ask(address, options) {
    const answer = await fetch(address, options).catch((why) => why);
    if (answer.ok) return answer;
    if (answer.name !== "AbortError") {
      const { failed } = this.dialog.dataset;
      this.#tell(answer instanceof Response ? await sentenceOf(answer) : failed);
    }
    return null;
  }

  #closed() {
    this.asked += 1;
    this.#unmade();
    this.#clear();
    slot(this.portraits.viewer, "move").focus();
  }

  #clear() {
    for (const part of Object.keys(this.pictures)) this.#forget(part);
    slot(this.dialog, "picture").removeAttribute("src");
    this.#draw();
    this.#news("");
  }

  #forget(part) {
    if (this.pictures[part]) URL.revokeObjectURL(this.pictures[part]);
    this.pictures[part] = null;
  }

  #busy(on) {
    this.dialog.querySelector("figure").setAttribute("aria-busy", String(on));
    if (on && this.playing) this.#news(this.dialog.dataset.working);
    else if (!this.making) this.#news("");
  }

  #news(sentence) {
    text(slot(this.dialog, "news"), sentence);
  }

  #tell(sentence) {
    const problem = slot(this.dialog, "problem");
    text(problem, sentence);
    problem.hidden = sentence === "";
  }
}
