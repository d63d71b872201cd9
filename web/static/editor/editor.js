// The editor: one photo in a studio, drawn anew within a blink whenever something is chosen.

import { at } from "../address.js";
import { slot, text } from "../templates.js";
import { Controls } from "./controls.js";
import { AS_IT_WAS, compose, cut, plainGrade, plainWall } from "./draw.js";
import { Heart } from "./heart.js";
import { gains } from "./light.js";
import { Parts, Told, ask } from "./parts.js";
import { asAsked, lightOf } from "./settings.js";
import { Strokes } from "./strokes.js";

const BLURS = [0, 0.5, 1];

export class Editor {
  /** @param section where it is  @param photos where the photos are  @param kept told of a heart */
  constructor(section, photos, clone, kept) {
    section.append(clone("editor"));
    section.dataset.any = "false";
    this.section = section;
    this.canvas = slot(section, "picture");
    this.figure = this.canvas.closest("figure");
    this.parts = new Parts();
    this.settings = null;
    this.shown = null; // what the picture was drawn of
    this.waiting = false; // for the next frame of the screen
    this.original = false;
    this.heart = new Heart(slot(section, "keep"), slot(section, "news"), kept);
    this.controls = new Controls(section, photos, clone, (settings) => this.#changed(settings));
    this.strokes = new Strokes(section, () => this.shown, (...how) => this.#struck(...how));
    this.#listenForOriginal();
    section.querySelector("[name=blur]").addEventListener("focus", () => this.#prepareBlur());
  }

  /** Follows the photos that can be shown. What was chosen stays, while it is there. */
  async draw(photos) {
    const usable = photos.usable_cut_outs.map((id) => photos.list.find((photo) => photo.id === id));
    this.parts.keepOnly(photos.usable_cut_outs);
    this.section.dataset.any = usable.length > 0;
    if (!usable.length) {
      this.ids = "";
      return this.#stop();
    }
    const ids = photos.usable_cut_outs.join(" ");
    if (this.ids !== ids) Object.assign(this, { ids, order: this.#bestFirst(photos.usable_cut_outs) });
    const order = await this.order;
    if (this.ids !== ids) return; // other photos have been drawn meanwhile
    this.controls.strip(order.map((id) => usable.find((photo) => photo.id === id)));
    this.controls.choosePhoto(order[0]);
  }

  /** Follows the hearts of the portraits. */
  follow(hearts) {
    this.heart.follow(hearts);
  }

  async #bestFirst(ids) {
    if (ids.length === 1) return ids;
    try {
      const order = await (await ask(at("/studio-photos"))).json();
      return [...order.filter((id) => ids.includes(id)), ...ids.filter((id) => !order.includes(id))];
    } catch {
      return ids;
    }
  }

  #listenForOriginal() {
    const button = slot(this.section, "original");
    const show = (on) => () => this.#showOriginal(on);
    button.addEventListener("pointerdown", show(true));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      button.addEventListener(end, show(false));
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    const pressed = (event) => event.key === " " || event.key === "Enter";
    button.addEventListener("keydown", (event) => pressed(event) && this.#showOriginal(true));
    button.addEventListener("keyup", (event) => pressed(event) && this.#showOriginal(false));
  }

  #changed(settings) {
    this.settings = settings;
    const asked = asAsked(settings);
    const query = new URLSearchParams({ ...asked, size: "full" });
    slot(this.section, "download").href = at(`/studio-portrait?${query}`);
    this.heart.show(asked);
    this.#ask();
  }

  /** Draws with what is here; what is missing is asked for, and drawn with when it comes. */
  #ask() {
    const { settings } = this;
    const missing = [];
    const have = (part) => {
      if (!(part instanceof Promise)) return part;
      missing.push(part);
      return null;
    };
    const stage = have(this.parts.stage());
    const figure = have(this.parts.figure(settings));
    const frames = stage && have(this.parts.frames(settings, stage.looks[settings.look].fade));
    const frame = frames && nearest(frames, this.controls.head);
    const wall = frame && have(this.parts.wall(settings, frame.size));
    if (stage) this.controls.showLight(settings, stage);
    if (figure && frame) {
      // Until the new wall is here, the person is shown before the nearest one that is.
      const here = wall ?? this.#wallSoFar(settings, frame);
      if (here) this.#show({ stage, figure, frame, wall: here, settings });
    }
    if (missing.length) this.#wait(missing, settings);
    else this.figure.setAttribute("aria-busy", "false");
    if (frames && !frame) this.#say("none");
    if (figure) this.controls.showClothes(figure.clear);
  }

  #wallSoFar(settings, frame) {
    const near = settings.blur === null ? null : this.parts.nearestWall(settings, frame.size);
    return near ?? (this.shown?.frame === frame ? this.shown.wall : null);
  }

  /** A stroke was made or brought back, or why not: the photo is asked for anew. */
  #struck(photo, news, sentence = "") {
    if (!sentence) this.parts.forget(photo);
    if (!this.settings) return;
    if (sentence) text(slot(this.section, "news"), sentence);
    else this.#say(news);
    this.#ask();
  }

  /** Walls between which the blur is dragged, so that a drag has something to show at once. */
  #prepareBlur() {
    const { settings, shown } = this;
    if (!shown || shown.settings.look !== settings.look) return;
    for (const blur of BLURS) {
      Promise.resolve(this.parts.wall({ ...settings, blur }, shown.frame.size)).catch(() => null);
    }
  }

  async #wait(missing, settings) {
    this.figure.setAttribute("aria-busy", "true");
    if (this.shown?.settings.photo !== settings.photo) this.#say("working");
    try {
      await Promise.all(missing);
    } catch (error) {
      if (settings !== this.settings) return; // something else was chosen
      if (error instanceof Told) text(slot(this.section, "news"), error.message);
      else this.#say("failed");
      this.figure.setAttribute("aria-busy", "false");
      return;
    }
    if (settings === this.settings) this.#ask();
  }

  #show(scene) {
    const before = this.shown?.settings ?? {};
    this.shown = scene;
    const { look, photo, shape, head } = scene.settings;
    const name = this.controls.look;
    this.strokes.show(scene);
    if (before.look !== look || before.photo !== photo) {
      this.canvas.setAttribute("aria-label", this.canvas.dataset.alt.replace("%", name));
      this.#say("shown", name);
    } else if (before.shape !== shape || before.head !== head) {
      this.#say(scene.frame.as_wished ? "shown" : "nearest", name);
    }
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.waiting = false;
    if (!this.shown) return;
    const { canvas } = this;
    const { frame, settings } = this.shown;
    const [width, height] = frame.size;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    if (this.original) this.#composeOriginal(image);
    else this.#compose(image);
    context.putImageData(image, 0, 0);
    canvas.hidden = false;
    canvas.dataset.drawn = Number(canvas.dataset.drawn ?? 0) + 1;
    canvas.dataset.photo = settings.photo;
    slot(this.section, "actions").hidden = false;
    this.#showWalls();
  }

  #compose(image) {
    const { stage, figure, frame, wall, settings } = this.shown;
    if (figure.cut?.frame !== frame) figure.cut = { frame, person: cut(figure, frame) };
    const light = lightOf(settings, stage);
    const name = JSON.stringify(light);
    if (figure.lit?.name !== name) {
      figure.lit = { name, gains: gains(figure, light, stage.lamps[light.temperature_k]) };
    }
    const grade = stage.grades[stage.looks[settings.look].grade];
    compose(image, figure.cut.person, figure.lit.gains, wall, grade);
  }

  /** The person as the photo had them: its own light and colours, before plain grey. */
  #composeOriginal(image) {
    const { stage, figure, frame, settings } = this.shown;
    const worn = this.parts.figure({ ...settings, clothes: "own" });
    const later = worn instanceof Promise;
    if (later) worn.then(() => this.original && this.#show(this.shown), () => null);
    const person = cut(later ? figure : worn, frame, AS_IT_WAS);
    const { curve } = stage.grades[stage.looks[settings.look].grade];
    compose(image, person, null, plainWall(...frame.size), plainGrade(curve.length));
  }

  #showOriginal(on) {
    if (on === this.original) return;
    this.original = on;
    slot(this.section, "original").setAttribute("aria-pressed", String(on));
    if (this.shown) this.#show(this.shown);
  }

  /** The small pictures of the walls come after the first portrait, which should not wait for them. */
  #showWalls() {
    for (const image of this.section.querySelectorAll("img[data-src]")) {
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }

  #stop() {
    this.strokes.stop();
    this.shown = null;
    this.settings = null;
    this.controls.stop();
    this.canvas.hidden = true;
    slot(this.section, "actions").hidden = true;
  }

  #say(what, look = "") {
    const news = slot(this.section, "news");
    text(news, news.dataset[what].replace("%", look));
  }
}

/** The frame of a head size, or the nearest one that there is; null where there is none. */
function nearest(frames, at) {
  const order = frames.map((_, i) => i).sort((a, b) => Math.abs(a - at) - Math.abs(b - at));
  return frames[order.find((i) => frames[i])] ?? null;
}
