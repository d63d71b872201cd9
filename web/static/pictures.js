// A picture in the place of another one, which stays until the next is there. Browsers take a picture
// away as soon as its address changes.

const COMING = "coming"; // the class of one that is on its way; it is laid out, so that it loads

/** @param frame with one picture  @param address of the one to show in it */
export function show(frame, address) {
  const shown = frame.querySelector(`img:not(.${COMING})`);
  const coming = frame.querySelector(`img.${COMING}`);
  if ((coming ?? shown).getAttribute("src") === address) return;
  if (!shown.hasAttribute("src")) shown.src = address;
  else if (shown.getAttribute("src") === address) coming.remove();
  else if (coming) coming.src = address;
  else frame.append(next(shown, address));
}

function next(shown, address) {
  const coming = shown.cloneNode();
  coming.classList.add(COMING);
  coming.alt = ""; // told once
  const take = () => {
    coming.classList.remove(COMING);
    coming.alt = shown.alt;
    shown.remove();
  };
  for (const event of ["load", "error"]) coming.addEventListener(event, take, { once: true });
  coming.src = address;
  return coming;
}
