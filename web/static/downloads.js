// How downloads are finished: size, format, caption, names, mark; and the links that start them.

import { at } from "./address.js";
import { sentenceOf } from "./answers.js";
import { slot, text } from "./templates.js";

export class Downloads {
  /**
   * @param section with the fields  @param viewer the large view  @param shown gives its portrait
   * @param arranged gives what addresses say of shape and backdrop
   */
  constructor(section, viewer, shown, arranged) {
    this.section = section;
    this.viewer = viewer;
    this.shown = shown;
    this.arranged = arranged;
    this.saving = null; // a wish that is on its way to the server
    this.#watch();
  }

  #watch() {
    for (const name of ["size", "format"]) {
      slot(this.section, name).addEventListener("change", () => this.addresses());
    }
    for (const name of ["caption", "name", "watermark", "marked"]) {
      slot(this.section, name)?.addEventListener("change", () => { this.saving = this.#save(); });
    }
    const links = ["zip", "zip-hearted"].map((name) => slot(this.section, name));
    for (const link of [...links, slot(this.viewer, "download")]) {
      link.addEventListener("click", (event) => this.#afterSaving(event, link));
    }
  }

  addresses() {
    const format = slot(this.section, "format").value;
    const size = slot(this.section, "size").value;
    const how = new URLSearchParams({ size, format, ...this.arranged() });
    slot(this.section, "zip").href = at(`/portraits.zip?${how}`);
    slot(this.section, "zip-hearted").href = at(`/portraits.zip?${how}&hearted=true`);
    const download = slot(this.viewer, "download");
    download.href = at(`/portrait/${this.shown()}/download?${how}`);
    download.download = ""; // the server names it
  }

  /** A download waits for a caption that was typed just before; one that fails is tried again. */
  async #afterSaving(event, link) {
    if (!this.saving) return;
    event.preventDefault();
    if (!(await this.saving)) this.saving = this.#save();
    if (!this.saving || await this.saving) return link.click();
    this.viewer.close();
    const problem = slot(this.section, "wish-problem");
    problem.closest("details").open = true;
    problem.scrollIntoView({ block: "center" });
  }

  /** Sizes with their pixels; those that the photos cannot give are off. */
  drawSizes(sizes) {
    const choice = slot(this.section, "size");
    for (const { key, told, off } of sizes) {
      const option = choice.querySelector(`[value="${key}"]`);
      text(option, told);
      option.disabled = off;
      if (off && option.selected) choice.value = "original";
    }
    this.addresses();
  }

  drawWish(wish) {
    const { activeElement } = document;
    const typed = ["caption", "name"];
    if (this.saving || typed.some((name) => slot(this.section, name) === activeElement)) return;
    for (const name of typed) slot(this.section, name).value = wish[name];
    for (const name of ["watermark", "marked"]) {
      const box = slot(this.section, name);
      if (box) box.checked = wish[name];
    }
  }

  /** Resolves with whether the server took it. Not sent with each download: addresses get logged. */
  async #save() {
    const problem = slot(this.section, "wish-problem");
    const body = {
      caption: slot(this.section, "caption").value,
      name: slot(this.section, "name").value,
      watermark: slot(this.section, "watermark").checked,
      marked: slot(this.section, "marked")?.checked ?? true,
    };
    const answer = await fetch(at("/portraits/wish"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }).catch(() => null);
    const sentence = answer && !answer.ok ? await sentenceOf(answer) : "";
    text(problem, sentence);
    problem.hidden = sentence === "";
    if (answer?.ok) this.saving = null;
    return Boolean(answer?.ok);
  }
}
