// A run of training on a device: the loop of src/train, with its orders, rates, means and checkpoints.

import { readCheckpoint, writeCheckpoint } from "./checkpoint.mjs";
import { orderKeys, shuffled, standardNormals } from "./random.mjs";
import { Session } from "./recording.mjs";

// How long a submission should take, in milliseconds, how many are under way, and how many a step has at most (src/train/queue.rs).
const TARGET = 50;
const IN_FLIGHT = 2;
const MAX_SUBMISSIONS = 1024;

// Where a step is in its run: factors of the learning rate and of beta (src/config/schedule.rs).
function rateFactor(schedule, { step, stepsAnEpoch, epochs }) {
  const [kind, list, factor] = schedule.split(":");
  if (kind === "cosine") {
    return 0.5 * (1 + Math.cos(Math.PI * Math.min(step / Math.max(stepsAnEpoch * epochs, 1), 1)));
  }
  const passed = kind === "steps" ? list.split(",").filter((epoch) => Math.floor(step / stepsAnEpoch) >= Number(epoch)).length : 0;
  return Array.from({ length: passed }).reduce((product) => product * Number(factor), 1);
}

function betaFactor(schedule, { step, stepsAnEpoch, epochs }) {
  const [kind, number] = schedule.split(":");
  if (kind === "linear") {
    return Math.min(step / Math.max(number * stepsAnEpoch, 1), 1);
  }
  const part = (step / Math.max(stepsAnEpoch * epochs, 1)) * number;
  return kind === "cyclical" ? Math.min((part - Math.floor(part)) * 2, 1) : 1;
}

// Steps of an epoch (from 0) of n examples, the first of which is step `first` of the run (src/train/schedule.rs).
export function trainingSteps(host, n, epoch, first) {
  const order = orderKeys(host.seed, epoch);
  const stepsAnEpoch = Math.ceil(n / host.batch);
  return Array.from({ length: stepsAnEpoch }, (_, at) => {
    const index = first + at;
    const place = { step: index, stepsAnEpoch, epochs: host.epochs };
    const rate = host.lr * rateFactor(host.lr_schedule, place);
    // 1 - beta^t without cancellation.
    const correction = (beta) => -Math.expm1((index + 1) * Math.log(beta));
    const scalars = {
      "adam.step-size": rate / correction(host.beta1),
      "adam.second-scale": 1 / Math.sqrt(correction(host.beta2)),
      "adam.decay": 1 - rate * host.weight_decay,
      beta: host.beta * betaFactor(host.beta_schedule, place),
      rate,
    };
    return { index, first: at * host.batch, rows: Math.min(host.batch, n - at * host.batch), seed: host.seed, order, scalars };
  });
}

export class Training {
  paused = false;
  #chunk = 1;
  #submissions = MAX_SUBMISSIONS;

  constructor(device, programs, { manifest, values }) {
    this.manifest = manifest;
    this.recordings = programs;
    // Inputs of the program that draws the model: images or latents, and conditions.
    const [x, condition] = [values["preview.images"], values["preview.conditions"]];
    const drawn = x ? { x } : { z: standardNormals(manifest.preview, manifest.latent, manifest.host.seed) };
    this.previewed = { ...drawn, ...(condition && { condition }) };
    this.sets = { train: set(manifest.train, values, "train"), held_out: set(manifest.held_out, values, "held_out") };
    this.data = manifest.header.data;
    const windows = Object.values(this.sets).flatMap(({ window, parts }) => parts.map(({ values, width }) => {
      return new values.constructor(window * width);
    }));
    this.session = new Session(device, windows);
    this.first = values.parameters;
    this.begin();
  }

  begin() {
    this.state = { step: 0, epoch: 0, "best-test-loss": 0, "best-epoch": 0 };
    this.#beginEpoch();
    this.epochs = [];
    this.failed = false;
  }

  #beginEpoch() {
    this.within = { steps: 0, sums: this.manifest.terms.map(() => 0), rows: 0 };
  }

  async load() {
    const load = (name) => Promise.all(this.recordings[name].map((recording) => this.session.load(recording)));
    this.programs = { training: await load("training"), evaluation: await load("evaluation"), preview: await load("preview") };
    this.session.write("parameters", this.first);
  }

  // Trains on other pictures, each a list of bytes, from the start: every tenth is held out.
  use(images) {
    const { host, takes_pictures: takes } = this.manifest;
    if (!takes) {
      throw new Error("The model's data are numbers on a scale of their own, which pictures do not have: export a page of a run on pictures.");
    }
    const held = images.filter((_, at) => at % 10 === 9);
    const train = images.filter((_, at) => at % 10 !== 9);
    if (train.length < host.batch || held.length === 0) {
      const least = Math.max(10, Math.ceil(host.batch / 0.9));
      throw new Error(`${images.length} pictures: a batch has ${host.batch}, and every tenth is held out: give ${least} or more.`);
    }
    for (const [set, rows] of [[this.sets.train, train], [this.sets.held_out, held]]) {
      const [part] = set.parts;
      const values = new Uint8Array(rows.length * part.width);
      rows.forEach((row, at) => values.set(row, at * part.width));
      Object.assign(set, { count: rows.length, parts: [{ ...part, values }] });
    }
    const all = [this.sets.train, this.sets.held_out].map(({ parts }) => parts[0].values);
    this.data = { train: train.length, validation: 0, test: held.length, crc32: crc32(all) };
    this.begin();
    const zeros = new Float32Array(this.manifest.length);
    this.#write([this.first, ...this.manifest.arenas.slice(1).map(() => zeros)]);
    return held;
  }

  // Trains to the end of the epoch, or until it is paused: whether the epoch was ended. `report` hears of each submission.
  async epoch(report) {
    const before = this.state.step - this.within.steps;
    const steps = trainingSteps(this.manifest.host, this.sets.train.count, this.state.epoch, before);
    const { train, held_out: held } = this.sets;
    await this.#run(this.programs.training, train, steps.slice(this.within.steps), true, (part, rows, seconds) => {
      const losses = rows.map((row) => this.manifest.columns[0].map((column) => row[column]));
      losses.forEach((terms, at) => this.#add(terms, part[at]));
      report({ steps: part, losses, seconds });
      return this.paused;
    });
    if (this.within.steps < steps.length) {
      return false;
    }
    const [trained, test] = [this.mean(), await this.evaluate(held)];
    const { epoch, "best-test-loss": best, "best-epoch": had } = this.state;
    const better = !(this.manifest.ranks && had > 0 && best <= test[0]);
    Object.assign(this.state, { epoch: epoch + 1, ...(better && { "best-test-loss": test[0], "best-epoch": epoch + 1 }) });
    this.#beginEpoch();
    this.epochs.push({ epoch: epoch + 1, train: trained, test });
    return true;
  }

  // Runs programs on steps, as many a submission as take about the target; `each` hears of each, and may end the run behind those that are
  // under way.
  async #run(programs, set, steps, isShuffled, each) {
    const waiting = [];
    let [next, last, stopped] = [0, performance.now(), false];
    try {
      while (waiting.length > 0 || (next < steps.length && !stopped)) {
        if (next < steps.length && !stopped && waiting.length < IN_FLIGHT) {
          const part = steps.slice(next, next + Math.min(this.#chunk, set.window / set.batch));
          this.#upload(set, part, isShuffled);
          waiting.push({ part, rows: this.session.run(programs, part, this.#submissions) });
          next += part.length;
          continue;
        }
        const { part, rows } = waiting.shift();
        const recorded = await rows;
        const now = performance.now();
        const fitting = (TARGET * part.length) / Math.max(now - last, 1e-3);
        this.#chunk = Math.max(1, Math.min(Math.floor(fitting), 2 * this.#chunk, programs[0].recording.step.rows));
        this.#submissions = Math.min(Math.ceil(1 / fitting), MAX_SUBMISSIONS);
        stopped = each(part, recorded, (now - last) / 1000) || stopped;
        last = now;
      }
    } catch (error) {
      this.failed = true; // what was under way moved the weights, and is not counted
      throw error;
    } finally {
      await Promise.allSettled(waiting.map(({ rows }) => rows));
    }
  }

  // Whether the run has all its epochs, or its patience is over.
  get done() {
    const { epoch, "best-epoch": best } = this.state;
    const { epochs, patience } = this.manifest.host;
    return epoch >= epochs || (patience !== null && epoch > 0 && epoch >= best + patience);
  }

  // The mean losses of the epoch's steps so far.
  mean() {
    return this.within.sums.map((sum) => sum / Math.max(this.within.rows, 1));
  }

  #add(terms, { index, rows }) {
    this.#check(terms, `Step ${index}`);
    terms.forEach((value, at) => (this.within.sums[at] += value * rows));
    this.within.steps += 1;
    this.within.rows += rows;
    this.state.step += 1;
  }

  // Throws where a term is not finite; the loss is named last.
  #check(terms, place) {
    const wrong = [...terms.keys()].slice(1).concat(0).find((at) => !Number.isFinite(terms[at]));
    if (wrong !== undefined) {
      const why = `${this.manifest.terms[wrong]} is ${terms[wrong]}, it must be finite`;
      throw new Error(`${place}: ${why}. A lower --lr, or --clip-norm, may help: export such a page, or drop a checkpoint from before.`);
    }
  }

  // The mean losses over what is held out. All of its steps are step 0.
  async evaluate({ count, batch } = this.sets.held_out) {
    const { seed, beta } = this.manifest.host;
    const steps = Array.from({ length: Math.ceil(count / batch) }, (_, at) => {
      const [first, rows] = [at * batch, Math.min(batch, count - at * batch)];
      return { index: 0, first, rows, seed, order: new Array(8).fill(0), scalars: { beta } };
    });
    const sums = this.manifest.terms.map(() => 0);
    await this.#run(this.programs.evaluation, this.sets.held_out, steps, false, (part, rows) => {
      rows.forEach((row, step) => this.manifest.columns[1].forEach((column, term) => (sums[term] += row[column] * part[step].rows)));
      return false;
    });
    const means = sums.map((sum) => sum / count);
    try {
      this.#check(means, `After epoch ${this.state.epoch + 1}, of what is held out`);
    } catch (error) {
      this.failed = true;
      throw error;
    }
    return means;
  }

  // Brings the batches of some steps to the device, one behind another; rows past the end repeat the last.
  #upload({ batch, count, parts }, steps, isShuffled) {
    const rows = steps.flatMap(({ first, order }) => Array.from({ length: batch }, (_, row) => {
      const position = Math.min(first + row, count - 1);
      return isShuffled ? shuffled(position, count, order) : position;
    }));
    for (const { index, values, width } of parts) {
      const gathered = new values.constructor(rows.length * width);
      rows.forEach((row, at) => gathered.set(values.subarray(row * width, (row + 1) * width), at * width));
      this.session.writeData(index, gathered);
    }
  }

  // Pictures of the model as it is: of the same latents or examples each time.
  async preview() {
    const [images] = await this.session.compute(this.programs.preview[0], this.previewed, ["mean"], this.manifest.preview);
    return images;
  }

  // A file that `vae-gpu train --resume` goes on from. Nothing may be under way.
  async checkpoint() {
    const { header, arenas } = this.manifest;
    const state = { ...this.state, ...(this.within.steps > 0 && { within: { ...this.within, sums: [...this.within.sums] } }) };
    const values = await this.session.read(arenas.map(({ name }) => name));
    return writeCheckpoint(this.manifest, { ...header, state, data: this.data }, values);
  }

  // Goes on from a checkpoint's file: whether it has the data that are here. Throws where it is of another model or of other training.
  resume(bytes) {
    const { header, values } = readCheckpoint(this.manifest, bytes);
    const { within, ...state } = header.state;
    const { epochs, batch } = this.manifest.host;
    const steps = Math.ceil(this.sets.train.count / batch);
    if (state.epoch >= epochs) {
      const command = `vae-gpu train --resume FILE --epochs ${2 * state.epoch}`;
      throw new Error(`The checkpoint has ${state.epoch} epochs, this page trains ${epochs}: go on with ${command}, or export a page of a longer run.`);
    }
    if ((within?.steps ?? 0) > steps) {
      throw new Error(`The checkpoint is ${within.steps} steps into an epoch: the data here give ${steps}. Drop the data that it had first.`);
    }
    this.begin();
    Object.assign(this.state, state);
    Object.assign(this.within, within);
    this.#write(values);
    return JSON.stringify(header.data) === JSON.stringify(this.data);
  }

  #write(values) {
    this.manifest.arenas.forEach(({ name }, at) => this.session.write(name, values[at]));
  }
}

// A set of examples: its values by data set of the session, and the rows of a batch.
function set({ batch, window, count, parts }, values, name) {
  const part = ({ index, width, name: part }) => ({ index, width, values: values[`${name}.${part}`] });
  return { batch, count, window: window * batch, parts: parts.map(part) };
}

// The checksum of lists of bytes, one behind another.
function crc32(lists) {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    return Array.from({ length: 8 }).reduce((word) => (word & 1 ? (word >>> 1) ^ 0xedb88320 : word >>> 1), byte);
  });
  const step = (sum, byte) => (sum >>> 8) ^ table[(sum ^ byte) & 255];
  return (lists.reduce((sum, bytes) => bytes.reduce(step, sum), 0xffffffff) ^ 0xffffffff) >>> 0;
}
