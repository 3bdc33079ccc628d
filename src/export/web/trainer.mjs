// A page that trains: what a person sees of a run, and does with it.

import { openDevice, unpack } from "./page.mjs";
import { bits, normal, PRIOR } from "./random.mjs";
import { Training } from "./training.mjs";
import { $, element, paint, pixelsOf, say, takeFiles } from "./view.mjs";

// Milliseconds between pictures.
const DRAWN = 1000;

class Trainer {
  constructor(training, { manifest, values }) {
    Object.assign(this, { training, manifest, losses: [], images: 0, seconds: 0 });
    const latents = () => Float32Array.from({ length: manifest.preview * manifest.latent }, (_, at) => {
      return normal(bits(manifest.host.seed, PRIOR, 0, Math.floor(at / manifest.latent), at % manifest.latent));
    });
    const conditions = values["preview.conditions"];
    const images = values["preview.images"];
    training.previewed = { ...(images ? { x: images } : { z: latents() }), ...(conditions && { condition: conditions }) };
  }

  begin() {
    $("run").addEventListener("click", () => this.toggle());
    $("download").addEventListener("click", () => this.download());
    takeFiles($("trainer"), $("file"), (files) => this.take(files).catch((error) => say(error.message)));
    addEventListener("resize", () => this.drawCurve());
    this.draw();
  }

  // Starts, or pauses behind the submissions under way.
  async toggle() {
    if (this.running) {
      this.training.paused = true;
      return;
    }
    this.running = true;
    this.training.paused = false;
    $("run").textContent = "Pause";
    say("");
    try {
      while (!this.training.paused && !this.training.done) {
        if (await this.training.epoch((report) => this.hear(report))) {
          this.addEpoch(this.training.epochs.at(-1));
        }
        await this.draw();
      }
    } catch (error) {
      say(error.message);
    }
    this.running = false;
    $("run").textContent = this.training.done ? "Trained" : "Go on";
    $("run").disabled = this.training.done;
  }

  hear({ steps, losses, seconds }) {
    const { state, within } = this.training;
    this.images += steps.reduce((sum, { rows }) => sum + rows, 0);
    this.seconds += seconds;
    this.losses.push([state.step, losses.reduce((sum, [loss]) => sum + loss, 0) / losses.length]);
    $("download").disabled = false;
    const mean = this.training.mean();
    $("epoch").textContent = `${state.epoch + 1} of ${this.manifest.host.epochs}`;
    $("step").textContent = `${state.step}, ${Math.round((100 * within.rows) / this.training.sets.train.count)} % of the epoch`;
    $("loss").textContent = this.manifest.terms.map((name, at) => `${name} ${mean[at].toFixed(2)}`).join(", ");
    if (performance.now() - (this.drawn ?? 0) > DRAWN) {
      $("speed").textContent = Math.round(this.images / this.seconds).toLocaleString("en");
      [this.images, this.seconds, this.drawn] = [0, 0, performance.now()];
      this.draw();
    }
  }

  async draw() {
    this.drawCurve();
    const images = await this.training.preview();
    const features = images.length / this.manifest.preview;
    $("samples").replaceChildren(...Array.from({ length: this.manifest.preview }, (_, at) => {
      const canvas = element("canvas");
      paint(canvas, images.subarray(at * features, (at + 1) * features), this.manifest);
      return element("div", { className: "tile" }, canvas);
    }));
  }

  // The loss of each submission, and of what is held out after each epoch.
  drawCurve() {
    const canvas = $("curve");
    const scale = devicePixelRatio;
    [canvas.width, canvas.height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    const context = canvas.getContext("2d");
    const n = Math.ceil(this.training.sets.train.count / this.manifest.host.batch);
    const test = this.training.epochs.map(({ epoch, test: [loss] }) => [epoch * n, loss]);
    const all = [...this.losses, ...test];
    if (all.length < 2) {
      return;
    }
    const [left, bottom] = [48 * scale, canvas.height - 18 * scale];
    const most = all.reduce((most, [step]) => Math.max(most, step), 1);
    // The first losses would flatten all others.
    const values = all.map(([, loss]) => loss).sort((a, b) => a - b);
    const [least, top] = [values[0], values[Math.floor(0.98 * (values.length - 1))]];
    const place = ([step, loss]) => [
      left + (step / most) * (canvas.width - left - 4 * scale),
      bottom - (Math.min(1, (loss - least) / (top - least || 1)) * 0.96) * bottom,
    ];
    const style = getComputedStyle(canvas);
    Object.assign(context, { fillStyle: style.color, font: `${12 * scale}px sans-serif`, lineWidth: 1.5 * scale, strokeStyle: "#1f77b4" });
    context.fillText(top.toPrecision(4), 0, 0.04 * bottom + 12 * scale);
    context.fillText(least.toPrecision(4), 0, bottom);
    context.fillText(`step ${most}`, canvas.width - 90 * scale, canvas.height - 3 * scale);
    context.beginPath();
    this.losses.forEach((point) => context.lineTo(...place(point)));
    context.stroke();
    context.fillStyle = "#ff7f0e";
    test.forEach((point) => {
      context.beginPath();
      context.arc(...place(point), 4 * scale, 0, 7);
      context.fill();
    });
  }

  addEpoch({ epoch, train, test }) {
    const cells = [epoch, ...train.map((value) => value.toFixed(2)), ...test.map((value) => value.toFixed(2))];
    $("epochs").append(element("tr", {}, ...cells.map((text) => element("td", { textContent: text }))));
  }

  async download() {
    const href = URL.createObjectURL(await this.training.checkpoint());
    element("a", { href, download: "checkpoint.safetensors" }).click();
    URL.revokeObjectURL(href);
  }

  // Pictures to train on, or a checkpoint to go on from.
  async take(files) {
    if (this.running) {
      throw new Error("Pause the training first.");
    }
    const checkpoint = files.find(({ name }) => name.endsWith(".safetensors"));
    if (checkpoint) {
      const same = this.training.resume(await checkpoint.arrayBuffer());
      const { step, epoch } = this.training.state;
      say(`It goes on after step ${step}, epoch ${epoch}${same ? "." : ": with other data than the checkpoint had."}`);
    } else {
      if (this.manifest.condition) {
        throw new Error("The model is given a label with each image, which pictures alone do not have: export a page of a run on a folder.");
      }
      const images = [];
      const unread = [];
      for (const file of files) {
        const picture = await createImageBitmap(file).catch(() => unread.push(file.name) && null);
        picture && images.push(pixelsOf(picture, this.manifest.size));
      }
      await this.training.use(images);
      const [height, width] = this.manifest.size;
      const left = unread.length ? ` Left out, for they are no pictures: ${unread.join(", ")}.` : "";
      say(`It trains on ${images.length} pictures, resized to ${width}x${height}, each tenth held out, from the same first weights.${left}`);
    }
    Object.assign(this, { losses: [] });
    $("epochs").replaceChildren($("epochs").firstElementChild);
    $("run").textContent = "Start";
    $("run").disabled = false;
    await this.draw();
  }
}

try {
  const page = await unpack((id) => $(id).textContent);
  const { device, kind } = await openDevice(navigator.gpu, page.manifest, say);
  const training = new Training(device, kind, page);
  await training.load();
  $("trainer").hidden = false;
  say("");
  const trainer = new Trainer(training, page);
  trainer.begin();
  globalThis.vae = trainer; // for the console
} catch (error) {
  say(error.message);
}
