// Makes a pipeline of every kernel by Tint, Dawn's compiler, at WebGPU's default limits. No adapter is needed.
//
//   cargo bench --bench shaders -- --wgsl FOLDER
//   (cd tests/dawn && npm ci && node kernels.mjs FOLDER)

import { readFileSync } from "node:fs";
import { openDevice } from "./dawn.mjs";
import { makePipeline } from "../../src/export/web/recording.mjs";

const [folder] = process.argv.slice(2);
const device = await openDevice("null", (error) => {
  throw error;
});
const kernels = JSON.parse(readFileSync(`${folder}/kernels.json`));
let refused = 0;
for (const kernel of kernels) {
  device.pushErrorScope("validation");
  const thrown = await makePipeline(device, kernel).then(() => null, (error) => error);
  const error = (await device.popErrorScope()) ?? thrown;
  if (error) {
    refused += 1;
    console.error(`${kernel.name}: ${error.message}`);
  }
}
console.log(`${kernels.length} kernels, ${refused} refused`);
process.exit(refused === 0 && kernels.length > 0 ? 0 : 1);
