// Runs recordings (src/plan/recording.rs) on a WebGPU device, in a browser or in Node. Nothing is chosen here: kernels, buffers and
// dispatches are the file's.
//
//   const session = new Session(device, [images]);          // data sets, typed arrays
//   const program = await session.load(await response.json());
//   session.write("parameters", values);                    // an arena; all 0 until written
//   const metrics = await session.run([program], steps);    // an array a step: the programs' columns side by side
//   const [mean] = await session.compute(program, { z }, ["mean"]);
//
// A step is what Step of src/step.rs is: {index, first, rows, seed, order: [8 words], scalars: {name: value}}.

const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = globalThis.GPUBufferUsage ?? {}; // none where a browser has no WebGPU

// One model on a device: the arenas and data sets that its programs share.
export class Session {
  #device;
  #datasets;
  #arenas = new Map();
  #pipelines = new Map();

  constructor(device, datasets = []) {
    this.#device = device;
    this.#datasets = datasets.map((values) => {
      const buffer = this.#storage(Math.ceil(values.byteLength / 4) * 4);
      this.#upload(buffer, values);
      return buffer;
    });
  }

  // Replaces the first values of a data set, for the submissions that follow.
  writeData(index, values) {
    this.#upload(this.#datasets[index], values);
  }

  // Makes a program of a parsed recording.
  async load(recording) {
    const { step } = recording;
    const buffers = recording.buffers.map((buffer) => this.#buffer(buffer));
    const usage = UNIFORM | STORAGE | COPY_DST;
    const rows = this.#device.createBuffer({ size: step.rows * step.row_bytes, usage });
    const ready = async (dispatch, once) => {
      const shader = recording.shaders[dispatch.shader];
      const writes = dispatch.bindings.map((binding) => binding.writes);
      const pipeline = await this.#pipeline({ ...shader, constants: dispatch.constants, writes, once });
      const resource = ({ buffer, offset, bytes }) => ({ buffer: buffers[buffer], offset, size: bytes });
      const resources = [{ buffer: rows, size: once ? rows.size : step.bound_bytes }, ...dispatch.bindings.map(resource)];
      const entries = resources.map((resource, binding) => ({ binding, resource }));
      const group = this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
      return { pipeline, group, workgroups: dispatch.workgroups };
    };
    const prologue = await Promise.all(recording.prologue.map((dispatch) => ready(dispatch, true)));
    const dispatches = await Promise.all(recording.dispatches.map((dispatch) => ready(dispatch, false)));
    const ring = recording.buffers.findIndex((buffer) => buffer.role === "metrics");
    return { recording, buffers, rows, prologue, dispatches, ring: buffers[ring] };
  }

  // Writes an arena's first values, from a Float32Array.
  write(arena, values) {
    this.#device.queue.writeBuffer(this.#arena(arena), 0, values);
  }

  // Reads arenas, all as they are after the steps that were run so far.
  async read(arenas) {
    const parts = arenas.map((arena) => this.#arena(arena)).map((buffer) => ({ buffer, offset: 0, bytes: buffer.size }));
    return this.#download(parts, this.#device.createCommandEncoder());
  }

  // Runs the programs, one after another, for each step: all in one submission, or each step in so many, as far as it has dispatches.
  async run(programs, steps, submissions = 1) {
    const encoder = this.#encode(programs, steps, submissions);
    const recorded = programs.filter((program) => program.ring);
    const widths = recorded.map((program) => program.recording.metrics.length);
    const rings = recorded.map(({ ring }, at) => ({ buffer: ring, offset: 0, bytes: 4 * steps.length * widths[at] }));
    const values = await this.#download(rings, encoder);
    const row = (slot) => values.flatMap((ring, at) => [...ring.subarray(slot * widths[at], (slot + 1) * widths[at])]);
    return steps.map((_, slot) => row(slot));
  }

  // Runs a program once on inputs by name: the outputs of these names, of `rows` rows that count.
  async compute(program, inputs, outputs, rows = 1) {
    const { recording, buffers } = program;
    for (const [name, values] of Object.entries(inputs)) {
      const { buffer, offset } = recording.inputs.find((port) => port.name === name).binding;
      this.#device.queue.writeBuffer(buffers[buffer], offset, values);
    }
    const encoder = this.#encode([program], [{ index: 0, first: 0, rows, seed: 0, order: new Array(8).fill(0), scalars: {} }]);
    const port = (name) => recording.outputs.find((port) => port.name === name).binding;
    const part = ({ buffer, offset, bytes }) => ({ buffer: buffers[buffer], offset, bytes });
    return this.#download(outputs.map((name) => part(port(name))), encoder);
  }

  // The commands of the steps, of which all submissions but the last are under way.
  #encode(programs, steps, submissions = 1) {
    for (const { recording, rows } of programs) {
      if (steps.length > recording.step.rows) {
        throw new Error(`${steps.length} steps: a submission has at most ${recording.step.rows}`);
      }
      this.#device.queue.writeBuffer(rows, 0, packSteps(recording, steps));
    }
    const once = programs.flatMap(({ prologue }) => prologue.map((dispatch) => [dispatch, []]));
    const step = (slot) => programs.flatMap(({ recording, dispatches }) => {
      return dispatches.map((dispatch) => [dispatch, [slot * recording.step.row_bytes]]);
    });
    const all = [...once, ...[...steps.keys()].flatMap(step)];
    const most = submissions === 1 ? all.length : Math.ceil((all.length - once.length) / steps.length / submissions);
    let encoder = this.#device.createCommandEncoder();
    for (let from = 0; from < all.length; from += most) {
      if (from > 0) {
        this.#device.queue.submit([encoder.finish()]);
        encoder = this.#device.createCommandEncoder();
      }
      const pass = encoder.beginComputePass();
      for (const [{ pipeline, group, workgroups }, offsets] of all.slice(from, from + most)) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group, offsets);
        pass.dispatchWorkgroups(...workgroups);
      }
      pass.end();
    }
    return encoder;
  }

  // The kernel's pipeline, which programs that have the same share.
  #pipeline(kernel) {
    const key = JSON.stringify(kernel);
    if (!this.#pipelines.has(key)) {
      this.#pipelines.set(key, makePipeline(this.#device, kernel));
    }
    return this.#pipelines.get(key);
  }

  // The buffer behind a recording's description: one of the session, or a new one of the program.
  #buffer({ role, bytes }) {
    if (role.arena === undefined && role.dataset === undefined) {
      return this.#storage(bytes);
    }
    const buffer = role.arena === undefined ? this.#datasets[role.dataset] : this.#arena(role.arena, bytes);
    if (buffer?.size !== bytes) {
      throw new Error(`${JSON.stringify(role)} of the recording has ${bytes} bytes, of the session ${buffer?.size ?? 0}`);
    }
    return buffer;
  }

  #arena(name, bytes) {
    if (!this.#arenas.has(name)) {
      if (bytes === undefined) {
        throw new Error(`${name} is an arena of no loaded program; there are ${[...this.#arenas.keys()].join(", ")}`);
      }
      this.#arenas.set(name, this.#storage(bytes));
    }
    return this.#arenas.get(name);
  }

  #storage(size) {
    return this.#device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  }

  // Writes values to a buffer's start, in whole words.
  #upload(buffer, values) {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const whole = bytes.length - (bytes.length % 4);
    this.#device.queue.writeBuffer(buffer, 0, bytes, 0, whole);
    if (whole < bytes.length) {
      const last = new Uint8Array(4);
      last.set(bytes.subarray(whole));
      this.#device.queue.writeBuffer(buffer, whole, last);
    }
  }

  // Submits what is encoded, then reads parts of buffers as f32.
  async #download(parts, encoder) {
    const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const staging = this.#device.createBuffer({ size: Math.max(size, 4), usage: COPY_DST | MAP_READ });
    let end = 0;
    const ranges = parts.map(({ buffer, offset, bytes }) => {
      encoder.copyBufferToBuffer(buffer, offset, staging, end, bytes);
      end += bytes;
      return [end - bytes, end];
    });
    this.#device.queue.submit([encoder.finish()]);
    await staging.mapAsync(globalThis.GPUMapMode.READ);
    const read = staging.getMappedRange();
    const values = ranges.map(([from, to]) => new Float32Array(read.slice(from, to)));
    staging.destroy();
    return values;
  }
}

// Compiles a kernel: its WGSL, the values of its `override` constants, and whether it writes bindings 1, 2, ...; `once` kernels, of the
// prologue, read all steps. Throws with the compiler's first message and its line.
export async function makePipeline(device, { name, source, constants, writes, once }) {
  // WGSL asks for it; naga, which the crate uses, refuses the line.
  const code = source.includes("subgroup_invocation_id") ? `enable subgroups;\n${source}` : source;
  const module = device.createShaderModule({ label: name, code });
  const { messages } = await module.getCompilationInfo();
  const error = messages.find((message) => message.type === "error");
  if (error) {
    throw new Error(`${error.message}: ${code.split("\n")[error.lineNum - 1]}`);
  }
  const visibility = globalThis.GPUShaderStage.COMPUTE;
  const step = once ? { type: "read-only-storage" } : { type: "uniform", hasDynamicOffset: true };
  const storage = writes.map((writable) => ({ type: writable ? "storage" : "read-only-storage" }));
  const entries = [step, ...storage].map((buffer, binding) => ({ binding, visibility, buffer }));
  const layout = device.createPipelineLayout({ bindGroupLayouts: [device.createBindGroupLayout({ entries })] });
  return device.createComputePipelineAsync({ label: name, layout, compute: { module, entryPoint: "main", constants } });
}

// The steps' buffer: a row a step.
export function packSteps({ step: layout, scalars }, steps) {
  const packed = new DataView(new ArrayBuffer(steps.length * layout.row_bytes));
  steps.forEach((step, slot) => {
    const missing = scalars.find((name) => !(name in step.scalars));
    if (missing) {
      throw new Error(`step ${step.index} has no scalar ${missing}, which its program reads`);
    }
    const words = {
      index: [step.index % 2 ** 32, Math.floor(step.index / 2 ** 32)],
      first: [step.first],
      rows: [step.rows],
      seed: [step.seed],
      slot: [slot],
      order: step.order,
    };
    const at = (field, word) => slot * layout.row_bytes + layout.offsets[field] + 4 * word;
    for (const [field, values] of Object.entries(words)) {
      values.forEach((value, word) => packed.setUint32(at(field, word), value, true));
    }
    scalars.forEach((name, word) => packed.setFloat32(at("scalars", word), step.scalars[name], true));
  });
  return packed.buffer;
}
