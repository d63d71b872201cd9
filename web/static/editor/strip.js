// The small pictures of a visitor's photos.

import { follow, slot, text } from "../templates.js";

/** Makes `strip` follow the photos, in their order. @param shown where the page shows the photos */
export function drawStrip(strip, photos, shown, clone) {
  const make = () => clone("editor-photo").firstElementChild;
  follow(strip, photos, make, (item, photo) => drawPhoto(item, photo, shown));
}

function drawPhoto(item, photo, shown) {
  item.querySelector("input").value = photo.id;
  text(slot(item, "label"), photo.label);
  const image = slot(shown.querySelector(`[data-id="${photo.id}"]`), "image");
  const canvas = item.querySelector("canvas");
  if (canvas.dataset.drawn) return;
  canvas.dataset.drawn = "yes";
  // The page has the photo already: it need not be loaded twice.
  image.decode().then(() => cover(canvas, image), () => { delete canvas.dataset.drawn; });
}

/** Draws the upper middle of an image, as large as the canvas is. */
function cover(canvas, image) {
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const left = (image.naturalWidth - side) / 2;
  canvas.getContext("2d").drawImage(image, left, 0, side, side, 0, 0, canvas.width, canvas.height);
}
