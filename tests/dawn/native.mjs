// What pages are tested with: small runs of the command line on made-up pictures, the pages that are exported of them, and arrays.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const STEPS = 20;

// Dense, convolutional and conditional models. What batch norm follows has gradients of 0 but for rounding, which Adam makes steps of its
// full size: losses of devices part after a few steps, so that its model, whose running statistics are state, has but six.
export const CASES = [
  {
    name: "dense", size: [28, 28, 1], count: 710,
    options: ["--hidden", "64", "--latent", "6", "--batch-size", "64", "--lr-schedule", "steps:1:0.5", "--weight-decay", "0.01"],
  },
  {
    name: "conv-64", size: [64, 64, 3], count: 178,
    options: ["--conv", "8,16", "--hidden", "32", "--latent", "5", "--batch-size", "8", "--loss", "gaussian", "--augment", "flip", "--beta-schedule", "cyclical:2"],
  },
  {
    name: "batch-norm", size: [16, 16, 1], count: 106,
    options: ["--conv", "8,16", "--norm", "batch", "--latent", "1", "--batch-size", "32"],
  },
  {
    name: "conditional", size: [28, 28, 1], count: 720,
    options: [
      "--condition", "label", "--hidden", "48", "--latent", "4", "--batch-size", "32", "--binarise", "bernoulli", "--clip-norm", "50",
      "--lr-schedule", "cosine", "--beta-schedule", "linear:1",
    ],
  },
  {
    name: "number", size: [16, 16, 1], count: 106,
    options: ["--condition", "number", "--hidden", "20", "--latent", "2", "--batch-size", "32", "--binarise", "threshold"],
  },
  { name: "ae", size: [16, 16, 1], count: 106, options: ["--model", "ae", "--hidden", "20", "--latent", "3", "--batch-size", "32"] },
  { name: "gan", size: [8, 8, 1], count: 106, options: ["--model", "gan", "--hidden", "16", "--latent", "3", "--batch-size", "32"] },
];

// Pictures of three classes in folders, as PGM or PPM: a bar across each, whose place tells the class, on noise.
function writePictures(folder, [height, width, channels], count) {
  for (let at = 0; at < count; at += 1) {
    const label = at % 3;
    const pixels = Buffer.alloc(height * width * channels);
    for (let index = 0; index < pixels.length; index += 1) {
      const row = Math.floor(index / (width * channels));
      const noise = Math.imul(at * pixels.length + index + 1, 0x9e3779b1) >>> 26;
      pixels[index] = Math.abs(row - (1 + label) * (height / 4) - (at % 5)) < height / 10 ? 250 - noise : noise;
    }
    const header = `P${channels === 3 ? 6 : 5}\n${width} ${height}\n255\n`;
    mkdirSync(`${folder}/${label}`, { recursive: true });
    writeFileSync(`${folder}/${label}/${at}.${channels === 3 ? "ppm" : "pgm"}`, Buffer.concat([Buffer.from(header), pixels]));
  }
}

// Runs a command, on the CPU, and gives what it says.
export function vaeGpu(binary, args) {
  return execFileSync(binary, args, { encoding: "utf8", env: { ...process.env, VAE_GPU_PROFILE: "none" }, stdio: ["ignore", "pipe", "pipe"] });
}

// Trains a case for two epochs, and exports its pages after the first: the files' folder, and what each epoch and step lost.
export function prepare(binary, folder, { name, size, count, options }) {
  const [data, run] = [`${folder}/${name}-data`, `${folder}/${name}`];
  writePictures(data, size, count);
  const train = ["train", "--data", data, ...options, "--device", "cpu", "--quiet", "--seed", "3"];
  vaeGpu(binary, [...train, "--epochs", "2", "--trace-steps", `${STEPS}`, "--out", run]);
  vaeGpu(binary, ["export", run, "--format", "web", "--device", "cpu", "--checkpoint", "last"]);
  vaeGpu(binary, ["export", run, "--format", "web", "--train"]);
  const lines = (file) => readFileSync(`${run}/${file}`, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  return { run, data, epochs: lines("metrics.jsonl"), steps: lines("steps.jsonl"), options };
}

// The condition of so many examples that is label 0, `[count, width]`; empty where the model has none.
export function conditions({ condition }, count) {
  const one = condition?.classes?.map((_, at) => Number(at === 0)) ?? (condition ? [-condition.number.mean / condition.number.deviation] : []);
  return Float32Array.from({ length: count }).reduce((all) => [...all, ...one], []);
}

// The native command's pictures of codes `[count, latent]`, of label 0 where the model has labels.
export function decoded(binary, { run }, codes, latent, isConditional) {
  writeNpy(`${run}/codes.npy`, codes, latent);
  const label = isConditional ? ["--label", "0"] : [];
  vaeGpu(binary, ["decode", run, `${run}/codes.npy`, "--checkpoint", "last", "--device", "cpu", "--npy", `${run}/images.npy`, ...label]);
  return readNpy(`${run}/images.npy`);
}

function writeNpy(file, values, columns) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${values.length / columns}, ${columns}), }`;
  const header = Buffer.from(text.padEnd(117) + "\n", "latin1");
  const start = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length % 256, header.length >> 8]);
  writeFileSync(file, Buffer.concat([start, header, Buffer.from(values.buffer)]));
}

export function readNpy(file) {
  const bytes = readFileSync(file);
  const from = 10 + bytes.readUInt16LE(8);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + bytes.length));
}

// How far values are off, as a part of the largest.
export function farthest(values, wanted) {
  if (values.length !== wanted.length || wanted.length === 0) {
    return Infinity;
  }
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return values.reduce((most, value, at) => Math.max(most, Number.isFinite(value) ? Math.abs(value - wanted[at]) / largest : Infinity), 0);
}

// Codes that any model takes.
export const someCodes = (count, latent) => Float32Array.from({ length: count * latent }, (_, at) => 1.5 * Math.sin(1 + at * 0.7));
