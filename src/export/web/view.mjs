// Elements of a page: pictures on canvases, files that are dropped, what is said.

export const $ = (id) => document.getElementById(id);

// Says something above all else, or nothing; what fails anywhere is said too.
export function say(text) {
  $("status").textContent = text;
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
