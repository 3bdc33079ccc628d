// A trained model on a device: codes, images and draws, as many as are asked for.

import { Session } from "./recording.mjs";
import { drawGaussians, standardNormals } from "./random.mjs";

export class Model {
  #session;
  #programs = {};
  #recordings;

  constructor(device, programs, { manifest, values }) {
    this.latent = manifest.latent;
    this.features = manifest.size.reduce((product, extent) => product * extent);
    this.sources = manifest.sources.map(({ name, components }) => ({ name, components, values }));
    this.#session = new Session(device);
    this.#recordings = programs;
    this.parameters = values.parameters;
  }

  // Images `[count, features]` of codes `[count, latent]` and their conditions `[count, width]`, which a model may have.
  decode(z, condition) {
    return this.#map("decode", z.length / this.latent, { z, condition }, "mean");
  }

  // Codes of images: their posteriors' means.
  async encode(x, condition) {
    if (!this.#recordings.encode) {
      throw new Error("The model has no encoder: its images have no codes. Draw samples, or export a VAE or an autoencoder.");
    }
    return this.#map("encode", x.length / this.features, { x, condition }, "latent");
  }

  // The first latents of a seed from a source, `[count, latent]`.
  draw(source, count, seed) {
    const { name, components, values } = this.sources.find(({ name }) => name === source);
    if (!components) {
      return standardNormals(count, this.latent, seed);
    }
    const of = (what) => values[`${name}.${what}`];
    return drawGaussians({ weights: of("weights"), means: of("means"), factors: of("factors") }, count, this.latent, seed);
  }

  async #map(name, count, inputs, output) {
    // One, or many at a time.
    const [one, many] = this.#recordings[name];
    const recording = count === 1 ? one : many;
    const program = await (this.#programs[`${name} ${count === 1}`] ??= this.#load(recording));
    const parts = [];
    const [{ binding }] = recording.outputs.filter((port) => port.name === output);
    const widths = recording.inputs.map((port) => [port.name, inputs[port.name].length / count, port.binding.bytes / 4]);
    const rows = widths[0][2] / widths[0][1];
    for (let first = 0; first < count; first += rows) {
      const here = Math.min(rows, count - first);
      const given = widths.map(([name, width, all]) => {
        const values = new Float32Array(all);
        values.set(inputs[name].subarray(first * width, (first + here) * width));
        return [name, values];
      });
      const width = binding.bytes / 4 / rows;
      parts.push(this.#session.compute(program, Object.fromEntries(given), [output], here).then(([all]) => all.subarray(0, here * width)));
    }
    const all = await Promise.all(parts);
    const joined = new Float32Array(all.reduce((sum, part) => sum + part.length, 0));
    all.reduce((end, part) => (joined.set(part, end), end + part.length), 0);
    return joined;
  }

  async #load(recording) {
    const program = await this.#session.load(recording);
    this.#session.write("parameters", this.parameters);
    return program;
  }
}
