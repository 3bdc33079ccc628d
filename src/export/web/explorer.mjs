// A page that explores a trained model: each of its controls sets the latent, and the picture follows.

import { Model } from "./model.mjs";
import { openDevice, unpack } from "./page.mjs";
import { $, element, fail, paint, pixelsOf, rowsOf, say, shownPixels, takeFiles } from "./view.mjs";

const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#8a8a8a", "#bcbd22", "#17becf"];
const SAMPLES = 24;
const STEPS = 9;
const TRAVERSED = 8;


class Explorer {
  constructor(model, { manifest, values }) {
    Object.assign(this, { model, manifest, values });
    const { latent, condition, centred } = manifest;
    this.z = new Float32Array(latent);
    this.condition = new Float32Array(condition?.width ?? 0);
    this.codes = rowsOf(values.codes ?? new Float32Array(0), latent);
    // Where codes lie: around 0, a unit to either side, where a prior brought them there; else as they are.
    const dimensions = Array.from(this.z.keys());
    const moments = dimensions.map((dimension) => momentsOf(this.codes.map((code) => code[dimension])));
    this.center = Float32Array.from(moments, ([mean]) => (centred ? 0 : mean));
    this.unit = moments.map(([, deviation]) => (centred ? 1 : deviation || 1));
    this.reach = dimensions.map((dimension) => {
      const farthest = this.codes.map((code) => Math.abs(code[dimension] - this.center[dimension]));
      return farthest.reduce((most, off) => Math.max(most, off), 3 * this.unit[dimension]);
    });
    // What varies most first.
    this.order = dimensions.sort((a, b) => moments[b][1] - moments[a][1]);
    this.axes = this.order.slice(0, 2);
    this.request = 0;
  }

  // Brings the picture and all controls to a latent and its condition; at most one picture is under way.
  async show(z = this.z, condition = this.condition) {
    this.request += 1;
    this.z.set(z);
    this.condition.set(condition);
    this.moveCondition();
    this.stale = true;
    if (this.showing) {
      return;
    }
    this.showing = true;
    try {
      while (this.stale) {
        this.stale = false;
        const wanted = this.z.slice();
        this.sliders.forEach((slider, at) => this.moveSlider(slider, wanted[this.order[at]]));
        this.drawMap();
        paint($("picture"), await this.model.decode(wanted, this.condition.slice()), this.manifest);
      }
    } finally {
      this.showing = false;
    }
  }

  begin() {
    this.beginCondition();
    this.beginSliders();
    this.beginMap();
    this.beginSamples();
    if (this.values.images) {
      this.beginImages();
      this.beginOwn();
    }
    $("traverse").addEventListener("click", () => this.traverse());
  }

  beginCondition() {
    const { condition } = this.manifest;
    if (condition?.classes) {
      const unit = (at) => condition.classes.map((_, other) => Number(other === at));
      // Those that were trained on.
      const options = condition.trained.map((value) => element("option", { value, textContent: condition.classes[value] }));
      $("label").append(...options);
      $("label").addEventListener("change", () => this.show(this.z, unit(Number($("label").value))));
      this.condition.set(unit(condition.trained[0]));
    } else if (condition) {
      const { mean, deviation, range } = condition.number;
      Object.assign($("number"), { min: range[0], max: range[1], step: "any", value: mean });
      $("number").addEventListener("input", () => this.show(this.z, [($("number").value - mean) / deviation]));
    }
  }

  // Brings the control to the condition; a mixture of classes has no option.
  moveCondition() {
    const { condition } = this.manifest;
    if (condition?.classes) {
      $("label").value = this.condition.indexOf(1);
    } else if (condition) {
      const value = condition.number.mean + this.condition[0] * condition.number.deviation;
      $("number").value = value;
      $("given").textContent = value.toPrecision(4);
    }
  }

  beginSliders() {
    const slider = (dimension) => {
      const [least, most] = this.extent(dimension);
      const input = element("input", { type: "range", min: least, max: most, step: (most - least) / 600, ariaLabel: `latent ${dimension}` });
      input.addEventListener("input", () => {
        this.z[dimension] = Number(input.value);
        this.show();
      });
      const shown = element("span");
      $("sliders").append(element("label", {}, `${dimension}`, input, shown));
      return { input, shown };
    };
    this.sliders = this.order.slice(0, this.manifest.sliders).map(slider);
    $("middle").addEventListener("click", () => this.show(this.center));
  }

  moveSlider({ input, shown }, value) {
    input.value = value;
    shown.textContent = value.toFixed(2);
  }

  beginMap() {
    const choose = (select, at) => {
      select.append(...this.order.map((dimension) => element("option", { value: dimension, textContent: `latent ${dimension}` })));
      select.value = this.axes[at];
      select.addEventListener("change", () => {
        this.axes[at] = Number(select.value);
        this.drawMap();
      });
    };
    ["across", "up"].slice(0, this.axes.length).forEach((id, at) => choose($(id), at));
    const move = ({ offsetX, offsetY }) => {
      const at = [offsetX / $("map").clientWidth, 1 - offsetY / $("map").clientHeight];
      this.axes.forEach((dimension, axis) => {
        const [least, most] = this.extent(dimension);
        this.z[dimension] = least + at[axis] * (most - least);
      });
      this.show();
    };
    $("map").addEventListener("pointerdown", (event) => {
      $("map").setPointerCapture(event.pointerId);
      move(event);
    });
    $("map").addEventListener("pointermove", (event) => event.buttons && move(event));
    $("map").addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (step) {
        event.preventDefault();
        this.axes.forEach((dimension, axis) => (this.z[dimension] += 0.03 * step[axis] * this.reach[dimension]));
        this.show();
      }
    });
    addEventListener("resize", () => this.drawMap());
    // Of more classes several have a colour.
    const told = this.codes.length > 0 && this.manifest.classes.length <= COLOURS.length ? this.manifest.classes : [];
    told.forEach((name, at) => {
      const dot = element("i");
      dot.style.background = COLOURS[at];
      $("legend").append(element("span", {}, dot, name));
    });
  }

  // The least and the largest of a dimension.
  extent(dimension) {
    const [center, reach] = [this.center[dimension], 1.05 * this.reach[dimension]];
    return [center - reach, center + reach];
  }

  drawMap() {
    const canvas = $("map");
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    [canvas.width, canvas.height] = [side, side];
    const context = canvas.getContext("2d");
    const place = (code) => this.axes.map((dimension) => {
      const [least, most] = this.extent(dimension);
      return (code[dimension] - least) / (most - least);
    });
    const dot = (code, colour, radius) => {
      const [x, y = 0.5] = place(code);
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x * side, (1 - y) * side, radius * devicePixelRatio, 0, 7);
      context.fill();
    };
    this.codes.forEach((code, at) => {
      const label = this.values.labels[at];
      dot(code, label < this.manifest.classes.length ? COLOURS[label % COLOURS.length] : "#888", 2);
    });
    dot(this.z, getComputedStyle(canvas).color, 8);
    dot(this.z, getComputedStyle(canvas).backgroundColor, 5);
  }

  beginSamples() {
    $("source").append(...this.manifest.sources.map(({ name }) => element("option", { textContent: name })));
    const draw = () => $("seed").reportValidity() && this.sample();
    [$("source"), $("seed"), $("label"), $("number")].forEach((control) => control?.addEventListener("change", draw));
    $("more").addEventListener("click", () => {
      $("seed").stepUp();
      draw();
    });
  }

  // Samples of the condition as it is.
  sample() {
    const latents = rowsOf(this.model.draw($("source").value, SAMPLES, Number($("seed").value)), this.z.length);
    return this.tiles($("samples"), latents, latents.map(() => this.condition.slice()), (at) => `sample ${at}`);
  }

  // Pictures of latents and their conditions; a click on one sets both.
  async tiles(parent, latents, conditions, title) {
    const request = (parent.request = (parent.request ?? 0) + 1);
    const images = rowsOf(await this.model.decode(flat(latents), flat(conditions)), this.model.features);
    if (request === parent.request) {
      parent.replaceChildren(...images.map((image, at) => this.tile(image, title(at), () => this.show(latents[at], conditions[at]))));
    }
  }

  tile(image, title, choose) {
    const canvas = element("canvas");
    paint(canvas, image, this.manifest);
    const button = element("button", { className: "tile", title, ariaLabel: title }, canvas);
    button.addEventListener("click", choose);
    return button;
  }

  // Test images: a click encodes one, a drag to another (or a click with Shift) shows what lies between.
  beginImages() {
    const { images, image_labels: labels, image_conditions: conditions } = this.values;
    const given = rowsOf(conditions ?? new Float32Array(0), this.condition.length || 1);
    const all = rowsOf(images, this.model.features).map((image, at) => {
      const label = this.manifest.classes[labels[at]];
      return { image, condition: given[at] ?? this.condition, title: `test image ${at}${label ? `, ${label}` : ""}` };
    });
    const code = (example) => (example.code ??= this.model.encode(example.image, example.condition));
    let [chosen, from] = [null, null];
    const choose = async (example, between) => {
      const request = (this.request += 1);
      const start = between && chosen !== example ? chosen : null;
      chosen = start ?? example;
      const codes = [await code(start ?? example), await code(example)];
      if (request !== this.request) {
        return;
      }
      if (start) {
        await this.interpolate(codes, [start.condition, example.condition]);
      } else {
        await this.show(codes[0], example.condition);
        await this.sampleAgain(example.condition);
      }
    };
    for (const example of all) {
      const tile = this.tile(example.image, example.title, (event) => choose(example, event.shiftKey));
      tile.addEventListener("pointerdown", ({ pointerId }) => {
        tile.releasePointerCapture(pointerId); // others are to hear of it
        from = example;
      });
      tile.addEventListener("pointerenter", ({ buttons }) => {
        if (buttons && from !== null && from !== example) {
          chosen = from;
          choose(example, true);
        }
      });
      $("images").append(tile);
    }
    ["pointerup", "pointercancel"].forEach((end) => addEventListener(end, () => {
      from = null;
    }));
  }

  // Samples of a label that was not the one before.
  async sampleAgain(condition) {
    if (condition.join() !== this.sampled) {
      this.sampled = condition.join();
      await this.sample();
    }
  }

  // What lies between two codes on an arc, as `vae-gpu interpolate` goes, and between their conditions on a line.
  async interpolate([a, b], [conditionA, conditionB]) {
    const parts = Array.from({ length: STEPS }, (_, step) => step / (STEPS - 1));
    const mixed = (a, b, [ofA, ofB]) => a.map((value, at) => ofA * value + ofB * b[at]);
    const latents = parts.map((t) => mixed(a, b, onArc(a, b, t)));
    const conditions = parts.map((t) => mixed(conditionA, conditionB, [1 - t, t]));
    const middle = (STEPS - 1) / 2;
    const shown = this.show(latents[middle], conditions[middle]);
    await this.tiles($("between"), latents, conditions, (at) => `${Math.round(100 * parts[at])} % of the way`);
    await shown;
  }

  // An image that is drawn, dropped or chosen.
  beginOwn() {
    const canvas = $("own");
    const [height, width] = this.manifest.size;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const clear = () => context.fillRect(0, 0, canvas.width, canvas.height);
    [canvas.width, canvas.height] = [280, Math.max(1, Math.round((280 * height) / width))];
    Object.assign(context, { strokeStyle: "white", lineWidth: 22, lineCap: "round", fillStyle: this.manifest.background });
    clear();
    let [last, changed, encoding] = [null, false, false];
    const encode = async () => {
      changed = true;
      if (encoding) {
        return;
      }
      encoding = true;
      try {
        while (changed) {
          changed = false;
          const code = await this.model.encode(shownPixels(pixelsOf(canvas, this.manifest), this.manifest), this.condition.slice());
          paint($("rebuilt"), await this.model.decode(code, this.condition.slice()), this.manifest);
          await this.show(code);
        }
      } finally {
        encoding = false;
      }
    };
    canvas.addEventListener("pointerdown", ({ offsetX, offsetY, pointerId }) => {
      canvas.setPointerCapture(pointerId);
      last = [offsetX, offsetY];
    });
    canvas.addEventListener("pointermove", ({ buttons, offsetX, offsetY }) => {
      if (buttons && last) {
        const scale = canvas.width / canvas.clientWidth;
        context.beginPath();
        context.moveTo(last[0] * scale, last[1] * scale);
        context.lineTo(offsetX * scale, offsetY * scale);
        context.stroke();
        last = [offsetX, offsetY];
        encode();
      }
    });
    $("clear").addEventListener("click", () => {
      clear();
      encode();
    });
    takeFiles($("file"), async ([file, ...others]) => {
      const picture = await createImageBitmap(file).catch(() => null);
      if (!picture) {
        throw new Error(`${file.name} is no picture that this browser reads: give a PNG, a JPEG or a WebP. A checkpoint gets a page of its own by vae-gpu export.`);
      }
      say(others.length > 0 ? `Of ${others.length + 1} files the first is shown, ${file.name}.` : "");
      clear();
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      picture.close();
      await encode();
    });
  }

  // The dimensions that vary most, each across its range, around the latent.
  async traverse() {
    const rows = this.order.slice(0, TRAVERSED).flatMap((dimension) => Array.from({ length: STEPS }, (_, step) => {
      const latent = this.z.slice();
      latent[dimension] = this.center[dimension] + 3 * this.unit[dimension] * ((2 * step) / (STEPS - 1) - 1);
      return latent;
    }));
    const title = (at) => {
      const dimension = this.order[Math.floor(at / STEPS)];
      return `latent ${dimension} at ${rows[at][dimension].toFixed(2)}`;
    };
    $("traversals").style.setProperty("--columns", STEPS);
    await this.tiles($("traversals"), rows, rows.map(() => this.condition.slice()), title);
  }
}

function flat(rows) {
  const all = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  rows.reduce((end, row) => (all.set(row, end), end + row.length), 0);
  return all;
}

// Weights of both ends on the arc between them; on the line where they point the same or opposite ways.
function onArc(a, b, t) {
  const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
  const sine = Math.sin(angle);
  return sine > 1e-6 ? [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine] : [1 - t, t];
}

// Mean and standard deviation; 0 of nothing.
function momentsOf(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
  return [mean, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length || 1))];
}

try {
  const page = await unpack((id) => $(id).textContent);
  const { device, programs } = await openDevice(navigator.gpu, page.manifest, fail);
  const explorer = new Explorer(new Model(device, programs, page), page);
  $("explorer").hidden = false;
  say("");
  explorer.begin();
  const first = explorer.codes[0] ?? explorer.model.draw($("source").value, 1, 0);
  await explorer.show(first, page.values.image_conditions?.subarray(0, explorer.condition.length));
  performance.mark("first picture");
  await explorer.sampleAgain(explorer.condition);
  await explorer.traverse();
  globalThis.vae = explorer; // for the console
} catch (error) {
  fail(error.message);
}
