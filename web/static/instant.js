// The portrait at once: one photo before a studio wall, drawn anew whenever something is chosen.

import { follow, slot, text } from "./templates.js";

const PAUSE = 150; // milliseconds without another choice before one is sent: arrow keys walk fast
const AGAIN = 800; // until a busy server is asked once more
const TRIES = 4;
const BUSY = 429;

export class Instant {
  /** @param section where it is shown  @param photos where the photos are, whose pictures it uses */
  constructor(section, photos, clone) {
    section.append(clone("instant-part"));
    section.dataset.any = "false";
    this.section = section;
    this.photos = photos;
    this.clone = clone;
    this.form = slot(section, "form");
    this.picture = slot(section, "picture");
    this.asking = null; // the request that is on its way
    this.timer = 0;
    this.wanted = "";
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.#choose());
  }

  /** Follows the photos that can be shown, best first. What was chosen stays, while it is there. */
  draw(photos) {
    const usable = photos.usable_cut_outs.map((id) => photos.list.find((photo) => photo.id === id));
    this.section.dataset.any = usable.length > 0;
    slot(this.section, "strip-field").hidden = usable.length < 2;
    const make = () => this.clone("instant-photo").firstElementChild;
    follow(slot(this.section, "strip"), usable, make, (item, photo) => this.#drawPhoto(item, photo));
    if (!usable.length) return this.#stop();
    const boxes = [...this.form.querySelectorAll("[name=photo]")];
    if (!boxes.some((box) => box.checked)) boxes[0].checked = true;
    this.#choose();
  }

  #drawPhoto(item, photo) {
    const box = item.querySelector("input");
    box.value = photo.id;
    text(slot(item, "label"), photo.label);
    const image = slot(this.photos.querySelector(`[data-id="${photo.id}"]`), "image");
    const canvas = item.querySelector("canvas");
    if (canvas.dataset.drawn) return;
    canvas.dataset.drawn = "";
    // The page has the photo already: it need not be loaded twice.
    image.decode().then(() => cover(canvas, image), () => { delete canvas.dataset.drawn; });
  }

  #stop() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.wanted = "";
    this.picture.hidden = true;
    this.picture.removeAttribute("src");
    slot(this.section, "download").hidden = true;
  }

  #choose() {
    const wanted = new URLSearchParams(new FormData(this.form)).toString();
    if (wanted === this.wanted) return;
    const first = this.wanted === "";
    this.wanted = wanted;
    const look = this.#look();
    text(slot(this.section, "look"), look);
    const download = slot(this.section, "download");
    download.href = `/studio-portrait?${wanted}&size=full`;
    clearTimeout(this.timer);
    this.asking?.abort();
    this.timer = setTimeout(() => this.#ask(wanted, look, TRIES), first ? 0 : PAUSE);
  }

  #look() {
    return this.form.querySelector("[name=look]:checked").dataset.name;
  }

  /** Asks for the picture; whatever was asked before is not waited for. */
  async #ask(wanted, look, tries) {
    this.asking = new AbortController();
    const { signal } = this.asking;
    const figure = this.picture.closest("figure");
    figure.setAttribute("aria-busy", "true");
    this.#tell("working");
    try {
      const answer = await fetch(`/studio-portrait?${wanted}`, { signal });
      if (answer.status === BUSY && tries > 1) {
        this.timer = setTimeout(() => this.#ask(wanted, look, tries - 1), AGAIN);
        return;
      }
      if (!answer.ok) {
        text(slot(this.section, "news"), (await answer.json()).sentence);
      } else {
        await this.#show(await answer.blob(), look);
        const exact = answer.headers.get("x-likeness-distance") === this.form.distance.value;
        this.#tell(exact ? "shown" : "nearest", look);
      }
    } catch {
      if (signal.aborted) return; // something else was chosen
      this.#tell("failed");
    }
    figure.setAttribute("aria-busy", "false");
  }

  async #show(blob, look) {
    const before = this.picture.src;
    this.picture.src = URL.createObjectURL(blob);
    this.picture.alt = this.picture.dataset.alt.replace("%", look);
    await this.picture.decode().catch(() => null);
    this.picture.hidden = false;
    slot(this.section, "download").hidden = false;
    this.#showWalls();
    if (before) URL.revokeObjectURL(before);
  }

  /** The small pictures of the walls come after the first portrait, which should not wait for them. */
  #showWalls() {
    for (const image of this.form.querySelectorAll("img[data-src]")) {
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }

  #tell(what, look = "") {
    const news = slot(this.section, "news");
    text(news, news.dataset[what].replace("%", look));
  }
}

/** Draws the upper middle of an image, as large as the canvas is. */
function cover(canvas, image) {
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const left = (image.naturalWidth - side) / 2;
  canvas.getContext("2d").drawImage(image, left, 0, side, side, 0, 0, canvas.width, canvas.height);
}
