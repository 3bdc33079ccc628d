// Elements of a page: pictures on canvases, files that are dropped, what is said.

export const $ = (id) => document.getElementById(id);

let failure = "";

// Says something above all else, or nothing.
export function say(text) {
  $("status").textContent = failure || text;
}

// Says what ends the page; nothing takes its place.
export function fail(text) {
  failure ||= text;
  say("");
}

globalThis.addEventListener?.("unhandledrejection", ({ reason }) => say(reason.message));

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

// A picture as the model takes one: stretched to its size, on its background, grey or RGB, 0 to 255.
export function pixelsOf(source, { size: [height, width, channels], background }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(context, { imageSmoothingQuality: "high", fillStyle: background });
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: height * width * channels }, (_, at) => {
    const pixel = 4 * Math.floor(at / channels);
    const [r, g, b] = data.subarray(pixel, pixel + 3);
    return channels === 3 ? data[pixel + (at % 3)] : Math.round(0.2126 * r + 0.7152 * g + 0.0722 * b);
  });
}

// Pixels as the model is shown them outside training.
export const shownPixels = (bytes, { threshold }) => Float32Array.from(bytes, (byte) => (threshold ? Number(byte > 127) : byte / 255));

// Rows of a list of numbers.
export function rowsOf(values, width) {
  return Array.from({ length: values.length / width }, (_, at) => values.subarray(at * width, (at + 1) * width));
}

// An element that a page makes.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Takes files that are dropped on the page, or chosen by an input.
export function takeFiles(input, take) {
  const given = (files) => files.length > 0 && take([...files]).catch((error) => say(error.message));
  input.addEventListener("change", () => given(input.files));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    given(event.dataTransfer.files);
  });
}
