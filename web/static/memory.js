// Pictures that the visitor chose, remembered by this page alone: the server keeps nothing of a
// photo that it turns away, yet the visitor should see which one it was.

const LABEL = 80; // characters of a file name that the server keeps

export class Memory {
  /** @param section whose file fields and drops are watched */
  constructor(section) {
    this.files = new Map(); // label -> { file, url }
    section.addEventListener("change", (event) => this.#take(event.target.files), true);
    section.addEventListener("drop", (event) => this.#take(event.dataTransfer?.files), true);
  }

  /** Address of a picture by its label; undefined if this page never had it. */
  url(label) {
    return this.files.get(label)?.url;
  }

  /** Let go of those that no photo on the page needs any more. */
  keepOnly(labels) {
    for (const [label, { url, since }] of this.files) {
      if (labels.has(label) || Date.now() - since < 120_000) continue; // may be on its way
      URL.revokeObjectURL(url);
      this.files.delete(label);
    }
  }

  #take(files) {
    for (const file of files ?? []) {
      const label = file.name.slice(-LABEL).trim();
      if (this.files.has(label)) URL.revokeObjectURL(this.files.get(label).url);
      this.files.set(label, { file, url: URL.createObjectURL(file), since: Date.now() });
    }
  }
}
