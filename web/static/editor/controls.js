// The editor's form: what is chosen in it, per photo and over a reload, and how it shows that.

import { slot, text } from "../templates.js";
import { forget, lightOf, recalled, remember, stillOffered } from "./settings.js";
import { Sphere } from "./sphere.js";
import { drawStrip } from "./strip.js";

const LATER = 400; // milliseconds without a change until settings are kept

export class Controls {
  /** @param changed is told when something else was chosen */
  constructor(section, photos, clone, changed) {
    Object.assign(this, { section, photos, clone, changed });
    this.form = slot(section, "form");
    this.memory = recalled();
    this.changes = {}; // of the light
    this.blur = null; // as the look has it
    this.touched = Boolean(this.memory.photo); // then no other photo is chosen by itself
    this.saving = 0; // a timer, while something is to be kept
    this.sphere = new Sphere(slot(section, "sphere"), (azimuth, elevation) => {
      Object.assign(this.changes, { azimuth, elevation });
      this.#choose();
    });
    window.addEventListener("pagehide", () => this.#remember());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => this.#input(event.target));
    // A light that is chosen once more is as it was, whatever was moved meanwhile.
    for (const box of this.form.querySelectorAll("[name=light]")) {
      box.addEventListener("click", () => {
        this.changes = {};
        this.#choose();
      });
    }
  }

  /** The name of the chosen look. */
  get look() {
    return this.form.querySelector("[name=look]:checked").dataset.name;
  }

  /** The place of the chosen head size among those on offer. */
  get head() {
    return Number(this.form.elements.head.value);
  }

  /** Shows the photos in their order, which begins with the best. */
  strip(photos) {
    slot(this.section, "strip-field").hidden = photos.length < 2;
    drawStrip(slot(this.section, "strip"), photos, this.photos, this.clone);
  }

  /** Chooses the best photo, unless the visitor has chosen one that is still there. */
  choosePhoto(best) {
    const boxes = [...this.form.querySelectorAll("[name=photo]")];
    const kept = boxes.find((box) => box.value === this.memory.photo);
    const chosen = boxes.find((box) => box.checked);
    const box = (this.touched && (chosen ?? kept)) || boxes.find((other) => other.value === best);
    if (chosen !== box) {
      box.checked = true;
      this.#recall(box.value);
    }
    this.#choose();
  }

  /** Forgets everything: there is no photo any more. */
  stop() {
    clearTimeout(this.saving);
    this.saving = 0;
    this.memory = {};
    this.touched = false;
    forget();
    slot(this.section, "strip").replaceChildren();
  }

  /** Shows the light, and what the ranges stand at, in words too. */
  showLight(settings, stage) {
    const light = lightOf(settings, stage);
    this.sphere.show(light, stage.lamps[light.temperature_k]);
    const { strength, kelvin, blur, head } = this.form.elements;
    strength.value = Math.round(light.strength * 10);
    kelvin.value = nearestTo(numbers(kelvin.dataset.kelvins), light.temperature_k);
    blur.value = Math.round((settings.blur ?? stage.looks[settings.look].blur) * 10);
    for (const range of [strength, blur]) range.setAttribute("aria-valuetext", `${range.value * 10} %`);
    for (const range of [kelvin, head]) {
      const words = range.dataset.words.split("|");
      const at = Math.floor((range.value / (Number(range.max) + 1)) * words.length);
      range.setAttribute("aria-valuetext", words[at]);
    }
    text(slot(this.section, "look"), this.look);
  }

  /** Greys out the clothes' colours, with the reason, where clothes are not clear. */
  showClothes(clear) {
    slot(this.section, "unclear").hidden = clear;
    const [own, ...tones] = this.form.querySelectorAll("[name=clothes]");
    for (const box of tones) box.disabled = !clear;
    if (!clear && !own.checked) {
      own.checked = true;
      this.#choose();
    }
  }

  #input(field) {
    if (field.name === "photo") {
      this.touched = true;
      this.#recall(field.value);
    }
    if (field.name === "look") this.blur = null; // each wall has its own
    if (field.name === "strength") this.changes.strength = Number(field.value) / 10;
    if (field.name === "kelvin") this.changes.kelvin = numbers(field.dataset.kelvins)[field.value];
    if (field.name === "blur") this.blur = Number(field.value) / 10;
    this.#choose();
  }

  /** The settings that a photo had; one that had none gets those of the photo before. */
  #recall(photo) {
    const kept = this.memory.photos?.[photo];
    if (!kept) return;
    const { changes, blur, head, ...boxes } = stillOffered(kept, this.form);
    for (const [name, value] of Object.entries(boxes)) {
      this.form.querySelector(`[name="${name}"][value="${value}"]`).checked = true;
    }
    const range = this.form.elements.head;
    const place = numbers(range.dataset.heads).indexOf(head);
    if (place >= 0) range.value = place;
    Object.assign(this, { changes, blur });
  }

  #choose() {
    const { photo, look, shape, light, clothes, head } = Object.fromEntries(new FormData(this.form));
    const rest = {
      look, shape, light, clothes, head: numbers(this.form.elements.head.dataset.heads)[head],
      changes: { ...this.changes }, blur: this.blur,
    };
    this.memory = { photo, photos: { ...this.memory.photos, [photo]: rest } };
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.#remember(), LATER);
    this.changed({ photo, ...rest });
  }

  /** Keeps what was chosen; at once where the page is left before the time is over. */
  #remember() {
    if (!this.saving) return;
    clearTimeout(this.saving);
    this.saving = 0;
    remember(this.memory);
  }
}

function numbers(text) {
  return text.split(" ").map(Number);
}

/** The place of the colour of light that looks nearest: in steps of 1 / kelvin. */
function nearestTo(kelvins, wanted) {
  const far = kelvins.map((kelvin) => Math.abs(1 / kelvin - 1 / wanted));
  return far.indexOf(Math.min(...far));
}
