// Photos on their way out of the browser: a small preview of each goes first, so that the server can
// say at once what it sees; then a phone's photo, made as small as the server looks at it. Nothing is
// lost by that, and where it was taken stays on the phone.

const PREVIEW = "preview"; // field of the form; `PREVIEW` of web/uploads.py
const PREVIEW_PX = 800; // of the longer side: a face that fills a third is as sharp as in the photo
const PREVIEWED = 200_000; // bytes below which a photo is as quick as its preview
const KEPT_PX = 2048; // of the longer side; `LONG_SIDE` of pipeline/photos/ingest.py
const SMALL = 1_000_000; // bytes that are not worth making smaller

/** The form with previews first, and its files shrunk: one after the other, since a phone's memory
 * holds few photos at once. */
export async function shrunkForm(form) {
  const [previews, fields] = [new FormData(), []];
  for (const [name, value] of form) {
    if (!(value instanceof File)) { fields.push([name, value]); continue; }
    const { preview, file } = await shrunk(value);
    previews.append(PREVIEW, preview ?? new Blob(), value.name);
    fields.push([name, file, value.name]);
  }
  for (const field of fields) previews.append(...field);
  return previews;
}

/** A preview, and a large JPEG at the kept size; any other file, and one that this browser cannot
 * open, as it is, the latter without a preview. */
async function shrunk(file) {
  if (file.size < PREVIEWED) return { preview: null, file };
  try {
    const image = await createImageBitmap(file); // upright, in the screen's colours
    const large = file.type === "image/jpeg" && file.size >= SMALL;
    const jpeg = large ? await drawn(image, KEPT_PX, 0.95) : null;
    const preview = await drawn(image, PREVIEW_PX, 0.9);
    image.close();
    return { preview, file: jpeg && jpeg.size < file.size ? jpeg : file };
  } catch {
    return { preview: null, file }; // too large for this browser, or damaged: the server says
  }
}

/** A picture as a JPEG with a longer side of `px`; null if it is no longer than that. */
function drawn(image, px, quality) {
  const scale = px / Math.max(image.width, image.height);
  if (scale >= 1) return null;
  const size = { width: Math.round(image.width * scale), height: Math.round(image.height * scale) };
  const canvas = Object.assign(document.createElement("canvas"), size);
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent, as on the server
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, "image/jpeg", quality); });
}
