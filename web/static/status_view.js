// What /status says, put on the page: countdown and job.

import { slot, text } from "./templates.js";

export function drawBar(bar, status) {
  text(slot(bar, "countdown"), status.time.sentence);
  // For screen readers, at a place that is never hidden: what the job is doing now.
  text(slot(bar, "news"), status.job?.title ?? "");
  bar.querySelector('[data-does="ask-delete-model"]').hidden = !status.model_kept;
}

export function drawJob(section, job) {
  if (!job) return;
  section.dataset.phase = job.phase;
  text(slot(section, "title"), job.title);
  text(slot(section, "sentence"), job.sentence);
  text(slot(section, "detail"), job.detail);
  text(slot(section, "left"), job.left);
  slot(section, "progress").value = job.bar;
}
