// A small ball that is lit as the portrait is: dragging on it, or the arrow keys, moves the light.

import { direction, lambert } from "./light.js";

const STEP = 5; // degrees of an arrow key
const AZIMUTH = [-90, 90];
const ELEVATION = [-10, 80];
const KEYS = {
  ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP],
};
const SIDES = [-55, -15, 15, 55]; // degrees between the words for left, middle and right
const HEIGHTS = [0, 20, 45]; // and for below, level, above, high above

export class Sphere {
  /** @param element the slider  @param moved is told azimuth and elevation in whole degrees */
  constructor(element, moved) {
    this.element = element;
    this.moved = moved;
    this.canvas = element.querySelector("canvas");
    this.light = { azimuth: 0, elevation: 20 };
    element.addEventListener("pointerdown", (event) => this.#grab(event));
    element.addEventListener("pointermove", (event) => {
      if (element.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows a light, and says in words where it stands. */
  show(light, lamp) {
    this.light = light;
    const { element } = this;
    element.setAttribute("aria-valuenow", String(Math.round(light.azimuth)));
    element.setAttribute("aria-valuetext", this.#words(light));
    this.#draw(light, lamp);
  }

  #words({ azimuth, elevation }) {
    const { sides, heights } = this.element.dataset;
    const side = sides.split("|")[SIDES.filter((edge) => azimuth > edge).length];
    const height = heights.split("|")[HEIGHTS.filter((edge) => elevation > edge).length];
    return `${side}, ${height}`;
  }

  #grab(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.element.focus({ preventScroll: true, focusVisible: false });
    this.element.setPointerCapture(event.pointerId);
    this.#follow(event);
  }

  #follow(event) {
    const box = this.canvas.getBoundingClientRect();
    let x = ((event.clientX - box.left) / box.width) * 2 - 1;
    let y = 1 - ((event.clientY - box.top) / box.height) * 2;
    const far = Math.hypot(x, y);
    if (far > 1) [x, y] = [x / far, y / far];
    const elevation = within(ELEVATION, degrees(Math.asin(y)));
    const across = Math.cos((elevation * Math.PI) / 180);
    const azimuth = within(AZIMUTH, degrees(Math.asin(within([-1, 1], x / across))));
    this.moved(Math.round(azimuth), Math.round(elevation));
  }

  #key(event) {
    const step = KEYS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const { azimuth, elevation } = this.light;
    this.moved(within(AZIMUTH, azimuth + step[0]), within(ELEVATION, elevation + step[1]));
  }

  #draw(light, lamp) {
    const side = this.canvas.width;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(side, side);
    const key = direction(light.azimuth, light.elevation);
    const wrap = 0.2 + 0.6 * light.size;
    for (let i = 0; i < side * side; i += 1) {
      const x = ((i % side) + 0.5) / (side / 2) - 1;
      const y = (Math.floor(i / side) + 0.5) / (side / 2) - 1;
      const far = x * x + y * y;
      if (far > 1) continue;
      const lit = lambert(x, y, Math.sqrt(1 - far), key, wrap);
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = 255 * Math.sqrt(0.06 + 0.7 * lit * lamp[c]);
      image.data[4 * i + 3] = 255 * Math.min(1, (1 - Math.sqrt(far)) * (side / 2)); // a smooth edge
    }
    context.putImageData(image, 0, 0);
    this.#drawLamp(context, side, key);
  }

  #drawLamp(context, side, [x, y]) {
    const half = side / 2;
    const size = side / 18;
    const reach = half - size - 2;
    context.beginPath();
    context.arc(half + x * reach, half + y * reach, size, 0, 2 * Math.PI);
    context.fillStyle = "#fff";
    context.strokeStyle = "#222";
    context.lineWidth = size / 2;
    context.fill();
    context.stroke();
  }
}

function within([low, high], value) {
  return Math.min(high, Math.max(low, value));
}

function degrees(radians) {
  return (radians * 180) / Math.PI;
}
