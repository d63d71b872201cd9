// The portraits: a grid, the doubtful ones folded, and a large view with arrow keys.

import { follow, slot, text } from "./parts.js";

export class Portraits {
  /** @param section where the grid is  @param viewer the dialog of the large view */
  constructor(section, viewer, clone) {
    this.section = section;
    this.viewer = viewer;
    this.clone = clone;
    this.all = [];
    this.shown = 0;
    viewer.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") this.step(1);
      if (event.key === "ArrowLeft") this.step(-1);
    });
    const size = slot(section, "size");
    size.addEventListener("change", () => {
      slot(section, "zip").href = `/portraits.zip?size=${encodeURIComponent(size.value)}`;
    });
  }

  /** While a job runs, in the order they were made, so that nothing jumps; then best first. */
  draw(portraits, working) {
    const shown = [...portraits];
    if (working) shown.sort((a, b) => a.id.localeCompare(b.id));
    const sure = shown.filter((portrait) => working || !portrait.doubtful);
    const unsure = shown.filter((portrait) => !working && portrait.doubtful);
    this.all = [...sure, ...unsure];
    this.section.dataset.any = shown.length > 0;
    this.#grid("sure", sure);
    this.#grid("unsure", unsure);
    slot(this.section, "doubtful").hidden = unsure.length === 0;
    text(slot(this.section, "doubtful-count"), String(unsure.length));
  }

  #grid(name, portraits) {
    follow(slot(this.section, name), portraits, (portrait) => this.#make(portrait), () => {});
  }

  #make(portrait) {
    const item = this.clone("portrait").firstElementChild;
    const image = slot(item, "image");
    image.alt = image.dataset.alt.replace("%", portrait.style);
    image.src = `/portrait/${portrait.id}?size=400`;
    return item;
  }

  open(id) {
    this.#show(this.all.findIndex((portrait) => portrait.id === id));
    this.viewer.showModal();
  }

  step(by) {
    this.#show((this.shown + by + this.all.length) % this.all.length);
  }

  #show(place) {
    const portrait = this.all[place];
    if (!portrait) return;
    this.shown = place;
    const address = `/portrait/${portrait.id}?size=original`;
    const image = slot(this.viewer, "image");
    image.src = address;
    image.alt = portrait.style;
    text(slot(this.viewer, "caption"), `${portrait.style} · ${place + 1} / ${this.all.length}`);
    const download = slot(this.viewer, "download");
    download.href = address;
    download.download = `${portrait.id}.png`;
  }
}
