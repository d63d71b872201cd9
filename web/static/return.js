// The page behind a private link: hands the secret after the # to the server, once, on a click.
// A click, not at once: otherwise a link sent by somebody else could put a visitor into a session
// that is not theirs without their noticing, and their photos with them.

import { at } from "./address.js";

const secret = location.hash.slice(1);
// Out of the address bar and the history, whatever happens next.
history.replaceState(null, "", location.pathname);

const button = document.getElementById("open");
const show = (id) => { document.getElementById(id).hidden = false; };

async function open(instead) {
  button.disabled = true;
  document.getElementById("failed").hidden = true;
  try {
    const answer = await fetch(at("/session/return"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ticket: secret, instead }),
    });
    if (answer.ok) {
      location.replace(at((await answer.json()).next));
      return;
    }
    if (answer.status === 409) { // this browser is in another session
      button.hidden = true;
      show("another");
      return;
    }
    if (answer.status === 404 || answer.status === 400) {
      button.hidden = true;
      show("gone");
      return;
    }
  } catch {
    // No network: said below.
  }
  button.disabled = false;
  show("failed");
}

button.addEventListener("click", () => open(false));
document.getElementById("instead").addEventListener("click", () => open(true));
