// What /status says, put on the page: countdown, photos, job.

import { follow, slot, text } from "./templates.js";

export function drawBar(bar, status) {
  text(slot(bar, "countdown"), status.time.sentence);
  // For screen readers, at a place that is never hidden: what the job is doing now.
  text(slot(bar, "news"), status.job?.title ?? "");
  bar.querySelector('[data-does="ask-delete-model"]').hidden = !status.model_kept;
}

/** How many photos there are, and whether they are enough, for the way that is chosen. */
export function drawMeter(section, photos, way) {
  text(slot(section, "meter"), photos.meter[way]);
  section.dataset.enough = photos.enough[way];
}

export function drawPhotos(section, photos, clone) {
  text(slot(section, "hint"), photos.hint);
  slot(section, "samples").hidden = photos.list.length > 0;
  follow(slot(section, "photos"), photos.list, () => clone("photo").firstElementChild, drawPhoto);
}

function drawPhoto(item, photo) {
  item.classList.toggle("accepted", photo.accepted);
  item.classList.toggle("painting-only", photo.accepted && !photo.cut_out_usable);
  text(slot(item, "sentence"), photo.accepted && photo.cut_out_usable ? "" : photo.sentence);
  text(slot(item, "label"), photo.label);
  const image = slot(item, "image");
  image.hidden = !photo.image;
  if (photo.image && !image.hasAttribute("src")) {
    image.alt = photo.label;
    image.src = `/photo/${photo.id}`;
  }
  const remove = item.querySelector(".remove");
  remove.setAttribute("aria-label", remove.dataset.label.replace("%", photo.label));
}

export function drawJob(section, job) {
  if (!job) return;
  section.dataset.phase = job.phase;
  text(slot(section, "title"), job.title);
  text(slot(section, "sentence"), job.sentence);
  text(slot(section, "detail"), job.detail);
  text(slot(section, "left"), job.left);
  const progress = slot(section, "progress");
  if (job.bar === null) progress.removeAttribute("value");
  else progress.value = job.bar;
}
