// Photos on their way to the server, by the same route that Gradio's field uses.

import { at, through } from "./address.js";
import { sentenceOf } from "./answers.js";
import { shrunkForm } from "./shrink.js";

export const ROUTE = at("/studio/gradio_api/upload");
// Some systems know no type for a HEIC. What is chosen all the same, the server judges.
const CHOSEN_FROM = "image/*,.heic,.heif";

/**
 * Sends files; resolves with a sentence where the server took none of them, else with "". A session
 * that has ended is no matter of the photos: the page will hear of it.
 */
export async function sendPhotos(files) {
  const body = new FormData();
  for (const file of files) body.append("files", file, file.name);
  const answer = await fetch(ROUTE, { method: "POST", body });
  return answer.ok || answer.status === 404 ? "" : sentenceOf(answer);
}

/** Shrinks photos of every upload of this page, Gradio's own included. */
export function shrinkUploads() {
  through(ROUTE, async (send, options) => {
    if (!(options?.body instanceof FormData)) return send(options);
    return send({ ...options, body: await shrunkForm(options.body) });
  });
}

/** What a file field's dialog offers; Gradio's field takes whatever is dropped on it. */
export function offerPictures(section) {
  section.addEventListener("click", () => {
    for (const field of section.querySelectorAll("#files input[type=file]")) field.accept = CHOSEN_FROM;
  }, true);
}
