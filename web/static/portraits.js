// The portraits: a grid with hearts, filters and folded near-duplicates, the doubtful ones in a
// fold of their own, all in one shape and before one tone of backdrop; a large view with arrow keys
// and swipes.

import { at } from "./address.js";
import { Arrangement } from "./arrangement.js";
import { Downloads } from "./downloads.js";
import { show } from "./pictures.js";
import { follow, slot, text } from "./templates.js";

const WAYS = ["photo", "dressed", "painted"]; // in this order
const ALL = "all";
const HEARTS = "hearts";
const LOOK = "look:"; // before the name of a look
const VIEWER = "viewer"; // the state of the history while the large view is open
const SWIPE = 45; // pixels from which a stroke of the finger counts

/** 1 where what comes next is on the right, -1 in languages that are written from right to left. */
const onwards = () => (document.documentElement.dir === "rtl" ? -1 : 1);

export class Portraits {
  /** @param section where the grid is  @param viewer the dialog of the large view */
  constructor(section, viewer, clone) {
    this.section = section;
    this.viewer = viewer;
    this.clone = clone;
    this.known = []; // as the server told
    this.visible = []; // what can be leafed through
    this.hearts = new Set();
    this.votes = {};
    this.tapping = new Map(); // id -> on, until the server has answered
    this.unfolded = new Set();
    this.only = ALL;
    this.working = true;
    this.shown = "";
    this.#watchViewer();
    this.arrangement = new Arrangement(section, () => this.#arranged());
    this.downloads = new Downloads(section, viewer, () => this.shown, () => this.arrangement.wanted);
  }

  /** Draws what a status says. While a job runs, in the order they were made: nothing jumps. */
  draw(status, working) {
    if (status.portraits) this.known = status.portraits;
    if (status.wish) this.downloads.drawWish(status.wish);
    if (status.shapes) {
      this.shapes = status.shapes;
      this.arrangement.draw(status.shapes, status.arrangement);
      this.#drawSizes();
    }
    this.working = working;
    this.hearts = new Set(status.hearts.list);
    for (const [id, on] of this.tapping) this.#mark(id, on);
    this.votes = status.hearts.votes;
    slot(this.section, "share").hidden = !this.hearts.size && !status.hearts.shared;
    this.#redraw();
  }

  /** Another shape or backdrop: each picture stays until the one in its place is there. */
  #arranged() {
    this.#drawSizes();
    this.#redraw();
  }

  #drawSizes() {
    this.downloads.drawSizes(this.shapes.find(({ key }) => key === this.arrangement.shape).sizes);
  }

  /** Where a portrait is in the shape and tone that are chosen. */
  address(portrait, size) {
    const how = new URLSearchParams({ size, ...this.arrangement.wanted });
    return at(`/portrait/${portrait.id}?${how}`);
  }

  #redraw() {
    const shown = this.#inOrder();
    const sure = shown.filter((portrait) => this.working || !portrait.doubtful);
    const unsure = shown.filter((portrait) => !this.working && portrait.doubtful);
    this.section.dataset.any = this.known.length > 0;
    this.#chips();
    const ways = WAYS.map((way) => sure.filter((portrait) => portrait.way === way));
    WAYS.forEach((way, place) => this.#grid(way, ways[place]));
    this.#grid("unsure", unsure);
    this.visible = [...ways.flat(), ...unsure].filter((portrait) => !this.#hidden(portrait));
    const doubtful = unsure.filter((portrait) => this.#passes(portrait)).length;
    slot(this.section, "doubtful").hidden = doubtful === 0;
    text(slot(this.section, "doubtful-count"), String(doubtful));
    slot(this.section, "hint").hidden = this.hearts.size > 0;
    slot(this.section, "zip-hearted").hidden = this.hearts.size === 0;
    this.#press(slot(this.viewer, "heart"), this.hearts.has(this.shown));
  }

  /** Best first, near-duplicates right behind the one they are like. */
  #inOrder() {
    if (this.working) return [...this.known].sort((a, b) => a.id.localeCompare(b.id));
    const leaders = this.known.filter((portrait) => !portrait.like);
    return leaders.flatMap((leader) => [leader, ...this.#likes(leader.id)]);
  }

  #likes(id) {
    return this.known.filter((portrait) => portrait.like === id);
  }

  #passes(portrait) {
    if (this.working || this.only === ALL) return true;
    if (this.only === HEARTS) return this.hearts.has(portrait.id);
    return this.only === LOOK + portrait.style;
  }

  /** A near-duplicate that was not asked for. One with a heart is always wanted. */
  #folded(portrait) {
    return !this.working && this.only !== HEARTS && portrait.like
      && !this.hearts.has(portrait.id) && !this.unfolded.has(portrait.like);
  }

  #hidden(portrait) {
    return !this.#passes(portrait) || this.#folded(portrait);
  }

  // --- filters ---------------------------------------------------------------------------------

  #chips() {
    const row = slot(this.section, "chips");
    const looks = [...new Set(this.known.map((portrait) => portrait.style))].sort();
    const chips = [{ id: ALL, name: row.dataset.all }, { id: HEARTS, name: row.dataset.hearts }];
    chips.push(...looks.map((look) => ({ id: LOOK + look, name: look })));
    if (!chips.some((chip) => chip.id === this.only)) this.only = ALL;
    follow(row, chips, () => this.clone("chip").firstElementChild, (element, chip) => {
      text(element, chip.name);
      this.#press(element, chip.id === this.only);
    });
  }

  /** Shows all, the hearted, or one look. */
  filter(id) {
    this.only = id;
    this.#redraw();
  }

  /** Shows or hides the near-duplicates of a portrait. */
  unfold(id) {
    if (!this.unfolded.delete(id)) this.unfolded.add(id);
    this.#redraw();
  }

  // --- tiles -----------------------------------------------------------------------------------

  #grid(name, portraits) {
    const make = (portrait) => this.#make(portrait);
    follow(slot(this.section, name), portraits, make, (tile, portrait) => this.#update(tile, portrait));
    const heading = slot(this.section, `${name}-heading`);
    if (heading) heading.hidden = portraits.every((portrait) => this.#hidden(portrait));
  }

  /** What a picture is, for whoever cannot see it. */
  told(portrait, number) {
    const { alt } = slot(this.clone("portrait"), "image").dataset;
    return alt.replace("%", portrait.style).replace("#", number);
  }

  #make(portrait) {
    const item = this.clone("portrait").firstElementChild;
    const image = slot(item, "image");
    const number = Number(portrait.id.split("-").pop());
    image.alt = this.told(portrait, number);
    const heart = item.querySelector(".heart");
    heart.setAttribute("aria-label", heart.dataset.label.replace("#", number));
    return item;
  }

  #update(tile, portrait) {
    tile.hidden = Boolean(this.#hidden(portrait));
    show(tile.querySelector(".portrait"), this.address(portrait, "400"));
    this.#press(tile.querySelector(".heart"), this.hearts.has(portrait.id));
    this.#count(slot(tile, "votes"), this.votes[portrait.id] ?? 0);
    const like = slot(tile, "like");
    const open = this.unfolded.has(portrait.id);
    const folded = this.working || this.only === HEARTS ? []
      : this.#likes(portrait.id).filter((other) => !this.hearts.has(other.id));
    this.#count(like, folded.length);
    if (open) text(like, like.dataset.fewer);
    like.setAttribute("aria-expanded", String(open));
  }

  #count(element, number) {
    element.hidden = number === 0;
    text(element, number === 1 ? element.dataset.one : element.dataset.other.replace("%", number));
  }

  #press(button, on) {
    button.setAttribute("aria-pressed", String(on));
  }

  // --- hearts ----------------------------------------------------------------------------------

  /** Gives or takes a heart. It shows at once; if the server does not hear of it, it goes back. */
  async tap(id) {
    const on = !this.hearts.has(id);
    this.tapping.set(id, on);
    this.#mark(id, on);
    this.#redraw();
    const answer = await fetch(at(`/portrait/${id}/heart`), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ on }),
    }).catch(() => null);
    if (this.tapping.get(id) === on) this.tapping.delete(id);
    if (!answer?.ok) this.#mark(id, !on);
    this.#redraw();
  }

  #mark(id, on) {
    if (on) this.hearts.add(id);
    else this.hearts.delete(id);
  }

  // --- the large view --------------------------------------------------------------------------

  #watchViewer() {
    this.viewer.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") this.step(onwards());
      if (event.key === "ArrowLeft") this.step(-onwards());
    });
    // The browser's Back closes it: the large view is a place of its own in the history.
    window.addEventListener("popstate", () => { if (this.viewer.open) this.viewer.close(); });
    // Back to the portrait that was looked at last, which may not be the one it began with.
    this.viewer.addEventListener("close", () => {
      if (history.state === VIEWER) history.back();
      const tile = this.section.querySelector(`[data-id="${this.shown}"] .portrait`);
      if (tile?.checkVisibility()) tile.focus();
    });
    // On the whole view, also where the picture is not there yet. A button is pressed, not drawn on.
    let start = null;
    this.viewer.addEventListener("pointerdown", (event) => {
      const swipes = event.isPrimary && !event.target.closest("button, a");
      start = swipes ? event : null;
      if (swipes) this.viewer.setPointerCapture(event.pointerId);
    });
    this.viewer.addEventListener("pointercancel", () => { start = null; });
    this.viewer.addEventListener("pointerup", (event) => {
      if (!start || event.pointerId !== start.pointerId) return;
      const across = event.clientX - start.clientX;
      const down = event.clientY - start.clientY;
      start = null;
      if (Math.abs(across) > SWIPE && Math.abs(across) > 1.5 * Math.abs(down)) {
        this.step(across < 0 ? onwards() : -onwards());
      }
    });
  }

  open(id) {
    this.#show(this.visible.find((portrait) => portrait.id === id));
    history.pushState(VIEWER, "");
    this.viewer.showModal();
  }

  step(by) {
    const place = this.visible.findIndex((portrait) => portrait.id === this.shown);
    const many = this.visible.length;
    this.#show(this.visible[(Math.max(place, 0) + by + many) % many]);
  }

  #show(portrait) {
    if (!portrait) return;
    this.shown = portrait.id;
    const image = slot(this.viewer, "image");
    image.src = this.address(portrait, "original");
    image.alt = portrait.style;
    const place = this.visible.indexOf(portrait) + 1;
    text(slot(this.viewer, "caption"), `${portrait.style} · ${place} / ${this.visible.length}`);
    this.#press(slot(this.viewer, "heart"), this.hearts.has(portrait.id));
    this.downloads.addresses();
  }
}
