// Trains from recordings on Dawn's Vulkan back-end, and compares what each step records with the CPU path's.
//
//   cargo run --release --example recordings -- FOLDER
//   (cd tests/dawn && npm ci && node steps.mjs FOLDER/*)
//
// VK_DRIVER_FILES names the Vulkan driver: Chromium's SwiftShader, or lavapipe, of which Dawn takes Mesa 25.0 and does not take 22.3.

import { readFileSync } from "node:fs";
import { openDevice } from "./dawn.mjs";
import { Session } from "../../src/export/web/recording.mjs";

// Of a step's loss, how far it and its terms may be off: f32 beside f64 over ten steps. The README promises it of 1000.
const TOLERANCE = 1e-5;

const errors = [];
const device = await openDevice("vulkan", (error) => errors.push(error.message));

// What the steps of a workload record, by the recordings of these files.
async function train(work, read, files) {
  const session = new Session(device, work.data.map(read));
  const programs = [];
  for (const file of files) {
    programs.push(await session.load(JSON.parse(read(file).toString())));
  }
  for (const [arena, file] of Object.entries(work.arenas)) {
    session.write(arena, read(file));
  }
  const rows = await session.run(programs, work.steps);
  const columns = programs.flatMap(({ recording }) => recording.metrics);
  return { columns, dispatches: programs.flatMap((program) => program.dispatches).length, rows };
}

let failed = 0;
for (const folder of process.argv.slice(2)) {
  const read = (file) => readFileSync(`${folder}/${file}`);
  const work = JSON.parse(read("work.json"));
  for (const [adapters, files] of Object.entries(work.recordings)) {
    const { columns, dispatches, rows } = await train(work, read, files);
    let worst = { off: 0 };
    rows.forEach((row, step) => {
      row.forEach((value, column) => {
        const wanted = work.metrics[step][column];
        const off = Number.isFinite(value) ? Math.abs(value - wanted) / Math.abs(work.metrics[step][0]) : Infinity;
        worst = off <= worst.off ? worst : { off, step, name: columns[column], value, wanted };
      });
    });
    const { off, step, name, value, wanted } = worst;
    const fits = off <= TOLERANCE && rows.length > 0 && rows.every((row, at) => row.length === work.metrics[at].length);
    const losses = `${columns[0]} ${rows.at(0)[0]} to ${rows.at(-1)[0]}`;
    console.log(`${folder}, for ${adapters} adapters: ${dispatches} dispatches a step, ${rows.length} steps, ${losses}`);
    console.log(`  farthest off: ${name} of step ${step} is ${value}, wanted ${wanted}: ${off.toExponential(1)} of the loss`);
    failed += fits ? 0 : 1;
  }
}
errors.forEach((error) => console.error(error));
console.log(failed || errors.length ? `FAILED: ${failed} runs are more than ${TOLERANCE} off, ${errors.length} errors` : "passed");
process.exit(failed || errors.length || process.argv.length < 3 ? 1 : 0);
