// A page that explores a trained model: each of its controls sets the latent, and the picture follows.

import { Model } from "./model.mjs";
import { openDevice, unpack } from "./page.mjs";
import { $, element, paint, pixelsOf, say, takeFiles } from "./view.mjs";

const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#8a8a8a", "#bcbd22", "#17becf"];
const SLIDERS = 256;
const SAMPLES = 24;
const STEPS = 9;
const TRAVERSED = 8;


class Explorer {
  constructor(model, { manifest, values }) {
    Object.assign(this, { model, manifest, values });
    this.z = new Float32Array(manifest.latent);
    this.condition = new Float32Array(manifest.condition?.width ?? 0);
    this.codes = values.codes ?? new Float32Array(0);
    // What varies most first.
    const dimensions = Array.from(this.z.keys());
    this.spread = dimensions.map((dimension) => deviation(this.codes, dimension, manifest.latent));
    this.order = dimensions.sort((a, b) => this.spread[b] - this.spread[a]);
    this.axes = this.order.slice(0, 2);
  }

  // Brings the picture, the sliders and the map to the latent; at most one picture is under way.
  async show(z = this.z) {
    this.z.set(z);
    if (this.showing) {
      this.stale = true;
      return;
    }
    this.showing = true;
    try {
      do {
        this.stale = false;
        const wanted = this.z.slice();
        this.sliders.forEach((slider, at) => this.moveSlider(slider, wanted[this.order[at]]));
        this.drawMap();
        paint($("picture"), await this.model.decode(wanted, this.condition), this.manifest);
      } while (this.stale);
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
    const set = (values) => {
      this.condition.set(values);
      this.show();
    };
    if (condition?.classes) {
      const unit = (at) => condition.classes.map((_, other) => Number(other === at));
      $("label").append(...condition.classes.map((name, value) => element("option", { value, textContent: name })));
      $("label").addEventListener("change", () => set(unit(Number($("label").value))));
      this.condition.set(unit(0));
    } else if (condition) {
      const { mean, deviation, range } = condition.number;
      const standardised = () => [(Number($("number").value) - mean) / deviation];
      Object.assign($("number"), { min: range[0], max: range[1], step: "any", value: mean });
      $("number").addEventListener("input", () => set(standardised()));
    }
  }

  beginSliders() {
    const reach = (dimension) => Math.max(3, 3 * this.spread[dimension]);
    const slider = (dimension) => {
      const most = reach(dimension);
      const input = element("input", { type: "range", min: -most, max: most, step: most / 300, value: 0 });
      input.setAttribute("aria-label", `latent ${dimension}`);
      input.addEventListener("input", () => {
        this.z[dimension] = Number(input.value);
        this.show();
      });
      const shown = element("output", { textContent: "0.00" });
      $("sliders").append(element("label", {}, `${dimension}`, input, shown));
      return { input, shown };
    };
    this.sliders = this.order.slice(0, SLIDERS).map(slider);
    $("middle").addEventListener("click", () => this.show(new Float32Array(this.z.length)));
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
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (step) {
        event.preventDefault();
        this.axes.forEach((dimension, axis) => (this.z[dimension] += step[axis]));
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

  // The least and the largest of a dimension on the map.
  extent(dimension) {
    this.extents ??= new Map();
    if (!this.extents.has(dimension)) {
      let most = 3;
      for (let at = dimension; at < this.codes.length; at += this.z.length) {
        most = Math.max(most, Math.abs(this.codes[at]));
      }
      this.extents.set(dimension, [-1.05 * most, 1.05 * most]);
    }
    return this.extents.get(dimension);
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
    for (let at = 0; at < this.codes.length / this.z.length; at += 1) {
      const label = this.values.labels[at];
      const colour = label < this.manifest.classes.length ? COLOURS[label % COLOURS.length] : "#888";
      dot(this.codes.subarray(at * this.z.length, (at + 1) * this.z.length), colour, 2);
    }
    dot(this.z, getComputedStyle(canvas).color, 8);
    dot(this.z, getComputedStyle(canvas).backgroundColor, 5);
  }

  beginSamples() {
    $("source").append(...this.manifest.sources.map(({ name }) => element("option", { textContent: name })));
    const draw = () => this.sample();
    [$("source"), $("seed"), $("label"), $("number")].forEach((control) => control?.addEventListener("change", draw));
    $("more").addEventListener("click", () => {
      $("seed").value = Number($("seed").value) + 1;
      draw();
    });
  }

  async sample() {
    const seed = Number($("seed").value) >>> 0;
    await this.tiles($("samples"), this.model.draw($("source").value, SAMPLES, seed), "sample");
  }

  // Pictures of latents; a click on one sets the latent.
  async tiles(parent, latents, what) {
    const [count, width] = [latents.length / this.z.length, this.condition.length];
    const conditions = Float32Array.from({ length: count * width }, (_, at) => this.condition[at % width]);
    const images = await this.model.decode(latents, conditions);
    parent.replaceChildren(...Array.from({ length: count }, (_, at) => {
      const latent = latents.slice(at * this.z.length, (at + 1) * this.z.length);
      return this.tile(images.subarray(at * this.model.features, (at + 1) * this.model.features), `${what} ${at}`, () => this.show(latent));
    }));
  }

  tile(image, title, choose) {
    const canvas = element("canvas");
    paint(canvas, image, this.manifest);
    const button = element("button", { className: "tile", title }, canvas);
    button.setAttribute("aria-label", title);
    button.addEventListener("click", choose);
    return button;
  }

  // Data sets' images: a click encodes one, a drag to another (or a click with Shift) shows what lies between.
  beginImages() {
    const { images, image_labels: labels, image_conditions: conditions } = this.values;
    const [features, width] = [this.model.features, this.condition.length];
    const all = Array.from({ length: images.length / features }, (_, at) => ({
      image: images.subarray(at * features, (at + 1) * features),
      condition: conditions?.subarray(at * width, (at + 1) * width) ?? new Float32Array(0),
      title: `test image ${at}${this.manifest.classes[labels[at]] ? `, ${this.manifest.classes[labels[at]]}` : ""}`,
    }));
    const code = (at) => (all[at].code ??= this.model.encode(all[at].image, all[at].condition));
    let chosen = null;
    const choose = async (at, between) => {
      if (between && chosen !== null && chosen !== at) {
        return this.interpolate(await code(chosen), await code(at), all[chosen].condition, all[at].condition);
      }
      chosen = at;
      this.setCondition(all[at].condition);
      return this.show(await code(at));
    };
    let from = null;
    all.forEach(({ image, title }, at) => {
      const tile = this.tile(image, title, (event) => choose(at, event.shiftKey));
      tile.addEventListener("pointerdown", ({ pointerId }) => {
        tile.releasePointerCapture(pointerId); // others are to hear of it
        from = at;
      });
      tile.addEventListener("pointerenter", () => {
        if (from !== null && from !== at) {
          chosen = from;
          choose(at, true);
        }
      });
      $("images").append(tile);
    });
    addEventListener("pointerup", () => {
      from = null;
    });
  }

  setCondition(condition) {
    this.condition.set(condition);
    if (this.manifest.condition?.classes) {
      $("label").value = condition.indexOf(1);
    } else if (this.manifest.condition) {
      const { mean, deviation } = this.manifest.condition.number;
      $("number").value = mean + condition[0] * deviation;
    }
  }

  // What lies between two codes on an arc, as `vae-gpu interpolate` goes, and between their conditions on a line.
  async interpolate(a, b, conditionA, conditionB) {
    const parts = Array.from({ length: STEPS }, (_, step) => step / (STEPS - 1));
    const mixed = (a, b, [ofA, ofB]) => a.map((value, at) => ofA * value + ofB * b[at]);
    const latents = parts.map((t) => mixed(a, b, onArc(a, b, t)));
    const conditions = parts.map((t) => mixed(conditionA, conditionB, [1 - t, t]));
    const images = await this.model.decode(flat(latents), flat(conditions));
    $("between").replaceChildren(...latents.map((latent, at) => {
      const image = images.subarray(at * this.model.features, (at + 1) * this.model.features);
      return this.tile(image, `${Math.round((100 * at) / (STEPS - 1))} % of the way`, () => this.show(latent));
    }));
    await this.show(latents[(STEPS - 1) / 2]);
  }

  // An image that is drawn, dropped or chosen.
  beginOwn() {
    const canvas = $("own");
    const [height, width] = this.manifest.size;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const clear = () => context.fillRect(0, 0, canvas.width, canvas.height);
    [canvas.width, canvas.height] = [280, Math.round((280 * height) / width)];
    Object.assign(context, { strokeStyle: "white", lineWidth: 22, lineCap: "round" });
    clear();
    const encode = async () => {
      const pixels = pixelsOf(canvas, this.manifest.size);
      const shown = Float32Array.from(pixels, (byte) => (this.manifest.threshold ? Number(byte > 127) : byte / 255));
      const code = await this.model.encode(shown, this.condition);
      paint($("rebuilt"), await this.model.decode(code, this.condition), this.manifest);
      await this.show(code);
    };
    let last = null;
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
    takeFiles($("yours"), $("file"), async ([file]) => {
      const picture = await createImageBitmap(file).catch(() => null);
      if (!picture) {
        say(`${file.name} is no picture that this browser reads: give a PNG, a JPEG or a WebP.`);
        return;
      }
      say("");
      clear();
      const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
      const [across, down] = [picture.width * scale, picture.height * scale];
      context.drawImage(picture, (canvas.width - across) / 2, (canvas.height - down) / 2, across, down);
      encode();
    });
  }

  // The dimensions that vary most, each across its range, around the latent.
  async traverse() {
    const rows = this.order.slice(0, TRAVERSED).flatMap((dimension) => Array.from({ length: STEPS }, (_, step) => {
      const latent = this.z.slice();
      latent[dimension] = 3 * Math.max(1, this.spread[dimension]) * ((2 * step) / (STEPS - 1) - 1);
      return latent;
    }));
    $("traversals").style.setProperty("--columns", STEPS);
    await this.tiles($("traversals"), flat(rows), "traversal");
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

// The standard deviation of a dimension of codes; 0 of none.
function deviation(codes, dimension, latent) {
  const values = Array.from({ length: codes.length / latent }, (_, at) => codes[at * latent + dimension]);
  const mean = values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length || 1));
}

try {
  const page = await unpack((id) => $(id).textContent);
  const { device, kind } = await openDevice(navigator.gpu, page.manifest, say);
  const explorer = new Explorer(new Model(device, kind, page), page);
  $("explorer").hidden = false;
  say("");
  explorer.begin();
  explorer.setCondition(page.values.image_conditions?.subarray(0, explorer.condition.length) ?? explorer.condition);
  await explorer.show(page.values.codes?.slice(0, explorer.z.length) ?? explorer.model.draw($("source").value, 1, 0));
  performance.mark("first picture");
  await explorer.sample();
  await explorer.traverse();
  globalThis.vae = explorer; // for the console
} catch (error) {
  say(error.message);
}
