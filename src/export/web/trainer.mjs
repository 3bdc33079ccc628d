// A page that trains: what a person sees of a run, and does with it.

import { openDevice, unpack } from "./page.mjs";
import { Training } from "./training.mjs";
import { $, element, fail, paint, pixelsOf, rowsOf, say, shownPixels, takeFiles } from "./view.mjs";

// Milliseconds between pictures.
const DRAWN = 1000;

class Trainer {
  // The run until it is paused or over, where it is under way.
  #run = null;
  // Whether files are read or written: nothing else begins meanwhile.
  #busy = false;

  constructor(training, { manifest }) {
    Object.assign(this, { training, manifest, losses: [], images: 0, seconds: 0, saved: true });
  }

  get running() {
    return this.#run !== null;
  }

  begin() {
    $("run").addEventListener("click", () => this.toggle());
    $("download").addEventListener("click", () => this.download());
    takeFiles($("file"), (files) => this.take(files));
    addEventListener("resize", () => this.drawCurve());
    addEventListener("beforeunload", (event) => this.saved || event.preventDefault());
    this.update();
    return this.draw();
  }

  // What the buttons say and allow.
  update() {
    const { done, failed, state } = this.training;
    $("run").textContent = this.running ? "Pause" : done ? "Trained" : state.step > 0 ? "Go on" : "Start";
    $("run").disabled = this.#busy || failed || (done && !this.running);
    $("download").disabled = this.#busy || failed || state.step === 0;
    $("file").disabled = this.#busy;
  }

  // Starts, or pauses behind the submissions under way.
  async toggle() {
    if (this.running) {
      await this.pause();
      return;
    }
    say("");
    this.training.paused = false;
    this.saved = false;
    this.#run = this.train();
    this.update();
    try {
      await this.#run;
    } catch (error) {
      say(error.message);
    }
    this.#run = null;
    this.update();
  }

  async train() {
    while (!this.training.paused && !this.training.done) {
      if (await this.training.epoch((report) => this.hear(report))) {
        this.addEpoch(this.training.epochs.at(-1));
      }
      await this.draw();
    }
  }

  // Waits until nothing is under way.
  async pause() {
    this.training.paused = true;
    await this.#run?.catch(() => {}); // who began it says why
  }

  hear({ steps, losses, seconds }) {
    const { state, within } = this.training;
    this.images += steps.reduce((sum, { rows }) => sum + rows, 0);
    this.seconds += seconds;
    this.losses.push([state.step, losses.reduce((sum, [loss]) => sum + loss, 0) / losses.length]);
    const mean = this.training.mean();
    $("epoch").textContent = `${state.epoch + 1} of ${this.manifest.host.epochs}`;
    $("step").textContent = `${state.step}, ${Math.round((100 * within.rows) / this.training.sets.train.count)} % of the epoch`;
    $("loss").textContent = this.manifest.terms.map((name, at) => `${name} ${mean[at].toFixed(2)}`).join(", ");
    if (performance.now() - (this.drawn ?? 0) > DRAWN) {
      $("speed").textContent = Math.round(this.images / this.seconds).toLocaleString("en");
      [this.images, this.seconds, this.drawn] = [0, 0, performance.now()];
      this.update();
      this.draw();
    }
  }

  async draw() {
    this.drawCurve();
    const images = await this.training.preview();
    $("samples").replaceChildren(...rowsOf(images, images.length / this.manifest.preview).map((image, at) => {
      const canvas = element("canvas", { role: "img", ariaLabel: `picture ${at}` });
      paint(canvas, image, this.manifest);
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

  // Does something that nothing else may happen beside.
  async alone(work) {
    if (this.#busy) {
      throw new Error("The page is reading or writing a file: wait for it.");
    }
    this.#busy = true;
    this.update();
    try {
      await work();
    } finally {
      this.#busy = false;
      this.update();
    }
  }

  // Writes a checkpoint; training waits for it.
  async download() {
    const goesOn = this.running;
    await this.alone(async () => {
      await this.pause();
      const href = URL.createObjectURL(await this.training.checkpoint());
      element("a", { href, download: "checkpoint.safetensors" }).click();
      URL.revokeObjectURL(href);
      this.saved = true;
    });
    if (goesOn && !this.training.done && !this.training.failed) {
      await this.toggle();
    }
  }

  // Pictures to train on, or a checkpoint to go on from.
  take(files) {
    if (this.running) {
      throw new Error("Pause the training first.");
    }
    return this.alone(async () => {
      const isCheckpoint = files.map(({ name }) => name.endsWith(".safetensors"));
      if (isCheckpoint.includes(true) && files.length > 1) {
        throw new Error("Drop a checkpoint alone, or pictures alone.");
      }
      say(isCheckpoint[0] ? await this.goOn(files[0]) : await this.trainOn(files));
      Object.assign(this, { losses: [], saved: true });
      $("epochs").replaceChildren($("epochs").firstElementChild);
      await this.draw();
    });
  }

  async goOn(file) {
    const same = this.training.resume(await file.arrayBuffer());
    const { step, epoch } = this.training.state;
    return `It goes on after step ${step}, epoch ${epoch}${same ? "." : ": with other data than the checkpoint had."}`;
  }

  async trainOn(files) {
    if (this.manifest.condition) {
      throw new Error("The model is given a label with each image, which pictures alone do not have: export a page of a run on a folder.");
    }
    const [images, unread] = [[], []];
    for (const file of files) {
      const picture = await createImageBitmap(file).catch(() => unread.push(file.name) && null);
      if (picture) {
        images.push(pixelsOf(picture, this.manifest));
        picture.close();
      }
    }
    const held = this.training.use(images);
    if (this.training.previewed.x) {
      const shown = held.map((image) => shownPixels(image, this.manifest));
      const { x } = this.training.previewed;
      const features = x.length / this.manifest.preview;
      rowsOf(x, features).forEach((row, at) => row.set(shown[at % shown.length]));
    }
    const [height, width, channels] = this.manifest.size;
    const form = `stretched to ${width}x${height} ${channels === 3 ? "RGB" : "grey"} pixels on ${this.manifest.background}`;
    const left = unread.length ? ` Left out, for they are no pictures: ${unread.join(", ")}.` : "";
    return `It trains on ${images.length} pictures, ${form}, each tenth held out, from the same first weights.${left}`;
  }
}

try {
  const page = await unpack((id) => $(id).textContent);
  const { device, programs } = await openDevice(navigator.gpu, page.manifest, fail);
  const training = new Training(device, programs, page);
  await training.load();
  $("trainer").hidden = false;
  say("");
  const trainer = new Trainer(training, page);
  await trainer.begin();
  globalThis.vae = trainer; // for the console
} catch (error) {
  fail(error.message);
}
