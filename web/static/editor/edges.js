// The edge of a person before a new wall; the same steps as `at_edges` of `compositing/composite.py`.

const WRAP = 0.22;
const FRINGE_UP = 1.4;
const FRINGE_DOWN = 0.6;
const CELL = 8; // pixels
const LUMINANCE = [0.2126729, 0.7151522, 0.072175];
const REACH = 4; // of a blur of deviation 1, in cells
const KERNEL = normalised(Float32Array.from({ length: 2 * REACH + 1 }, (_, i) => Math.exp(-((i - REACH) ** 2) / 2)));

/** Half-covered pixels of one person in one frame, and the cells around that they are fitted to. */
export class Edges {
  constructor({ width, height, places, cover }) {
    Object.assign(this, { width, height, places, cover, wall: null });
    this.across = Math.max(8, Math.floor(width / CELL));
    this.down = Math.max(8, Math.floor(height / CELL));
    this.share = (this.across * this.down) / (width * height); // of a cell that a pixel has
    this.cells = new Int32Array(places.length);
    const solid = new Float32Array(this.across * this.down);
    this.covered = new Float32Array(solid.length);
    const half = [];
    for (let k = 0; k < places.length; k += 1) {
      const cell = this.#cell(places[k]);
      this.cells[k] = cell;
      this.covered[cell] += cover[k] * this.share;
      if (cover[k] > 0.98) solid[cell] += this.share;
      if (cover[k] > 0.004 && cover[k] < 0.996) half.push(k);
    }
    this.half = Int32Array.from(half);
    this.solid = blurred(solid, this.across, this.down, 1);
  }

  /** Bounds the old room's light on the edge, and lets a little of the wall's round it. */
  fit(lit, wall) {
    if (this.wall !== wall) {
      this.wall = wall;
      this.outside = blurred(this.#wallBehind(wall), this.across, this.down, 3);
    }
    const inside = blurred(this.#personInside(lit), this.across, this.down, 3);
    const near = new Float32Array(3);
    const share = new Float32Array(1);
    const around = new Float32Array(3);
    for (const k of this.half) {
      const row = Math.floor(this.places[k] / this.width);
      const x = ((this.places[k] - row * this.width + 0.5) * this.across) / this.width - 0.5;
      const y = ((row + 0.5) * this.down) / this.height - 0.5;
      this.#read(inside, 3, x, y, near);
      this.#read(this.solid, 1, x, y, share);
      this.#read(this.outside, 3, x, y, around);
      fitOne(lit, 3 * k, this.cover[k], near, share[0], around);
    }
  }

  #cell(place) {
    const y = Math.floor(place / this.width);
    const x = place - y * this.width;
    return Math.floor((y * this.down) / this.height) * this.across + Math.floor((x * this.across) / this.width);
  }

  #personInside(lit) {
    const sums = new Float32Array(this.covered.length * 3);
    const { cells, cover, share } = this;
    for (let k = 0; k < cells.length; k += 1) {
      if (cover[k] <= 0.98) continue;
      const at = 3 * cells[k];
      sums[at] += lit[3 * k] * share;
      sums[at + 1] += lit[3 * k + 1] * share;
      sums[at + 2] += lit[3 * k + 2] * share;
    }
    return sums;
  }

  #wallBehind(wall) {
    const sums = new Float32Array(this.covered.length * 3);
    for (let place = 0; place < this.width * this.height; place += 1) {
      const cell = this.#cell(place);
      for (let c = 0; c < 3; c += 1) sums[3 * cell + c] += wall.light[3 * place + c] * this.share;
    }
    return sums.map((sum, i) => sum * (1 - this.covered[Math.floor(i / 3)]));
  }

  /** Reads cells between their middles. */
  #read(values, channels, x, y, into) {
    const left = Math.min(this.across - 1, Math.max(0, Math.floor(x)));
    const top = Math.min(this.down - 1, Math.max(0, Math.floor(y)));
    const dx = Math.min(1, Math.max(0, x - left));
    const dy = Math.min(1, Math.max(0, y - top));
    const at = (top * this.across + left) * channels;
    const right = left + 1 < this.across ? channels : 0;
    const below = top + 1 < this.down ? this.across * channels : 0;
    for (let c = at; c < at + channels; c += 1) {
      const upper = values[c] + dx * (values[c + right] - values[c]);
      const lower = values[c + below] + dx * (values[c + below + right] - values[c + below]);
      into[c - at] = upper + dy * (lower - upper);
    }
  }
}

function fitOne(lit, at, cover, inner, share, around) {
  let own = 1e-5;
  let near = 1e-5;
  for (let c = 0; c < 3; c += 1) {
    own += (lit[at + c] / cover) * LUMINANCE[c];
    near += (inner[c] / Math.max(share, 1e-4)) * LUMINANCE[c];
  }
  const known = Math.min(1, Math.max(0, (share - 0.02) * 12));
  const ratio = Math.min(1, (near / own) * FRINGE_UP) * Math.min(3, Math.max(1, (near / own) * FRINGE_DOWN));
  const bound = 1 + (ratio - 1) * known * Math.min(4 * (1 - cover), 0.95);
  for (let c = 0; c < 3; c += 1) {
    const value = (lit[at + c] / cover) * bound;
    lit[at + c] = (value + Math.min(around[c] * WRAP * (1 - cover), 0.35 * value + 0.012)) * cover;
  }
}

/** A Gaussian blur of deviation 1; borders are mirrored. */
function blurred(values, width, height, channels) {
  const rows = new Float32Array(values.length);
  const whole = new Float32Array(values.length);
  along(values, rows, [width, height], channels, [channels, width * channels]);
  along(rows, whole, [height, width], channels, [width * channels, channels]);
  return whole;
}

function along(from, to, [length, lines], channels, [step, line]) {
  for (let l = 0; l < lines; l += 1) {
    for (let i = 0; i < length; i += 1) {
      const into = l * line + i * step;
      for (let j = -REACH; j <= REACH; j += 1) {
        let at = Math.abs(i + j);
        if (at >= length) at = 2 * length - 2 - at;
        const weight = KERNEL[j + REACH];
        for (let c = 0; c < channels; c += 1) to[into + c] += weight * from[l * line + at * step + c];
      }
    }
  }
}

function normalised(values) {
  const sum = values.reduce((whole, value) => whole + value, 0);
  return values.map((value) => value / sum);
}
