// The visitor's photos: the verdicts, good ones first, and what can be done with each.

import { at } from "./address.js";
import { Memory } from "./memory.js";
import { focusOn, follow, slot, text } from "./templates.js";
import { offerPictures, sendPhotos } from "./upload.js";

export class Photos {
  /** @param section where Gradio put its fields */
  constructor(section, clone) {
    section.prepend(clone("photos-head"));
    section.append(clone("photos-list"));
    this.section = section;
    this.clone = clone;
    this.memory = new Memory(section);
    offerPictures(section);
    this.known = null; // labels and verdicts by id, as drawn last
    this.list = slot(section, "photos");
  }

  draw(photos) {
    text(slot(this.section, "hint"), photos.hint);
    slot(this.section, "samples").hidden = photos.list.length > 0;
    this.memory.keepOnly(new Set(photos.list.map((photo) => photo.label)));
    const make = () => this.clone("photo").firstElementChild;
    follow(this.list, photos.list, make, (item, photo) => this.#drawPhoto(item, photo));
    this.#announce(photos.list);
  }

  /** How many photos there are, and whether they are enough, for the way that is chosen. */
  drawMeter(photos, way) {
    text(slot(this.section, "meter"), photos.meter[way]);
    this.section.dataset.enough = photos.enough[way];
  }

  /** Deletes a photo; resolves once the server has. What is focused next is the caller's to do. */
  async remove(item) {
    item.classList.add("leaving");
    const answer = await fetch(at(`/photo/${item.dataset.id}`), { method: "DELETE" }).catch(() => null);
    if (!answer?.ok) item.classList.remove("leaving");
    return item.nextElementSibling ?? item.previousElementSibling;
  }

  /** A phone's camera, by a field that asks for it. Resolves, once the photo is sent, with what is wrong, or "". */
  async take() {
    const field = slot(this.section, "taken");
    field.value = "";
    field.click();
    await new Promise((done) => { field.addEventListener("change", done, { once: true }); });
    return sendPhotos(field.files).catch(() => "");
  }

  /** Why the last photo was not taken, until the next verdicts. */
  tell(sentence) {
    text(slot(this.section, "hint"), sentence);
  }

  /** The keyboard goes on at a photo, or where photos are added. */
  focus(item) {
    // While the field still hears of an upload, its buttons are not the ones that stay.
    const field = this.section.querySelector("#files button:not(.icon-button, .icon-mode)");
    const next = item?.isConnected ? item.querySelector(".remove") : field;
    if (next) next.focus();
    else focusOn(this.section.querySelector("h2"));
  }

  #drawPhoto(item, photo) {
    item.classList.toggle("accepted", photo.accepted);
    item.classList.toggle("painting-only", photo.accepted && !photo.cut_out_usable && !photo.waits);
    text(slot(item, "sentence"), photo.remark ? photo.sentence : "");
    text(slot(item, "label"), `${photo.number} · ${photo.label}`);
    Object.assign(item.dataset, { label: photo.label });
    this.#drawImage(slot(item, "image"), photo);
    const remove = item.querySelector(".remove");
    remove.setAttribute("aria-label", remove.dataset.label.replace("%", photo.label));
  }

  /** From the vault, or what this page remembers of a photo that was turned away. */
  #drawImage(image, photo) {
    const address = photo.image ? at(`/photo/${photo.id}`) : this.memory.url(photo.label);
    if (!address || image.getAttribute("src") === address) return;
    image.alt = photo.label;
    image.hidden = false;
    image.onerror = () => { image.hidden = true; }; // not every browser can show every format
    image.src = address;
  }

  /** For screen readers: the verdicts of photos that were not there a moment ago. */
  #announce(list) {
    const verdict = (photo) => {
      const item = this.list.querySelector(`[data-id="${photo.id}"]`);
      const mark = item.querySelector(photo.accepted ? ".good" : ".bad").textContent;
      const remark = photo.waits ? "" : slot(item, "sentence").textContent; // "good" is said once
      return `${photo.label}: ${mark}. ${remark}`.trim();
    };
    const now = new Map(list.map((photo) => [photo.id, verdict(photo)]));
    if (this.known) {
      const fresh = [...now].filter(([id, told]) => this.known.get(id) !== told);
      if (fresh.length) text(slot(this.section, "verdicts"), fresh.map(([, told]) => told).join(" "));
    }
    this.known = now;
  }
}
