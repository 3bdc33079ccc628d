// Checkpoints as safetensors files (src/train/checkpoint): arenas under the names and in the order of PyTorch.

const KEY = "vae-gpu";

// Where a file has each element of a tensor: its channels come first (ChannelsFirst of src/graph/parameters.rs).
function inFile({ length, orders }) {
  let places = Uint32Array.from({ length }, (_, at) => at);
  for (const { before, pixels, channels, behind } of orders) {
    const moved = new Uint32Array(length);
    let at = 0;
    for (let b = 0; b < before; b += 1) {
      for (let pixel = 0; pixel < pixels; pixel += 1) {
        for (let channel = 0; channel < channels; channel += 1) {
          for (let last = 0; last < behind; last += 1) {
            moved[at] = ((b * channels + channel) * pixels + pixel) * behind + last;
            at += 1;
          }
        }
      }
    }
    places = places.map((place) => moved[place]);
  }
  return places;
}

// The tensors of each arena: state that is not trained has no optimiser's.
function* tensorsOf(arenas, tensors) {
  for (const [at, { prefix }] of arenas.entries()) {
    for (const tensor of tensors.filter(({ trained }) => at === 0 || trained)) {
      yield { at, tensor, name: prefix + tensor.name };
    }
  }
}

// The file of a header and the arenas' values, in the order of `arenas`.
export function writeCheckpoint({ arenas, tensors }, header, values) {
  const entries = { __metadata__: { [KEY]: JSON.stringify(header) } };
  const parts = [];
  let end = 0;
  for (const { at, tensor, name } of tensorsOf(arenas, tensors)) {
    const stored = new Float32Array(tensor.length);
    inFile(tensor).forEach((place, from) => (stored[place] = values[at][tensor.offset + from]));
    entries[name] = { dtype: "F32", shape: tensor.shape, data_offsets: [end, end + stored.byteLength] };
    end += stored.byteLength;
    parts.push(new Uint8Array(stored.buffer));
  }
  const text = new TextEncoder().encode(JSON.stringify(entries));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(32);
  padded.set(text);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(padded.length), true);
  return new Blob([length.buffer, padded, ...parts]);
}

// What a file's header and arenas are. Throws where it is none of this page's model and training.
export function readCheckpoint({ arenas, tensors, length, terms, header: ours }, bytes) {
  const wrong = (why) => new Error(`This is no checkpoint for this page: ${why}.`);
  const view = new DataView(bytes);
  const end = bytes.byteLength < 8 ? Infinity : 8 + Number(view.getBigUint64(0, true));
  if (end > bytes.byteLength) {
    throw wrong("it is no safetensors file");
  }
  let entries;
  let header;
  try {
    entries = JSON.parse(new TextDecoder().decode(bytes.slice(8, end)));
    header = JSON.parse(entries.__metadata__[KEY]);
  } catch {
    throw wrong("it is no safetensors file of vae-gpu");
  }
  if (header.format !== ours.format) {
    throw wrong(`its format is ${JSON.stringify(header.format)}, this page reads ${JSON.stringify(ours.format)}`);
  }
  const parts = [["model", "architecture"], ["train", "training options"], ["schema", "form of data"]];
  for (const [part, what] of parts) {
    const keys = [...new Set([...Object.keys(ours[part]), ...Object.keys(header[part] ?? {})])];
    const key = keys.find((key) => JSON.stringify(ours[part][key]) !== JSON.stringify(header[part]?.[key]));
    if (key) {
      const [theirs, here] = [header[part]?.[key], ours[part][key]].map((value) => JSON.stringify(value) ?? "not there");
      throw wrong(`it has other ${what}, ${key} is ${theirs}, here it is ${here}; export a page of the run that it is of, with --train`);
    }
  }
  const { step, epoch, within, "best-epoch": best, "best-test-loss": loss } = header.state ?? {};
  const counts = [step, epoch, best, within?.steps ?? 0].every((count) => Number.isSafeInteger(count) && count >= 0);
  const sums = within ? [...within.sums, within.rows] : [];
  if (!counts || best > epoch || ![loss, ...sums].every(Number.isFinite) || (within && within.sums.length !== terms.length)) {
    throw wrong("where its training stands does not fit itself");
  }
  const values = arenas.map(() => new Float32Array(length));
  for (const { at, tensor, name } of tensorsOf(arenas, tensors)) {
    const [from, to] = entries[name]?.data_offsets ?? [];
    if (!(entries[name]?.dtype === "F32" && to - from === 4 * tensor.length && end + to <= bytes.byteLength)) {
      throw wrong(`its tensor ${name} is not there, or not whole`);
    }
    const stored = new Float32Array(bytes.slice(end + from, end + to));
    inFile(tensor).forEach((place, index) => (values[at][tensor.offset + index] = stored[place]));
  }
  return { header, values };
}
