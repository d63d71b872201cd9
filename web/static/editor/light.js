// A light around a person as a field of gains; the same steps as `compositing/relight.py`.

const PHOTO = { ambient: 0.5, elevation: 12, wrap: 0.5 };
const FILL = { elevation: 12, wrap: 0.5 };
const RIM = { azimuth: 150, elevation: 35, gain: 1.1, reach: 1.6 };
const LEAST = 0.3;
const MOST = 1.9;
const BURNT = 0.8;
const LUMINANCE = [0.2126729, 0.7151522, 0.072175];

/** Unit vector from the person to a light: degrees right of the camera, and above it. */
export function direction(azimuth, elevation) {
  const a = (azimuth * Math.PI) / 180;
  const e = (elevation * Math.PI) / 180;
  return [Math.sin(a) * Math.cos(e), -Math.sin(e), Math.cos(a) * Math.cos(e)];
}

/** Lambert's cosine, wrapped round the body and squared. */
export function lambert(x, y, z, light, wrap) {
  const lit = Math.max((x * light[0] + y * light[1] + z * light[2] + wrap) / (1 + wrap), 0);
  return lit * lit;
}

/** What linear colours are multiplied with: three floats for each place of the figure's fields. */
export function gains(figure, light, lamp) {
  const { x, y, face, edge, peak } = figure.fields;
  const count = x.length;
  const gain = new Float32Array(count * 3).fill(1);
  if (light.strength === 0) return gain;
  const key = direction(light.azimuth, light.elevation);
  const wrap = 0.2 + 0.6 * light.size;
  const before = direction(figure.azimuth, PHOTO.elevation);
  const camera = direction(0, FILL.elevation);
  const behind = direction(light.azimuth > 0 ? -RIM.azimuth : RIM.azimuth, RIM.elevation);
  let weights = 0;
  let logs = 0;
  for (let i = 0; i < count; i += 1) {
    const nx = x[i] / 127.5 - 1;
    const ny = y[i] / 127.5 - 1;
    const nz = Math.sqrt(Math.max(0, 1 - nx * nx - ny * ny));
    const was = PHOTO.ambient + (1 - PHOTO.ambient) * lambert(nx, ny, nz, before, PHOTO.wrap);
    const even = light.ambient + light.fill * lambert(nx, ny, nz, camera, FILL.wrap);
    const lit = lambert(nx, ny, nz, key, wrap);
    let sum = 0;
    for (let c = 0; c < 3; c += 1) {
      const ratio = (even + lit * lamp[c]) / was;
      gain[3 * i + c] = ratio;
      sum += ratio * LUMINANCE[c];
    }
    weights += face[i];
    if (face[i]) logs += face[i] * Math.log(Math.max(sum, 1e-3));
  }
  // A photographer sets the exposure by the face: it stays as bright as it was.
  const mean = Math.max(Math.exp(logs / Math.max(weights, 1e-6)), 1e-3);
  for (let i = 0; i < count; i += 1) {
    const across = ((x[i] / 127.5 - 1) * behind[0] + (y[i] / 127.5 - 1) * behind[1]) * RIM.reach;
    const touched = RIM.gain * Math.min(1, Math.max(0, across)) * (edge[i] / 255);
    const rim = 1 + light.rim * light.strength * touched;
    for (let c = 3 * i; c < 3 * i + 3; c += 1) {
      const stops = light.strength * Math.log(Math.max(gain[c] / mean, 1e-3));
      gain[c] = heldBack(bounded(stops) * rim, peak[i] / 255);
    }
  }
  return gain;
}

function bounded(stops) {
  const bound = stops > 0 ? Math.log(MOST) : -Math.log(LEAST);
  return Math.exp(bound * Math.tanh(stops / bound));
}

/** What is bright already rises less, and what is burnt out falls less. */
function heldBack(gain, bright) {
  const burnt = Math.max(0, (bright - BURNT) / (1 - BURNT));
  const raised = gain / (1 + Math.max(gain - 1, 0) * bright * bright);
  return raised + Math.max(1 - gain, 0) * burnt * (1 - 0.3 * burnt);
}
