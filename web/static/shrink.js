// A phone's photo made as small as the server looks at it, before it goes over the air. Nothing is
// lost by that, and where it was taken stays on the phone.

const KEPT_PX = 2048; // of the longer side; `LONG_SIDE` of pipeline/photos/ingest.py
const SMALL = 1_000_000; // bytes that are not worth the work
const QUALITY = 0.95;

/** The files of a form, shrunk one after the other: a phone's memory holds few photos at once. */
export async function shrunkForm(form) {
  const smaller = new FormData();
  for (const [name, value] of form) {
    const file = value instanceof File;
    smaller.append(name, file ? await shrunk(value) : value, ...(file ? [value.name] : []));
  }
  return smaller;
}

/** A large JPEG at the kept size; any other file, and one that this browser cannot open, as it is. */
async function shrunk(file) {
  if (file.type !== "image/jpeg" || file.size < SMALL) return file;
  try {
    const image = await createImageBitmap(file); // upright, in the screen's colours
    const scale = KEPT_PX / Math.max(image.width, image.height);
    const jpeg = scale < 1 ? await drawn(image, scale) : null;
    image.close();
    return jpeg && jpeg.size < file.size ? jpeg : file;
  } catch {
    return file; // too large for this browser, or damaged: the server says
  }
}

function drawn(image, scale) {
  const size = { width: Math.round(image.width * scale), height: Math.round(image.height * scale) };
  const canvas = Object.assign(document.createElement("canvas"), size);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, "image/jpeg", QUALITY); });
}
