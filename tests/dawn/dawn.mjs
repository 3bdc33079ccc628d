// Dawn, the WebGPU implementation of Chrome and Edge, with WebGPU's globals as a browser has them. To be imported first.

import { create, globals } from "webgpu";

Object.assign(globalThis, globals);

// A device of a back-end, `null` or `vulkan`, at WebGPU's default limits; with subgroups, where it has them. `refused` is given each
// error that nothing else caught.
export async function openDevice(backend, refused) {
  // Without a lasting reference it is collected, and the process aborts.
  globalThis.gpu = create([`backend=${backend}`]);
  const adapter = await globalThis.gpu.requestAdapter();
  if (!adapter) {
    throw new Error(`Dawn has no adapter of its back-end ${backend}`);
  }
  const requiredFeatures = adapter.features.has("subgroups") ? ["subgroups"] : [];
  const device = await adapter.requestDevice({ requiredFeatures });
  device.addEventListener("uncapturederror", ({ error }) => refused(error));
  console.log(`${adapter.info.vendor} ${adapter.info.description} (${backend}), ${requiredFeatures.join() || "no features"}`);
  return device;
}
