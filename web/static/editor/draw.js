// A portrait at preview size: the person in their frame, lit, before a wall, graded. The same steps
// in linear light as `compositing/render.py` and `compositing/composite.py`, but for the grain.

import { Edges } from "./edges.js";
import { level } from "./figure.js";

const NEUTRAL = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const PLAIN = 0.55; // light of the wall behind the original

/** Brings a photo into a frame: for each pixel of the person its place, light, cover and field. */
export function cut(figure, frame, balance = figure.balance) {
  const [width, height] = frame.size;
  const [a, b, c, d, e, f] = frame.matrix;
  const shrink = Math.max(0, Math.round(Math.log2(Math.sqrt(Math.abs(a * e - b * d)))));
  const source = level(figure, shrink);
  const scale = 1 / 2 ** shrink;
  const [across, down] = figure.field;
  const toField = [across / figure.levels[0].width, down / figure.levels[0].height];
  const places = new Int32Array(width * height);
  const cover = new Float32Array(width * height);
  const light = new Float32Array(width * height * 3);
  const field = new Float32Array(width * height * 2);
  const pixel = new Float32Array(4);
  let count = 0;
  for (let y = 0; y < height; y += 1) {
    const fade = faded(frame.fade, y);
    if (fade === 0) continue;
    for (let x = 0; x < width; x += 1) {
      const u = a * x + b * y + c + 0.5;
      const v = d * x + e * y + f + 0.5;
      if (!sample(source, u * scale - 0.5, v * scale - 0.5, pixel)) continue;
      const [red, green, blue] = pixel;
      for (let i = 0; i < 3; i += 1) {
        const sum = balance[3 * i] * red + balance[3 * i + 1] * green + balance[3 * i + 2] * blue;
        light[3 * count + i] = Math.max(0, sum) * fade;
      }
      places[count] = y * width + x;
      cover[count] = (pixel[3] > 0.998 ? 1 : pixel[3]) * fade;
      field[2 * count] = Math.min(across - 1, Math.max(0, u * toField[0] - 0.5));
      field[2 * count + 1] = Math.min(down - 1, Math.max(0, v * toField[1] - 0.5));
      count += 1;
    }
  }
  const person = {
    width,
    height,
    across,
    places: places.slice(0, count),
    cover: cover.slice(0, count),
    light: light.slice(0, 3 * count),
    lit: new Float32Array(3 * count),
    field: field.slice(0, 2 * count),
  };
  return { ...person, edges: new Edges(person) };
}

/** Draws into an ImageData of the frame's size. gains: see `light.js`, or null for the photo's own. */
export function compose(image, person, gains, wall, grade) {
  const { lit } = person;
  if (gains) shine(person, gains);
  else lit.set(person.light);
  person.edges.fit(lit, wall);
  image.data.set(background(wall, grade));
  const { places, cover } = person;
  const mixed = new Float32Array(3);
  for (let k = 0, at = 0; k < places.length; k += 1, at += 3) {
    const rest = 1 - cover[k];
    if (rest === 0) {
      develop(lit, at, grade, image.data, 4 * places[k]);
      continue;
    }
    const behind = 3 * places[k];
    for (let c = 0; c < 3; c += 1) mixed[c] = lit[at + c] + rest * wall.light[behind + c];
    develop(mixed, 0, grade, image.data, 4 * places[k]);
  }
}

/** One pixel of linear light, graded. */
function develop(light, at, { matrix, curve }, out, to) {
  const red = light[at];
  const green = light[at + 1];
  const blue = light[at + 2];
  const last = curve.length - 1;
  for (let i = 0; i < 9; i += 3) {
    const value = matrix[i] * red + matrix[i + 1] * green + matrix[i + 2] * blue;
    const step = value > 0 ? (Math.sqrt(value) * last + 0.5) | 0 : 0;
    out[to] = curve[step < last ? step : last];
    to += 1;
  }
}

/** A wall of even grey, for the photo as it was. */
export function plainWall(width, height) {
  return { width, height, light: new Float32Array(width * height * 3).fill(PLAIN) };
}

/** The grade that changes nothing, with as many steps as the server's have. */
export function plainGrade(steps) {
  const curve = new Uint8Array(steps);
  for (let i = 0; i < steps; i += 1) {
    const x = (i / (steps - 1)) ** 2;
    curve[i] = Math.round(255 * (x <= 0.0031308 ? x * 12.92 : 1.055 * x ** (1 / 2.4) - 0.055));
  }
  return { matrix: NEUTRAL, curve };
}

export const AS_IT_WAS = NEUTRAL;

function faded(fade, y) {
  if (!fade) return 1;
  const t = Math.min(1, Math.max(0, (fade[0] - y) / fade[1]));
  return t * t * (3 - 2 * t);
}

/** Reads a picture between its pixels, nothing beyond its borders; false where nobody is. */
function sample({ width, height, light }, x, y, into) {
  if (x <= -1 || y <= -1 || x >= width || y >= height) return false;
  const left = Math.floor(x);
  const top = Math.floor(y);
  const dx = x - left;
  const dy = y - top;
  const west = left >= 0 ? 1 - dx : 0;
  const east = left + 1 < width ? dx : 0;
  const north = top >= 0 ? 1 - dy : 0;
  const south = top + 1 < height ? dy : 0;
  const at = 4 * (Math.max(0, top) * width + Math.max(0, left));
  const right = at + (east && left >= 0 ? 4 : 0);
  const down = south && top >= 0 ? 4 * width : 0;
  for (let c = 0; c < 4; c += 1) {
    const upper = west * light[at + c] + east * light[right + c];
    const lower = west * light[at + down + c] + east * light[right + down + c];
    into[c] = north * upper + south * lower;
  }
  return into[3] > 0;
}

/** The person's light times the gains, read between the places of their field. */
function shine({ light, lit, field, across }, gains) {
  const end = gains.length - 3;
  for (let k = 0; k < field.length / 2; k += 1) {
    const left = Math.floor(field[2 * k]);
    const top = Math.floor(field[2 * k + 1]);
    const dx = field[2 * k] - left;
    const dy = field[2 * k + 1] - top;
    const at = 3 * (top * across + left);
    const right = Math.min(end, at + 3);
    const below = Math.min(end, at + 3 * across);
    const corner = Math.min(end, below + 3);
    for (let c = 0; c < 3; c += 1) {
      const upper = gains[at + c] + dx * (gains[right + c] - gains[at + c]);
      const lower = gains[below + c] + dx * (gains[corner + c] - gains[below + c]);
      lit[3 * k + c] = light[3 * k + c] * (upper + dy * (lower - upper));
    }
  }
}

/** The wall alone, graded; made once for each grade. */
function background(wall, grade) {
  if (wall.graded?.grade === grade) return wall.graded.data;
  const data = new Uint8ClampedArray((wall.light.length / 3) * 4).fill(255);
  for (let p = 0, to = 0; p < wall.light.length; p += 3, to += 4) develop(wall.light, p, grade, data, to);
  wall.graded = { grade, data };
  return data;
}
