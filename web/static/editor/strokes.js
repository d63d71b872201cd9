// "Take something away": strokes over the portrait, sent as shares of the photo. By mouse, finger, or
// with a ring that the arrow keys move.

import { at } from "../address.js";
import { slot } from "../templates.js";
import { Told, ask } from "./parts.js";

const BRUSH = 0.022; // radius, as a share of the portrait's longer side
const STEP = 0.02; // of an arrow key
const NEAR = 0.25; // radii that the pointer must move for another point
const MOST = 200; // points of a stroke
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Strokes {
  /** @param section the editor's  @param scene gives what is shown  @param changed is told how it went */
  constructor(section, scene, changed) {
    Object.assign(this, { section, scene, changed });
    this.canvas = slot(section, "strokes");
    this.toggle = slot(section, "away");
    this.points = null; // of the stroke that is being drawn, in pixels of the portrait
    this.ring = null; // where the keys are
    this.sending = Promise.resolve();
    this.toggle.addEventListener("click", () => this.#turn(!this.on));
    slot(section, "back").addEventListener("click", () => this.#send("DELETE", "broughtBack"));
    this.#listen();
  }

  get on() {
    return this.toggle.getAttribute("aria-pressed") === "true";
  }

  /** Follows what is shown: a photo with strokes offers to bring the last one back. */
  show(scene) {
    const [width, height] = scene.frame.size;
    const { canvas } = this;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const back = slot(this.section, "back");
    if (back === document.activeElement && !scene.figure.strokes) this.toggle.focus();
    back.hidden = !scene.figure.strokes;
    this.#draw();
  }

  /** There is no photo any more. */
  stop() {
    this.#turn(false);
  }

  #turn(on) {
    this.toggle.setAttribute("aria-pressed", String(on));
    this.canvas.hidden = !on;
    slot(this.section, "away-hint").hidden = !on;
    this.points = this.ring = null;
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.scene()) return;
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      this.ring = null;
      this.points = [this.#place(event)];
      this.#draw();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.points) return;
      const place = this.#place(event);
      if (distance(place, this.points.at(-1)) < NEAR * this.radius || this.points.length >= MOST) return;
      this.points.push(place);
      this.#draw();
    });
    canvas.addEventListener("pointerup", () => this.#finish());
    canvas.addEventListener("pointercancel", () => {
      this.points = null;
      this.#draw();
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  get radius() {
    return BRUSH * Math.max(this.canvas.width, this.canvas.height);
  }

  /** Where the pointer is on the portrait, which lies in the middle of its element. */
  #place(event) {
    const { width, height } = this.canvas;
    const box = this.canvas.getBoundingClientRect();
    const scale = Math.min(box.width / width, box.height / height);
    return [
      (event.clientX - box.left - box.width / 2) / scale + width / 2,
      (event.clientY - box.top - box.height / 2) / scale + height / 2,
    ];
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.scene()) return;
    const { width, height } = this.canvas;
    const step = KEYS[event.key];
    if (!step && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    this.ring ??= [width / 2, height / 2];
    if (step) {
      const far = STEP * Math.max(width, height);
      this.ring = [within(width, this.ring[0] + far * step[0]), within(height, this.ring[1] + far * step[1])];
      this.#draw();
    } else {
      this.points = [this.ring];
      this.#finish();
    }
  }

  #finish() {
    if (!this.points) return;
    const { frame, figure } = this.scene();
    const [a, b, c, d, e, f] = frame.matrix;
    const { width, height } = figure.levels[0];
    const points = this.points.map(([x, y]) => [
      within(1, (a * (x - 0.5) + b * (y - 0.5) + c + 0.5) / width),
      within(1, (d * (x - 0.5) + e * (y - 0.5) + f + 0.5) / height),
    ]);
    const radius = (this.radius * Math.sqrt(Math.abs(a * e - b * d))) / Math.max(width, height);
    this.points = null;
    const body = JSON.stringify({ points, radius });
    this.#send("POST", "taken", { body, headers: { "content-type": "application/json" } });
  }

  /** One after the other: a stroke that is drawn while another is on its way comes after it. */
  #send(method, news, options = {}) {
    const { photo } = this.scene().settings;
    this.sending = this.sending.then(async () => {
      try {
        await ask(at(`/studio-strokes/${photo}`), { method, ...options });
        this.changed(photo, news);
      } catch (error) {
        this.changed(photo, "failed", error instanceof Told ? error.message : "");
      }
    });
  }

  #draw() {
    const { canvas, points, ring, radius } = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (points) {
      Object.assign(context, { lineWidth: 2 * radius, lineCap: "round", lineJoin: "round" });
      context.strokeStyle = "rgb(200 30 60 / 55%)";
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of [points[0], ...points]) context.lineTo(...point);
      context.stroke();
    }
    if (!ring) return;
    for (const [style, width] of [["#fff", 5], ["#c81e3c", 2]]) {
      context.beginPath();
      context.arc(...ring, radius, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: style, lineWidth: width });
      context.stroke();
    }
  }
}

function within(most, value) {
  return Math.min(most, Math.max(0, value));
}

function distance([x, y], [u, v]) {
  return Math.hypot(x - u, y - v);
}
