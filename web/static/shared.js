// The page behind a link for colleagues: hands the secret after the # to the server, which answers
// with a cookie for this page alone, then shows the previews and sends the votes.

import { at } from "./address.js";
import { follow } from "./templates.js";

const part = (id) => document.getElementById(id);
const secret = location.hash.slice(1);
// Out of the address bar and the history. The cookie keeps the page open on this device.
if (secret) history.replaceState(null, "", location.pathname);
window.addEventListener("hashchange", () => location.reload());
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

function send(address, body) {
  return fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Says which of the three states the page is in: open, gone or failed. */
function state(name) {
  for (const id of ["open", "gone", "failed"]) part(id).hidden = id !== name;
  if (name === "gone") part("previews").replaceChildren();
}

/** Runs a request; whatever comes of it is said on the page. Resolves with a good answer only. */
async function ask(request) {
  let answer = null;
  try {
    answer = await request();
  } catch {
    // No network: said below.
  }
  if (answer?.ok) return answer;
  state(answer?.status === 404 || answer?.status === 400 ? "gone" : "failed");
  return null;
}

async function look() {
  const answer = await ask(() => fetch(at("/shared/portraits")));
  if (!answer) return;
  const portraits = await answer.json();
  state("open");
  part("nothing").hidden = portraits.length > 0;
  const place = new Map(portraits.map((portrait, index) => [portrait.id, index + 1]));
  follow(part("previews"), portraits, make, (tile, portrait) => {
    const image = tile.querySelector("img");
    image.alt = image.dataset.alt.replace("%", place.get(portrait.id));
    press(tile, portrait.voted);
    tile.querySelector(".play").hidden = !portrait.moves;
  });
}

function make(portrait) {
  const tile = document.importNode(part("tile").content, true).firstElementChild;
  tile.querySelector("img").src = at(`/shared/portrait/${portrait.id}`);
  tile.querySelector(".vote").addEventListener("click", () => vote(tile));
  tile.querySelector(".play").addEventListener("click", () => play(tile));
  return tile;
}

/** Has a portrait move, which its person shows so, or stand still again. Nothing moves by itself. */
function play(tile) {
  const button = tile.querySelector(".play");
  const moves = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(moves));
  button.textContent = moves ? button.dataset.pause : button.dataset.play;
  tile.querySelector("img").src = at(`/shared/portrait/${tile.dataset.id}${moves ? "/moving" : ""}`);
}

function press(tile, on) {
  tile.querySelector(".vote").setAttribute("aria-pressed", String(on));
}

async function vote(tile) {
  const on = tile.querySelector(".vote").getAttribute("aria-pressed") !== "true";
  press(tile, on);
  const taken = await ask(() => send(at(`/shared/portrait/${tile.dataset.id}/vote`), { on }));
  if (!taken) press(tile, !on);
}

if (!secret || await ask(() => send(at("/shared/open"), { ticket: secret }))) await look();
