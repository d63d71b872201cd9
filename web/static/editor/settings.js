// What is chosen for a photo: read from the form and the sphere, kept over a reload.
// Nothing of a face is in it: names of looks and numbers.

const CHANGES = ["azimuth", "elevation", "strength", "kelvin"];
const PLACE = "likeness-editor";

/** Reads all that was kept in this tab. */
export function recalled() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE)) ?? {};
  } catch {
    return {}; // there is no such place, or somebody wrote into it
  }
}

/** Keeps the settings of each photo, by its id. */
export function remember(settings) {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing only forgets them at a reload.
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // Then there was nothing.
  }
}

/** The light that settings ask for: that of the look, or a named one, with what was changed. */
export function lightOf({ look, light, changes }, stage) {
  const base = light === "look" ? stage.looks[look].light : stage.lights[light];
  const { kelvin, ...rest } = changes;
  return { ...base, ...rest, temperature_k: kelvin ?? base.temperature_k };
}

/** The settings as the server takes them. */
export function asAsked({ changes, blur, ...rest }) {
  const asked = { ...rest, ...changes };
  if (blur !== null) asked.blur = blur;
  return asked;
}

/** Kept settings that are still on offer in the form; others are left out. */
export function stillOffered(kept, form) {
  const names = ["look", "shape", "light", "clothes"];
  const offered = names.filter((name) =>
    [...form.querySelectorAll(`[name="${name}"]`)].some((box) => box.value === kept?.[name] && !box.disabled));
  const changes = CHANGES.filter((name) => Number.isFinite(kept?.changes?.[name]));
  return {
    ...Object.fromEntries(offered.map((name) => [name, kept[name]])),
    changes: Object.fromEntries(changes.map((name) => [name, kept.changes[name]])),
    blur: Number.isFinite(kept?.blur) ? kept.blur : null,
    head: Number.isFinite(kept?.head) ? kept.head : null,
  };
}
