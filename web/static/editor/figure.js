// A photo and a wall as numbers: linear light, alpha, and the fields that lighting needs.
// What the server packs: `web/figure.py`.

const PLANES = ["x", "y", "face", "edge", "peak"];
const DECODE = Float32Array.from({ length: 256 }, (_, i) => linear(i / 255));

/** sRGB 0..1 to linear light (IEC 61966-2-1). */
function linear(value) {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** Unpacks a photo: an ArrayBuffer as /studio-figure sends it. */
export async function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  const { size, field, jpeg, ...rest } = JSON.parse(text);
  let at = 4 + length;
  const colours = await pixels(new Uint8Array(buffer, at, jpeg), size);
  at += jpeg;
  const alpha = new Uint8Array(buffer, at, size[0] * size[1]);
  at += alpha.length;
  const fields = {};
  for (const name of PLANES) {
    fields[name] = new Uint8Array(buffer, at, field[0] * field[1]);
    at += fields[name].length;
  }
  const [width, height] = size;
  const light = covered(colours, alpha);
  return { ...rest, field, fields, levels: [{ width, height, light }] };
}

/** A wall from a JPEG, as large as the portrait: linear light, three floats a pixel. */
export async function unpackWall(buffer, size) {
  const colours = await pixels(new Uint8Array(buffer), size);
  const light = new Float32Array(size[0] * size[1] * 3);
  for (let i = 0, j = 0; i < light.length; i += 3, j += 4) {
    light[i] = DECODE[colours[j]];
    light[i + 1] = DECODE[colours[j + 1]];
    light[i + 2] = DECODE[colours[j + 2]];
  }
  return { width: size[0], height: size[1], light };
}

/** A photo's colours at half, a quarter … of their size: made once, when a frame needs them. */
export function level(figure, number) {
  while (figure.levels.length <= number) figure.levels.push(halved(figure.levels.at(-1)));
  return figure.levels[number];
}

async function pixels(jpeg, [width, height]) {
  const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  image.close();
  return context.getImageData(0, 0, width, height).data;
}

/** Linear light times alpha, and alpha: four floats a pixel. */
function covered(colours, alpha) {
  const light = new Float32Array(alpha.length * 4);
  for (let i = 0; i < alpha.length; i += 1) {
    const cover = alpha[i] / 255;
    if (cover === 0) continue;
    light[4 * i] = DECODE[colours[4 * i]] * cover;
    light[4 * i + 1] = DECODE[colours[4 * i + 1]] * cover;
    light[4 * i + 2] = DECODE[colours[4 * i + 2]] * cover;
    light[4 * i + 3] = cover;
  }
  return light;
}

function halved({ width, height, light }) {
  const half = { width: Math.max(1, width >> 1), height: Math.max(1, height >> 1) };
  half.light = new Float32Array(half.width * half.height * 4);
  const row = width * 4;
  for (let y = 0, to = 0; y < half.height; y += 1) {
    for (let x = 0; x < half.width; x += 1) {
      const from = 2 * (y * row + x * 4);
      for (let c = 0; c < 4; c += 1, to += 1) {
        const a = from + c;
        half.light[to] = (light[a] + light[a + 4] + light[a + row] + light[a + row + 4]) / 4;
      }
    }
  }
  return half;
}
