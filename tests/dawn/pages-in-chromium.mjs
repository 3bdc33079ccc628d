// Opens exported pages in Debian's Chromium, on SwiftShader, uses them as a person would, and compares what they compute with the
// command line's CPU path.
//
//   apt-get install chromium
//   (cd tests/dawn && node pages-in-chromium.mjs BINARY [RUN [FOLDER]])
//
// RUN is one whose explorer is timed, the default run for the figures in benches/results; pictures of its page go to FOLDER.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Chromium } from "./chromium.mjs";
import { CASES, conditions, decoded, farthest, prepare, someCodes, vaeGpu } from "./native.mjs";

const TOLERANCE = 1e-5;
const RESUMED = 1e-3;

const [binary, run, pictures] = process.argv.slice(2).map((path) => resolve(path));
const folder = mkdtempSync(join(tmpdir(), "pages-"));
const browser = new Chromium();
let failed = 0;
let checks = 0;

function check(what, off, allowed) {
  const fits = off <= allowed;
  checks += 1;
  failed += fits ? 0 : 1;
  console.log(`${fits ? "ok" : "FAILED"}  ${what}: ${off} of at most ${allowed}`);
}

// Nothing was asked of a network, and nothing said.
async function closeQuiet(tab, what) {
  check(`${what}: requests to a network`, tab.requests.length, 0);
  check(`${what}: errors and warnings${tab.said.map((text) => `, "${text}"`).join("")}`, tab.said.length, 0);
  await tab.close();
}

const open = async (file, options) => {
  const tab = await browser.open(`file://${file}`, options);
  await tab.until("globalThis.vae", 120);
  return tab;
};
const list = (values) => `Float32Array.of(${Array.from(values).join()})`;
const text = (id) => `document.getElementById("${id}").textContent`;
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function explore(name, native) {
  const tab = await open(`${native.run}/export/explorer.html`);
  const latent = await tab.evaluate("vae.manifest.latent");
  const condition = await tab.evaluate("vae.manifest.condition");
  const codes = someCodes(20, latent);
  const given = list(conditions({ condition }, 20));
  const images = await tab.evaluate(`vae.model.decode(${list(codes)}, ${given}).then((all) => Array.from(all))`);
  check(`${name}, pictures of codes`, farthest(images, decoded(binary, native, codes, latent, condition !== null)), TOLERANCE);
  await use(tab, name);
  await closeQuiet(tab, `${name}, explorer`);
}

// What a person does: each control moves the latent.
async function use(tab, name) {
  const moved = async (what, act) => {
    const before = await tab.evaluate("vae.z.join()");
    await act();
    const changed = await tab.until(`!vae.showing && vae.z.join() !== "${before}"`, 10).then(() => true, () => false);
    check(`${name}, ${what} moves the latent`, Number(!changed), 0);
  };
  // The middle of an element, scrolled into view.
  const place = async (element) => JSON.parse(await tab.evaluate(`(() => {
    const found = ${element};
    found.scrollIntoView({ block: "center" });
    const { x, y, width, height } = found.getBoundingClientRect();
    return JSON.stringify([x + width / 2, y + height / 2]);
  })()`));
  const mouse = (type, [x, y], more = {}) => tab.send("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons: 1, clickCount: 1, ...more });
  const click = async (element, more) => {
    const at = await place(element);
    await mouse("mousePressed", at, more);
    await mouse("mouseReleased", at, more);
    await wait(0.3);
  };
  const key = async (key) => {
    await tab.send("Input.dispatchKeyEvent", { type: "keyDown", key, code: key });
    await tab.send("Input.dispatchKeyEvent", { type: "keyUp", key, code: key });
    await wait(0.2);
  };
  const first = (id, at = 0) => `document.querySelectorAll("#${id} .tile")[${at}]`;
  await moved("a slider", () => tab.evaluate(`(() => {
    const input = document.querySelector("#sliders input");
    input.value = 1.5;
    input.dispatchEvent(new Event("input"));
  })()`));
  await moved("a click on the map", async () => click(`document.getElementById("map")`, {}));
  await moved("an arrow key on the map", async () => {
    await tab.evaluate(`document.getElementById("map").focus()`);
    await key("ArrowLeft");
  });
  await moved("a click on a sample", () => click(first("samples", 3)));
  await moved("a click on a traversal", () => click(first("traversals", 4)));
  if (!(await tab.evaluate(`document.getElementById("images") !== null`))) {
    return;
  }
  await moved("a click on a test image", () => click(first("images", 2)));
  await moved("a drag to another", async () => {
    const from = await place(first("images", 0));
    const to = await place(first("images", 5));
    await mouse("mousePressed", await place(first("images", 0)));
    await mouse("mouseMoved", from);
    await mouse("mouseMoved", to);
    await wait(0.5);
    await mouse("mouseReleased", to);
    await wait(0.5);
  });
  check(`${name}, steps between two images`, Math.abs((await tab.evaluate(`document.querySelectorAll("#between .tile").length`)) - 9), 0);
  const titles = () => tab.evaluate(`Array.from(document.querySelectorAll("#between canvas"), (canvas) => canvas.toDataURL()).join()`);
  await click(first("images", 1));
  const before = await titles();
  // Some of the thresholded pictures are alike.
  const pixels = (at) => `document.querySelectorAll("#images canvas")[${at}].toDataURL()`;
  const other = await tab.evaluate(`[3, 4, 5, 6, 7].find((at) => ${pixels("at")} !== ${pixels(1)})`);
  await moved("a click with Shift", () => click(first("images", other), { modifiers: 8 }));
  await wait(0.5);
  check(`${name}, a click with Shift shows what lies between`, Number((await titles()) === before), 0);
  await moved("drawing", async () => {
    const [x, y] = await place(`document.getElementById("own")`);
    await mouse("mousePressed", [x - 30, y]);
    for (const by of [-10, 10, 30]) {
      await mouse("mouseMoved", [x + by, y + by]);
    }
    await mouse("mouseReleased", [x + 30, y + 30]);
    await wait(0.5);
  });
  await moved("the way to the middle", () => click(`document.getElementById("middle")`));
}

async function train(name, native) {
  const tab = await open(`${native.run}/export/trainer.html`, { downloads: folder });
  const terms = await tab.evaluate("vae.manifest.terms");
  await tab.evaluate(`{
    globalThis.losses = [];
    const hear = vae.hear;
    vae.hear = (report) => {
      losses.push(...report.losses);
      hear.call(vae, report);
    };
    const add = vae.addEpoch;
    vae.addEpoch = (epoch) => {
      vae.training.paused = true;
      add.call(vae, epoch);
    };
  }`);
  await tab.evaluate(`document.getElementById("run").click()`);
  await tab.until("vae.training.epochs.length === 1 && !vae.running", 300);
  const losses = await tab.evaluate("losses");
  const off = losses.slice(0, native.steps.length).map((step, at) => farthest(step, terms.map((term) => native.steps[at][term])));
  check(`${name}, losses of ${off.length} steps`, off.length > 2 ? Math.max(...off) : Infinity, TOLERANCE);
  await tab.evaluate(`document.getElementById("download").click()`);
  const file = `${folder}/checkpoint.safetensors`;
  for (let tries = 0; tries < 100 && !readdirSync(folder).includes("checkpoint.safetensors"); tries += 1) {
    await wait(0.1);
  }
  const resumed = `${native.run}-resumed`;
  vaeGpu(binary, ["train", "--resume", file, "--data", native.data, "--epochs", "2", "--device", "cpu", "--quiet", "--out", resumed]);
  rmSync(file);
  const line = JSON.parse(readFileSync(`${resumed}/metrics.jsonl`, "utf8").trim().split("\n").at(-1));
  const keys = terms.map((term) => `test_${term}`);
  check(`${name}, resumed by the command line`, farthest(keys.map((key) => line[key]), keys.map((key) => native.epochs[1][key])), RESUMED);
  await closeQuiet(tab, `${name}, trainer`);
}

// A checkpoint that is written while training goes on, pictures that are chosen, and files that are refused.
async function own(native, other) {
  const tab = await open(`${native.run}/export/trainer.html`, { downloads: folder });
  await tab.evaluate(`document.getElementById("run").click()`);
  await tab.until("vae.training.state.step > 2", 60);
  await tab.evaluate("vae.download()");
  await wait(1);
  const file = `${folder}/checkpoint.safetensors`;
  vaeGpu(binary, ["train", "--resume", file, "--data", native.data, "--epochs", "3", "--device", "cpu", "--quiet", "--out", `${folder}/amid`]);
  rmSync(file);
  const lines = readFileSync(`${folder}/amid/metrics.jsonl`, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const same = lines.filter(({ epoch }) => epoch === 2);
  const loss = same.length > 0 ? farthest([same[0].test_loss], [native.epochs[1].test_loss]) : Number(lines.length !== 1);
  check("a checkpoint that is downloaded while it trains, resumed", loss, RESUMED);
  await tab.until("!vae.running && vae.training.done", 60);
  const give = (files) => tab.evaluate(`(async () => {
    const files = await Promise.all(${files});
    await vae.take(files).catch((error) => (document.getElementById("status").textContent = error.message));
    return ${text("status")};
  })()`);
  const picture = `new Promise((done) => {
    const canvas = new OffscreenCanvas(50, 40);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(at % 30, 5, 12, 20);
    canvas.convertToBlob().then((blob) => done(new File([blob], at + ".png")));
  })`;
  const said = (what, text, words) => check(`${what}: "${text}"`, Number(!words.every((word) => text.includes(word))), 0);
  const few = await give(`Array.from({ length: 3 }, (_, at) => ${picture})`);
  said("too few pictures", few, ["3 pictures", "give 72 or more"]);
  said("a text", await give(`[new File(["no picture"], "notes.txt")]`), ["0 pictures"]);
  const many = await give(`[...Array.from({ length: 80 }, (_, at) => ${picture}), new File(["x"], "notes.txt")]`);
  said("80 pictures and a text", many, ["80 pictures", "28x28", "Left out", "notes.txt"]);
  await tab.evaluate(`document.getElementById("run").click()`);
  await tab.until("vae.training.epochs.length > 0", 120);
  await tab.evaluate("vae.running && document.getElementById('run').click()");
  const base64 = readFileSync(`${other.run}/checkpoints/last.safetensors`).toString("base64");
  await tab.until("!vae.running", 60);
  const another = await give(`[new File([Uint8Array.from(atob("${base64}"), (c) => c.charCodeAt(0))], "other.safetensors")]`);
  said("a checkpoint of another model", another, ["other architecture", "--train"]);
  await closeQuiet(tab, "pictures of one's own");
}

// Without WebGPU the page says so, and shows what it has.
async function without(native) {
  const file = `${folder}/without.html`;
  const page = readFileSync(`${native.run}/export/explorer.html`, "utf8");
  writeFileSync(file, page.replace('<script type="module">', '<script type="module">\nObject.defineProperty(navigator, "gpu", { value: undefined });'));
  const tab = await browser.open(`file://${file}`);
  await tab.until(`${text("status")}.includes("Chrome")`, 20);
  check("without WebGPU, still pictures", Number((await tab.evaluate(`document.querySelectorAll("img").length`)) < 3), 0);
  await closeQuiet(tab, "without WebGPU");
}

// Figures of a run's explorer, and pictures of it.
async function measure() {
  const page = `${folder}/explorer.html`;
  vaeGpu(binary, ["export", run, "--format", "web", "--device", "cpu", "--out", page]);
  console.log(`${run}: ${statSync(page).size} bytes`);
  const firsts = [];
  const speeds = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const tab = await open(page);
    firsts.push(await tab.evaluate(`performance.getEntriesByName("first picture")[0].startTime`));
    await wait(1);
    speeds.push(await tab.evaluate(`(async () => {
      let count = 0;
      const began = performance.now();
      while (performance.now() - began < 3000) {
        vae.z[0] = Math.sin(count);
        await vae.show();
        count += 1;
      }
      return (1000 * count) / (performance.now() - began);
    })()`));
    await closeQuiet(tab, "the run's explorer");
  }
  const [first, speed] = [firsts, speeds].map((all) => all.toSorted((a, b) => a - b)[2]);
  console.log(`first picture after ${(first / 1000).toFixed(2)} s, ${speed.toFixed(0)} pictures/s (medians of 5)`);
  mkdirSync(pictures ?? folder, { recursive: true });
  for (const width of [1280, 768, 390]) {
    for (const dark of [false, true]) {
      const tab = await open(page, { width, dark });
      await wait(1.5);
      writeFileSync(`${pictures ?? folder}/${width}${dark ? "-dark" : ""}.png`, await tab.screenshot());
      await tab.close();
    }
  }
}

try {
  const natives = CASES.map((the) => prepare(binary, folder, the));
  for (const [at, native] of natives.entries()) {
    await explore(CASES[at].name, native);
    await train(CASES[at].name, native);
  }
  await own(natives[0], natives[1]);
  await without(natives[0]);
  if (run) {
    await measure();
  }
} finally {
  browser.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${checks - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
