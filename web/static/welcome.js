// The first page: a chosen photo opens the session and is sent at once. One that cannot be used is
// shown here, where the browser still has it, with the reason. Without this script the button opens
// the session, and the photo is chosen in the studio.

import { at } from "./address.js";
import { learnWords, sentenceOf } from "./answers.js";
import { sendPhotos, shrinkUploads } from "./upload.js";

const STUDIO = at("/studio/");
const LOOKING_MS = 1500;
const form = document.querySelector(".door");
const part = (id) => document.getElementById(id);

/** Opens a session; the sentence of a server that does not want to, else "". */
async function openSession() {
  const body = new URLSearchParams(new FormData(form));
  // The answer leads to the studio: there only once the photos are sent.
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
  if (answer.type === "opaqueredirect") return "";
  return sentenceOf(answer);
}

async function begin() {
  const button = part("choose");
  const words = button.textContent;
  tell("");
  part("turned-away").replaceChildren();
  button.disabled = true;
  button.textContent = part("sending").textContent = button.dataset.busy;
  const looking = setInterval(() => tellWhatIsSeen(button), LOOKING_MS);
  const trouble = await openSession()
    .then((sentence) => sentence || sendPhotos(part("photos").files))
    .then((sentence) => sentence || lookAtVerdicts([...part("photos").files]))
    .catch(() => form.dataset.failed)
    .finally(() => clearInterval(looking));
  if (!trouble) return location.assign(STUDIO);
  button.disabled = false;
  button.textContent = words;
  part("sending").textContent = part("photos").value = "";
  tell(trouble);
}

/** Says, while photos are on their way, that one looks good. */
async function tellWhatIsSeen(button) {
  const { photos } = await fetch(at("/status")).then((answer) => answer.json()).catch(() => ({}));
  const good = photos?.list.find((photo) => photo.accepted);
  if (good && button.disabled) button.textContent = part("sending").textContent = good.sentence;
}

/** Shows why, if none of the photos can be used, and takes them back; then a sentence, else "". */
async function lookAtVerdicts(files) {
  const { photos } = await (await fetch(at("/status"))).json();
  if (!photos?.list.length || photos.list.some((photo) => photo.accepted)) return "";
  for (const photo of photos.list) {
    const item = part("turned-away-photo").content.firstElementChild.cloneNode(true);
    item.querySelector("span").textContent = photo.sentence;
    draw(item.querySelector("canvas"), files.find((file) => file.name.endsWith(photo.label)));
    part("turned-away").append(item);
    await fetch(at(`/photo/${photo.id}`), { method: "DELETE" });
  }
  return form.dataset.turnedAway;
}

/** Draws the middle of a picture; not every browser knows every format. */
async function draw(canvas, file) {
  const image = file && await createImageBitmap(file).catch(() => null);
  canvas.hidden = !image;
  if (!image) return;
  const side = Math.min(image.width, image.height);
  const from = [(image.width - side) / 2, (image.height - side) / 2, side, side];
  canvas.getContext("2d").drawImage(image, ...from, 0, 0, canvas.width, canvas.height);
}

function tell(sentence) {
  part("trouble").textContent = sentence;
  part("trouble").hidden = sentence === "";
}

/** Takes an invitation out of the address bar and the history, into the form. */
function takeInvitation() {
  const secret = location.hash.slice(1);
  if (!secret) return;
  history.replaceState(null, "", location.pathname);
  if (!form?.elements.invitation) return;
  form.elements.invitation.value = secret;
  part("uninvited").hidden = true;
}

takeInvitation();
addEventListener("hashchange", takeInvitation);

// Inside another page a browser may keep nothing of ours: there is a way out of the frame.
if (window.self !== window.top) {
  for (const framed of document.querySelectorAll("[data-framed]")) framed.hidden = false;
  for (const outside of document.querySelectorAll("[data-outside]")) outside.hidden = true;
}

if (form) {
  learnWords(part("answer-words").content);
  shrinkUploads();
  part("choose").addEventListener("click", (event) => {
    event.preventDefault();
    if (form.reportValidity()) part("photos").click();
  });
  part("photos").addEventListener("change", () => { if (part("photos").files.length) begin(); });
  form.elements.consent.addEventListener("change", () => tell(""));
}
