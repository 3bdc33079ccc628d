// What a page holds, and a device to run it on; pictures on canvases.

// The page's manifest, and its values by name: `text(id)` gives what the page's element of this id holds.
export async function unpack(text) {
  const manifest = JSON.parse(text("manifest"));
  const pieces = Array.from({ length: manifest.pieces }, (_, piece) => bytesOf(text(`values-${piece}`)));
  const stream = new Blob(pieces).stream().pipeThrough(new DecompressionStream("gzip"));
  const all = await new Response(stream).arrayBuffer();
  const types = { u8: Uint8Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };
  const values = {};
  for (const { name, dtype, offset, bytes } of manifest.values) {
    const part = all.slice(offset, offset + bytes);
    values[name] = dtype === "f16" ? Float32Array.from(new Uint16Array(part), wide) : new types[dtype](part);
  }
  return { manifest, values };
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    bytes[at] = text.charCodeAt(at);
  }
  return bytes;
}

// A finite number in half precision.
function wide(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

// A device whose buffers may be as large as these programs need, and what kind of adapter it is of.
export async function openDevice(gpu, manifest, lost) {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    const which = "Chrome and Edge 113, Safari 26, Firefox 141 on Windows and 145 on macOS, or later";
    throw new Error(`This browser gives the page no GPU: WebGPU is in ${which}; elsewhere, and where the GPU is blocked, it may be off.`);
  }
  const largest = Math.max(...Object.values(manifest.programs.software).flat().flatMap(({ buffers }) => buffers.map(({ bytes }) => bytes)));
  const requiredLimits = {};
  for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"]) {
    if (largest > adapter.limits[limit]) {
      throw new Error(`The model has a buffer of ${largest} bytes: this GPU takes ${adapter.limits[limit]} at most. Export a smaller model.`);
    }
    requiredLimits[limit] = Math.max(largest, 2 ** 27);
  }
  const device = await adapter.requestDevice({ requiredLimits });
  device.addEventListener("uncapturederror", ({ error }) => lost(error.message));
  device.lost.then(({ reason, message }) => reason === "destroyed" || lost(`${message} Load the page anew.`));
  return { device, kind: kindOf(adapter.info) };
}

// As src/backend/gpu/adapters.rs tells adapters apart.
function kindOf({ vendor = "", architecture = "", device = "", description = "", isFallbackAdapter }) {
  if (isFallbackAdapter || /swiftshader|llvmpipe|basic render/i.test([architecture, device, description].join(" "))) {
    return "software";
  }
  return ["apple", "intel"].find((known) => vendor.toLowerCase().includes(known)) ?? "wide";
}

// Draws an image `[height, width, channels]` whose values lie in a range; of neither 1 nor 3 channels these side by side.
export function paint(canvas, values, { size: [height, width, channels], range: [least, most] }) {
  const panels = channels === 3 ? 1 : channels;
  [canvas.width, canvas.height] = [width * panels, height];
  const picture = new ImageData(canvas.width, height);
  for (let at = 0; at < height * width * panels; at += 1) {
    const [row, column] = [Math.floor(at / (width * panels)), at % (width * panels)];
    const from = (row * width + (column % width)) * channels + (channels === 3 ? 0 : Math.floor(column / width));
    for (let colour = 0; colour < 3; colour += 1) {
      const value = values[channels === 3 ? from + colour : from];
      picture.data[4 * at + colour] = 255 * ((value - least) / (most - least || 1));
    }
    picture.data[4 * at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// What is drawn on a canvas, or a picture, as an image of the model: resized, on its channels, 0 to 255.
export function pixelsOf(source, [height, width, channels]) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillRect(0, 0, width, height);
  const scale = Math.min(width / source.width, height / source.height);
  const [across, down] = [source.width * scale, source.height * scale];
  context.drawImage(source, (width - across) / 2, (height - down) / 2, across, down);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: height * width * channels }, (_, at) => {
    const pixel = 4 * Math.floor(at / channels);
    const [r, g, b] = data.subarray(pixel, pixel + 3);
    return channels === 3 ? data[pixel + (at % 3)] : Math.round(0.2126 * r + 0.7152 * g + 0.0722 * b);
  });
}

// Elements that a page makes.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Lets files be dropped on an element, or chosen by an input in it.
export function takeFiles(target, input, take) {
  input.addEventListener("change", () => take([...input.files]));
  target.addEventListener("dragover", (event) => event.preventDefault());
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}
