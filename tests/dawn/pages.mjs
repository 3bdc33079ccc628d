// Runs exported pages in Node on Dawn, and compares what they compute with the command line's CPU path.
//
//   (cd tests/dawn && npm ci && node pages.mjs BINARY)
//
// VK_DRIVER_FILES names the Vulkan driver, as for steps.mjs. `pages-in-chromium.mjs` does the same in a browser.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openDevice } from "./dawn.mjs";
import { CASES, conditions, decoded, farthest, prepare, readNpy, someCodes, vaeGpu } from "./native.mjs";
import { drawGaussians, normal } from "../../src/export/web/random.mjs";
import { Model } from "../../src/export/web/model.mjs";
import { unpack } from "../../src/export/web/page.mjs";
import { Training } from "../../src/export/web/training.mjs";

const TOLERANCE = 1e-5;
const RESUMED = 1e-3;

const binary = resolve(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), "pages-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
let failed = 0;
let checks = 0;
const device = await openDevice("vulkan", (error) => check(error.message, 1, 0));

function check(what, off, allowed) {
  const fits = off <= allowed;
  checks += 1;
  failed += fits ? 0 : 1;
  console.log(`${fits ? "ok" : "FAILED"}  ${what}: ${Number(off).toExponential(1)} of at most ${allowed}`);
}

// A page's parts, as a browser finds them by their ids. Its script must be one that Node can read.
function open(file) {
  const html = readFileSync(file, "utf8");
  const start = html.indexOf(">", html.indexOf('<script type="module"')) + 1;
  writeFileSync(`${folder}/script.mjs`, html.slice(start, html.indexOf("</script>", start)));
  execFileSync(process.execPath, ["--check", `${folder}/script.mjs`]);
  return unpack((id) => {
    const start = html.indexOf(">", html.indexOf(` id="${id}"`)) + 1;
    return html.slice(start, html.indexOf("</script>", start));
  });
}

async function explore(name, native) {
  const page = await open(`${native.run}/export/explorer.html`);
  const { latent, condition } = page.manifest;
  const model = new Model(device, page.manifest.programs.software, page);
  for (const count of [1, 40]) {
    const codes = someCodes(count, latent);
    const given = Float32Array.from(conditions(page.manifest, count));
    const wanted = decoded(binary, native, codes, latent, condition !== null);
    check(`${name}, pictures of ${count} codes`, farthest(await model.decode(codes, given), wanted), TOLERANCE);
  }
  // Codes that the command line computed of the same images: the first of those on the map.
  const { images, image_conditions: given, codes } = page.values;
  if (images) {
    const own = await model.encode(images, given ?? new Float32Array(0));
    check(`${name}, codes of test images`, farthest(own, codes.subarray(0, own.length)), TOLERANCE);
  } else {
    const said = await model.encode(new Float32Array(0)).catch((error) => error.message);
    check(`${name}: "${said}"`, Number(!said.includes("no encoder")), 0);
  }
  for (const { name: source } of page.manifest.sources) {
    const label = condition ? ["--label", "0"] : [];
    vaeGpu(binary, ["sample", native.run, "--checkpoint", "last", "--from", source, "-n", "5", "--seed", "8", "--device", "cpu",
      "--out", `${folder}/s.png`, "--npy", `${native.run}/images.npy`, ...label]);
    const drawn = await model.decode(model.draw(source, 5, 8), Float32Array.from(conditions(page.manifest, 5)));
    check(`${name}, samples from the ${source}`, farthest(drawn, readNpy(`${native.run}/images.npy`)), TOLERANCE);
  }
}

// A page's training at its first step.
async function begun(page) {
  const training = new Training(device, page.manifest.programs.software, page);
  await training.load();
  return training;
}

async function train(name, native) {
  const page = await open(`${native.run}/export/trainer.html`);
  const { terms } = page.manifest;
  const training = await begun(page);
  const wanted = native.steps.map((step) => terms.map((term) => step[term]));
  const losses = [];
  await training.epoch((report) => {
    losses.push(...report.losses);
    training.paused = losses.length > 0;
  });
  // In the middle of an epoch, by way of a file.
  const paused = await (await training.checkpoint()).arrayBuffer();
  const again = await begun(page);
  again.resume(paused);
  await again.epoch((report) => losses.push(...report.losses));
  const file = `${folder}/${name}.safetensors`;
  writeFileSync(file, Buffer.from(await (await again.checkpoint()).arrayBuffer()));
  await again.epoch((report) => losses.push(...report.losses));
  const off = wanted.map((step, at) => farthest(losses[at], step)); // each relative to the step's largest term, its loss
  check(`${name}, losses of ${off.length} steps`, losses.length >= off.length && off.length > 4 ? Math.max(...off) : Infinity, TOLERANCE);
  const [first, second] = native.epochs;
  for (const set of ["train", "test"]) {
    const held = terms.map((term) => first[`${set}_${term}`]);
    check(`${name}, ${set} losses of an epoch`, farthest(again.epochs[0][set], held), 10 * TOLERANCE);
  }

  const run = `${folder}/${name}-resumed`;
  vaeGpu(binary, ["train", "--resume", file, "--data", native.data, "--epochs", "2", "--device", "cpu", "--quiet", "--out", run]);
  // Pictures of the model as it begins: those of a page that was not trained.
  const [drawn, others] = [await again.preview(), await (await begun(page)).preview()];
  check(`${name}, ${drawn.length / page.manifest.size.reduce((a, b) => a * b)} pictures that change`, Number(farthest(drawn, others) < 1e-4), 0);
  const [line, ...rest] = readFileSync(`${run}/metrics.jsonl`, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const keys = ["train", "test"].flatMap((set) => terms.map((term) => `${set}_${term}`));
  const resumed = farthest(keys.map((key) => line[key]), keys.map((key) => second[key]));
  check(`${name}, resumed by the command line, losses of epoch ${line.epoch}`, rest.length === 0 && line.epoch === 2 ? resumed : Infinity, RESUMED);
  return { page, checkpoint: readFileSync(file) };
}

// What is refused, and how.
function refuses(what, run, words) {
  let said = "nothing was refused";
  try {
    run();
  } catch (error) {
    said = error.message;
  }
  check(`${what}: "${said}"`, words.every((word) => said.includes(word)) ? 0 : 1, 0);
}

const trained = [];
for (const the of CASES) {
  const native = prepare(binary, folder, the);
  await explore(the.name, native);
  trained.push(await train(the.name, native));
}
const [dense, conv] = trained;
const training = await begun(dense.page);
const bytes = (buffer) => buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.length);
refuses("a checkpoint of another model", () => training.resume(bytes(conv.checkpoint)), ["other architecture", "--train"]);
refuses("another format", () => {
  const text = dense.checkpoint.toString("latin1").replace("vae-gpu/5", "vae-gpu/9");
  training.resume(bytes(Buffer.from(text, "latin1")));
}, ["format is", "vae-gpu/9"]);
training.manifest.host.epochs = 1;
refuses("a checkpoint of a run that is over", () => training.resume(bytes(dense.checkpoint)), ["has 1 epochs", "--epochs 2"]);
refuses("half a checkpoint", () => training.resume(bytes(dense.checkpoint.subarray(0, 5000))), ["not there, or not whole"]);
refuses("a text", () => training.resume(bytes(Buffer.from("not a checkpoint"))), ["no safetensors file"]);
// Of probabilities, the standard normal's quantiles.
for (const [share, quantile] of [[0.3, -0.5244005], [0.999, 3.0902323], [1e-5, -4.2648908]]) {
  check(`the quantile of ${share}`, Math.abs(normal((share * 2 ** 24) << 8) - quantile), 2e-3);
}
check("normals of the extremes", Math.abs(normal(0) + normal(0xffffffff)), 0);
check("draws of a component that is last", drawGaussians({ weights: [0, 0], means: [1, 2], factors: new Float64Array(2) }, 1, 1, 0)[0] - 2, 0);
console.log(`${checks - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
