// What the editor asks the server for, once each: figures, frames, walls, and what is alike for all.

import { at } from "../address.js";
import { sentenceOf } from "../answers.js";
import { unpack, unpackWall } from "./figure.js";

const AGAIN = 800; // milliseconds until a busy server is asked once more
const TRIES = 4;
const BUSY = 429;
const FIGURES = 3; // photos, or clothes of one, that are kept: 20 MB each
const WALLS = 16; // 6 MB each

/** An answer of the server that is a sentence for the visitor. */
export class Told extends Error {}

export class Parts {
  constructor() {
    this.found = new Map();
    this.asked = new Map();
  }

  /** The looks, grades and lights. */
  stage() {
    return this.#once("stage", at("/studio-stage"), async (answer) => {
      const stage = await answer.json();
      for (const grade of Object.values(stage.grades)) {
        grade.curve = Uint8Array.from(atob(grade.curve), (letter) => letter.charCodeAt(0));
      }
      return stage;
    });
  }

  figure({ photo, clothes }) {
    const query = new URLSearchParams({ clothes });
    const address = at(`/studio-figure/${photo}?${query}`);
    return this.#once(`figure ${photo} ${clothes}`, address, async (answer) =>
      unpack(await answer.arrayBuffer()));
  }

  frames({ photo, look, shape }, fade) {
    const query = new URLSearchParams({ look, shape });
    const address = at(`/studio-frames/${photo}?${query}`);
    return this.#once(`frames ${photo} ${shape} ${fade}`, address, (answer) => answer.json());
  }

  wall({ look, shape, blur }, size) {
    const query = new URLSearchParams({ shape, ...(blur === null ? {} : { blur }) });
    const address = at(`/studio-wall/${look}.jpg?${query}`);
    return this.#once(`wall ${look} ${shape} ${blur} ${size}`, address, async (answer) =>
      unpackWall(await answer.arrayBuffer(), size));
  }

  /** Of the walls that are here, the one whose blur is nearest to what is asked for. */
  nearestWall({ look, shape, blur }, size) {
    const far = (key) => Math.abs(Number(key.split(" ")[3]) - blur);
    const keys = [...this.found.keys()].filter((key) =>
      key.startsWith(`wall ${look} ${shape} `) && key.endsWith(` ${size}`) && Number.isFinite(far(key)));
    return this.found.get(keys.sort((a, b) => far(a) - far(b))[0]) ?? null;
  }

  /** A part that is here, or a promise of it. */
  #once(key, address, unpacked) {
    if (this.found.has(key)) {
      const part = this.found.get(key);
      this.found.delete(key); // the last used are at the end
      this.found.set(key, part);
      return part;
    }
    if (!this.asked.has(key)) {
      const coming = ask(address).then(unpacked).then((part) => {
        if (this.asked.get(key) === coming) {
          this.found.set(key, part);
          this.#tidy();
        }
        return part;
      }).finally(() => this.asked.get(key) === coming && this.asked.delete(key));
      this.asked.set(key, coming);
    }
    return this.asked.get(key);
  }

  /** Forgets photos that are gone. */
  keepOnly(photos) {
    for (const key of this.found.keys()) {
      const [kind, photo] = key.split(" ");
      if (["figure", "frames"].includes(kind) && !photos.includes(photo)) this.found.delete(key);
    }
  }

  /** Forgets a photo that was changed. What was asked for before is not kept. */
  forget(photo) {
    for (const key of [...this.found.keys(), ...this.asked.keys()]) {
      const [kind, of] = key.split(" ");
      if (!["figure", "frames"].includes(kind) || of !== photo) continue;
      this.found.delete(key);
      this.asked.delete(key);
    }
  }

  #tidy() {
    for (const [kind, most] of [["figure", FIGURES], ["wall", WALLS]]) {
      const keys = [...this.found.keys()].filter((key) => key.startsWith(kind));
      for (const key of keys.slice(0, -most)) this.found.delete(key);
    }
  }
}

/** Asks until the server has time. Throws what it says otherwise. */
export async function ask(address, options = {}, tries = TRIES) {
  const answer = await fetch(address, options);
  if (answer.status === BUSY && tries > 1) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
    return ask(address, options, tries - 1);
  }
  if (!answer.ok) throw new Told(await sentenceOf(answer));
  return answer;
}
