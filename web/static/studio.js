// The live part of the studio: asks /status again and again, draws what it says, and carries out
// what is pressed. Holds no state of its own: after a reload it is where it was.

import { at } from "./address.js";
import { focusOn, loadTemplates, slot, text } from "./templates.js";
import { Portraits } from "./portraits.js";
import { HandIn } from "./hand_in.js";
import { Moving } from "./moving.js";
import { OrderForm } from "./order.js";
import { Editor } from "./editor/editor.js";
import { replaceWords, whenPresent } from "./gradio.js";
import { Photos } from "./photos.js";
import { learnWords, sentenceOf, tellGradio } from "./answers.js";
import { ROUTE, shrinkUploads } from "./upload.js";
import { drawBar, drawJob } from "./status_view.js";

// Milliseconds between two polls.
const BRISK = 600; // photos are on their way, or something was just pressed
const WORKING = 1500;
const QUIET = 5000;
const HIDDEN = 15000;
const LOST = 15000; // at most, when the server does not answer
const BRISK_FOR = 20000;
const TAB = 2000; // how long another tab may take to say that it erased everything
const ENDED = "/?ended=1"; // where the studio's address leads when everything was erased

class Studio {
  constructor(clone, places) {
    this.clone = clone;
    this.places = places;
    this.#build();
    this.portraits = new Portraits(places.portraits, document.getElementById("viewer"), clone);
    this.handIn = new HandIn(places.portraits, this.portraits, clone);
    this.moving = new Moving(this.portraits);
    this.marks = { photos: "", portraits: "" };
    this.stage = "";
    this.photos = null; // as the server told
    this.briskUntil = 0;
    this.failures = 0;
    this.timer = 0;
    this.leaving = false; // everything is being erased, or is
    this.tabs = otherTabs();
    this.tabs?.addEventListener("message", () => this.#erasedInAnotherTab());
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("visibilitychange", () => this.poll());
    window.addEventListener("online", () => this.poll());
    this.places.order.addEventListener("change", () => this.#drawWay());
    // Whatever is put into the fields, its verdict is wanted at once.
    for (const kind of ["drop", "change", "paste", "click"]) {
      for (const place of [places.photos, places.order]) {
        place.addEventListener(kind, () => this.#hurry(), true);
      }
    }
  }

  /** Put the templates into the places that Gradio made. */
  #build() {
    const { photos, looks, order, job, portraits } = this.places;
    document.body.prepend(this.clone("bar"));
    this.bar = document.querySelector(".bar");
    this.album = new Photos(photos, this.clone);
    this.order = new OrderForm(order, looks, this.clone);
    this.editor = new Editor(this.places.editor, photos, this.clone, () => this.#hurry());
    job.append(this.clone("job-part"));
    portraits.append(this.clone("portraits-part"));
    document.body.append(this.clone("foot"), this.clone("dialogs"), this.clone("hand-in-dialog"));
    replaceWords(document.body, this.clone("gradio-words"));
    learnWords(this.clone("answer-words"));
    shrinkUploads();
    tellGradio(ROUTE);
  }

  async poll() {
    clearTimeout(this.timer);
    try {
      const answer = await fetch(at(`/status?${new URLSearchParams(this.marks)}`));
      if (this.leaving) return;
      if (answer.status === 404) return this.#ended();
      if (!answer.ok) throw new Error("status");
      this.#draw(await answer.json());
      this.failures = 0;
    } catch {
      this.failures += 1;
    }
    slot(this.bar, "offline").hidden = this.failures < 2;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), this.#pause());
  }

  #pause() {
    if (this.failures) return Math.min(LOST, 1000 * 2 ** this.failures);
    if (document.hidden) return HIDDEN;
    if (Date.now() < this.briskUntil) return BRISK;
    return this.stage === "working" ? WORKING : QUIET;
  }

  #hurry() {
    this.briskUntil = Date.now() + BRISK_FOR;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), BRISK);
  }

  #draw(status) {
    const before = this.stage;
    this.stage = status.stage;
    this.marks = { photos: status.photos_mark, portraits: status.portraits_mark };
    document.body.dataset.stage = status.stage;
    document.body.dataset.job = status.job?.phase ?? "none";
    if (status.stage === "working") delete document.body.dataset.more;
    drawBar(this.bar, status);
    if (status.photos) {
      this.photos = status.photos;
      this.order.needs(status.photos.missing);
      this.album.draw(status.photos);
      this.editor.draw(status.photos);
    }
    this.order.restore();
    this.#drawWay();
    drawJob(this.places.job, status.job);
    this.editor.follow(status.hearts.list);
    this.portraits.draw(status, status.stage === "working");
    this.handIn.draw(status);
    if (before && before !== this.stage) this.#turnTo();
    if (!before) this.#beginWithSamples();
  }

  /** Who asked for them on the first page need not ask again. */
  #beginWithSamples() {
    if (location.hash !== "#samples") return;
    history.replaceState(null, "", location.pathname);
    const { photos } = this.places;
    if (!this.photos?.list.length) this.#samplePhotos(photos.querySelector('[data-does="sample-photos"]'));
  }

  /** What depends on the way that is chosen: how many photos it needs, and what it offers. */
  #drawWay() {
    const { way } = this.order;
    if (way && this.photos) this.album.drawMeter(this.photos, way);
  }

  /** Another part of the walk: from its top, and the keyboard goes on from its heading. */
  #turnTo() {
    window.scrollTo({ top: 0, behavior: gently() });
    const { job, portraits, photos } = this.places;
    const shown = [job, portraits, photos].find((place) => place.checkVisibility());
    const heading = shown?.querySelector("h2");
    if (heading && !document.querySelector("dialog[open]")) focusOn(heading);
  }

  /** The session is gone: by time, or by a click in another tab. Or only its cookie is. */
  async #ended() {
    clearTimeout(this.timer);
    await new Promise((resolve) => setTimeout(resolve, TAB));
    const door = await fetch(at("/studio/")).catch(() => null);
    if (this.leaving) return; // here or in another tab: who did it says so
    if (door?.redirected && !door.url.endsWith(ENDED)) return location.replace(door.url);
    this.#gone();
  }

  /** The other tab shows the receipt; this browser no longer knows whose it is. */
  #erasedInAnotherTab() {
    slot(document.getElementById("gone"), "receipt")?.remove();
    this.#gone();
  }

  /** Takes everything off the page, and says that it is erased. */
  #gone() {
    this.leaving = true;
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    for (const section of Object.values(this.places)) section.replaceChildren();
    this.bar.remove();
    const gone = document.getElementById("gone");
    // Browsers let Escape through at the second time; behind the dialog is nothing any more.
    gone.addEventListener("cancel", (event) => event.preventDefault());
    gone.addEventListener("close", () => location.replace(at("/")));
    gone.showModal();
  }

  #clicked(event) {
    const button = event.target.closest?.("[data-does]");
    if (button) this.#does[button.dataset.does]?.(button);
  }

  #does = {
    "show-link": () => this.#showLink(),
    "copy-link": (button) => this.#copyLink(button.closest("dialog")),
    "show-share": () => this.#reveal(document.getElementById("share"), at("/session/share"), "POST"),
    "show-hand-in": () => this.handIn.open(),
    "hand-in": (button) => this.handIn.give(button).then(() => this.poll()),
    "take-back": (button) => this.handIn.takeBack(button).then(() => this.poll()),
    "end-share": (button) => this.#endShare(button),
    "ask-delete-all": () => document.getElementById("delete-all").showModal(),
    "ask-delete-model": () => document.getElementById("delete-model").showModal(),
    "delete-all": (button) => this.#delete(button, at("/session/delete")),
    "delete-model": (button) => this.#delete(button, at("/session/delete-model")),
    "close-dialog": (button) => button.closest("dialog").close(),
    "sample-photos": (button) => this.#samplePhotos(button),
    "remove-photo": (button) => this.#removePhoto(button.closest("[data-id]")),
    "unfold-looks": (button) => this.order.unfold(button),
    "add-photos": () => this.#addPhotos(),
    "take-photo": () => this.#takePhoto(),
    "stop-job": (button) => this.#stopJob(button),
    "make-more": () => this.#makeMore(),
    "show-portrait": (button) => this.portraits.open(button.closest("[data-id]").dataset.id),
    "heart": (button) => this.#heart(button.closest("[data-id]").dataset.id),
    "heart-shown": () => this.#heart(this.portraits.shown),
    "show-like": (button) => this.portraits.unfold(button.closest("[data-id]").dataset.id),
    "filter": (button) => this.portraits.filter(button.dataset.id),
    "next-portrait": () => this.portraits.step(1),
    "previous-portrait": () => this.portraits.step(-1),
  };

  #showLink() {
    return this.#reveal(document.getElementById("private-link"), at("/session/link"), "GET");
  }

  /** Opens a dialog around a link that the server hands out. */
  async #reveal(dialog, address, method) {
    const answer = await fetch(address, { method });
    if (answer.status === 404) return this.#ended();
    if (!answer.ok) return this.poll(); // the last heart went in another tab
    const { path, picture } = await answer.json();
    slot(dialog, "link").value = new URL(at(path), location.origin).href;
    if (picture) slot(dialog, "picture").src = picture;
    text(slot(dialog, "copied"), "");
    // The secret stays on the page only while it is looked at.
    const forget = () => {
      slot(dialog, "link").value = "";
      slot(dialog, "picture")?.removeAttribute("src");
    };
    dialog.addEventListener("close", forget, { once: true });
    dialog.showModal();
  }

  async #endShare(button) {
    button.disabled = true;
    const answer = await fetch(at("/session/share"), { method: "DELETE" }).catch(() => null);
    button.disabled = false;
    if (answer?.ok) button.closest("dialog").close();
    await this.poll();
  }

  async #heart(id) {
    await this.portraits.tap(id);
    await this.poll();
  }

  async #copyLink(dialog) {
    const field = slot(dialog, "link");
    field.select();
    // The clipboard API exists only over HTTPS; the old command works everywhere.
    const copied = navigator.clipboard
      ? await navigator.clipboard.writeText(field.value).then(() => true, () => false)
      : document.execCommand("copy");
    if (copied) text(slot(dialog, "copied"), slot(dialog, "copied").dataset.text);
  }

  async #delete(button, address) {
    const dialog = button.closest("dialog");
    const problem = slot(dialog, "problem");
    button.disabled = true;
    text(problem, "");
    this.leaving = true; // a poll under way may find the session gone before we say goodbye
    try {
      const answer = await fetch(address, { method: "POST" });
      if (answer.status === 200) {
        this.tabs?.postMessage("erased");
        return location.replace(at((await answer.json()).next));
      }
      this.leaving = false;
      if (answer.status === 404) return this.#ended();
      if (answer.ok) dialog.close();
      else text(problem, await sentenceOf(answer));
    } catch {
      this.leaving = false;
      text(problem, slot(this.bar, "offline").textContent);
    }
    problem.hidden = problem.textContent === "";
    button.disabled = false;
    this.#hurry();
  }

  async #samplePhotos(button) {
    focusOn(this.places.photos.querySelector("h2")); // the button goes once there are photos
    button.disabled = true;
    this.#hurry(); // each shows as soon as it is checked
    await fetch(at("/photos/samples"), { method: "POST" }).catch(() => null);
    button.disabled = false;
    await this.poll();
  }

  async #removePhoto(item) {
    const next = await this.album.remove(item);
    await this.poll();
    this.album.focus(next);
  }

  async #takePhoto() {
    const trouble = await this.album.take();
    await this.poll();
    if (trouble) this.album.tell(trouble);
  }

  async #stopJob(button) {
    button.disabled = true;
    await fetch(at("/job/stop"), { method: "POST" }).catch(() => null);
    button.disabled = false;
    this.#hurry(); // it ends in a moment
    await this.poll();
  }

  #makeMore() {
    document.body.dataset.more = "";
    this.places.photos.scrollIntoView({ behavior: gently() });
    focusOn(this.places.photos.querySelector("h2"));
  }

  #addPhotos() {
    this.places.photos.scrollIntoView({ behavior: gently() });
    this.places.photos.querySelector("#files button")?.focus({ preventScroll: true });
  }
}

/** The other tabs of this browser; null in a frame that browsers keep from storage, and so from them. */
function otherTabs() {
  try {
    return new BroadcastChannel(at("/studio/"));
  } catch {
    return null;
  }
}

/** How to scroll: at once where somebody asked for less motion. */
function gently() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}

const [clone, places] = await Promise.all([
  loadTemplates(),
  whenPresent(["photos", "editor", "looks", "order", "job", "portraits"]),
]);
new Studio(clone, places).poll();
