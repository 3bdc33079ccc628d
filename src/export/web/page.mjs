// What a page holds, and a device to run it on.

// The page's manifest, and its values by name: `text(id)` gives what the page's element of this id holds.
export async function unpack(text) {
  const manifest = JSON.parse(text("manifest"));
  const pieces = Array.from({ length: manifest.pieces }, (_, piece) => bytesOf(text(`values-${piece}`)));
  const stream = new Blob(pieces).stream().pipeThrough(new DecompressionStream("gzip"));
  const all = await new Response(stream).arrayBuffer();
  const types = { u8: Uint8Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array };
  const values = {};
  for (const { name, dtype, offset, bytes } of manifest.values) {
    const part = all.slice(offset, offset + bytes);
    values[name] = dtype === "f16" ? Float32Array.from(new Uint16Array(part), wide) : new types[dtype](part);
  }
  return { manifest, values };
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    bytes[at] = text.charCodeAt(at);
  }
  return bytes;
}

// A finite number in half precision.
function wide(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

// A device whose buffers may be as large as these programs need, and the programs for its kind of adapter. `fail` hears of what it is lost
// by, and of what it refuses.
export async function openDevice(gpu, manifest, fail) {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    const which = "Chrome and Edge 113, Safari 26, Firefox 141 on Windows and 145 on macOS, or later";
    throw new Error(`This browser gives the page no GPU: WebGPU is in ${which}; elsewhere, and where the GPU is blocked, it may be off.`);
  }
  const programs = manifest.programs[kindOf(adapter.info ?? {})] ?? manifest.programs.hardware;
  const largest = Object.values(programs).flat().flatMap(({ buffers }) => buffers).reduce((most, { bytes }) => Math.max(most, bytes), 2 ** 27);
  const requiredLimits = {};
  for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"]) {
    if (largest > adapter.limits[limit]) {
      throw new Error(`The model has a buffer of ${largest} bytes: this GPU takes ${adapter.limits[limit]} at most. Export a smaller model.`);
    }
    requiredLimits[limit] = largest;
  }
  const device = await adapter.requestDevice({ requiredLimits });
  device.addEventListener("uncapturederror", ({ error }) => fail(error.message));
  device.lost.then(({ message }) => fail(`The GPU was lost: ${message} Load the page anew.`));
  return { device, programs };
}

// As src/backend/gpu/adapters.rs tells adapters apart.
function kindOf({ vendor = "", architecture = "", device = "", description = "", isFallbackAdapter }) {
  if (isFallbackAdapter || /swiftshader|llvmpipe|basic render/i.test([architecture, device, description].join(" "))) {
    return "software";
  }
  return ["apple", "intel"].find((known) => vendor.toLowerCase().includes(known)) ?? "wide";
}
