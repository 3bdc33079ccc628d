// Training in a page beside TensorFlow.js's in the same browser, in turns: Debian's Chromium on SwiftShader, or what CHROMIUM names.
//
//   vae-gpu export --format web --train --out trainer.html
//   (cd benches/peers/web && npm ci --ignore-scripts && node compare.mjs trainer.html [SECONDS] [TURNS])

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Chromium } from "../../../tests/dawn/chromium.mjs";

const BATCH = 128;
const [page, seconds = "10", turns = "5"] = process.argv.slice(2);
const browser = new Chromium();
const ours = await browser.open(`file://${resolve(page)}`);
const theirs = await browser.open(`file://${fileURLToPath(new URL("tfjs.html", import.meta.url))}`);
await ours.until("globalThis.vae", 120);
await theirs.until("globalThis.ready === 'webgpu'", 120);

// Images a second over steps that take about so long, each part awaited; no part comes to the end of an epoch.
const timed = (steps) => `(async () => {
  let count = 0;
  const began = performance.now();
  while (performance.now() - began < ${1000 * Number(seconds)}) {
    count += await (${steps})();
  }
  return (1000 * ${BATCH} * count) / (performance.now() - began);
})()`;
const our = timed(`async () => {
  const { training } = globalThis.vae;
  let count = 0;
  training.paused = false;
  const until = performance.now() + 2000;
  await training.epoch(({ steps }) => {
    count += steps.reduce((sum, { rows }) => sum + rows, 0) / 128;
    training.paused ||= performance.now() > until;
  });
  return count;
}`);
const their = timed("async () => (await globalThis.steps(8)).length");

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
await ours.evaluate(our);
await theirs.evaluate(their);
const speeds = [];
for (let turn = 0; turn < Number(turns); turn += 1) {
  speeds.push([await ours.evaluate(our), await theirs.evaluate(their)]);
  const [mine, other] = speeds.at(-1);
  console.log(`turn ${turn}: ${mine.toFixed(0)} and ${other.toFixed(0)} images/s, ${(mine / other).toFixed(2)}`);
}
const ratios = speeds.map(([mine, other]) => mine / other);
console.log(`vae-gpu ${median(speeds.map(([mine]) => mine)).toFixed(0)} images/s, tfjs ${median(speeds.map(([, other]) => other)).toFixed(0)}: ` +
  `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`);
browser.close();
