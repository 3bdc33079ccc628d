// Random numbers as src/rng.rs has them: Philox4x32-10 with key (seed, stream) and counter (element / 4, example, step), in f32.

const f32 = Math.fround;

// Streams of src/rng.rs.
export const ORDER = 1;
export const PRIOR = 4;

// The high word of a product of two words.
function high(a, b) {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return a1 * b1 + Math.floor(middle / 65536) + ((a0 * b1 + (middle & 0xffff)) / 65536 >>> 0);
}

// Four random words of a counter and a key.
export function philox([c0, c1, c2, c3], [k0, k1]) {
  for (let round = 0; round < 10; round += 1) {
    const [a, b] = [high(c0, 0xd2511f53), high(c2, 0xcd9e8d57)];
    [c0, c1, c2, c3] = [b ^ c1 ^ k0, Math.imul(c2, 0xcd9e8d57), a ^ c3 ^ k1, Math.imul(c0, 0xd2511f53)].map((word) => word >>> 0);
    [k0, k1] = [k0 + 0x9e3779b9, k1 + 0xbb67ae85].map((word) => word >>> 0);
  }
  return [c0, c1, c2, c3];
}

// The word of an element of an example at a step.
export function bits(seed, stream, step, example, element) {
  const counter = [element >>> 2, example, step % 2 ** 32, Math.floor(step / 2 ** 32)];
  return philox(counter, [seed, stream])[element & 3];
}

// The top 24 bits as a fraction in [0, 1).
export const uniform = (word) => (word >>> 8) / 2 ** 24;

const LOG2 = [1.4426942, -0.7213444, 0.48101333, -0.360907, 0.28469422, -0.23495448, 0.2515078, -0.23083088].map(f32);
const CENTRE = [
  1.2533141, 0.22743371, 0.007845381, -0.0010968258, -4.3651286e-5, 1.0966537e-5, 4.0432332e-7, -1.8321064e-7, 1.422761e-8,
  -3.821672e-10,
].map(f32);
const TAIL = [
  3.1030457, 0.20186293, -0.0047391867, 0.00010386265, 8.695199e-6, -1.5434184e-6, 1.2464929e-7, -6.076312e-9, 1.6982676e-10,
  -2.0880756e-12,
].map(f32);
const polynomial = (coefficients, x) => coefficients.reduceRight((sum, c) => f32(f32(sum * x) + c));
const word = new Int32Array(1);
const real = new Float32Array(word.buffer);

// The inverse normal distribution at the word's top 24 bits: the same f32 as a kernel's.
export function normal(bits) {
  const k = bits >>> 8;
  const tails = f32(Math.min(2 * k + 1, 0x1ffffff - 2 * k) / 2 ** 24);
  const x = f32(1 - tails);
  real[0] = f32(tails * f32(2 - tails));
  const exponent = (word[0] - 0x3f2aaaab) >> 23;
  word[0] -= exponent << 23;
  const f = f32(real[0] - 1);
  const w = f32(-f32(f32(polynomial(LOG2, f) * f) + exponent));
  const scale = w < 8 ? polynomial(CENTRE, w) : polynomial(TAIL, f32(w - 8));
  return f32((k < 1 << 23 ? -x : x) * scale);
}

// The round keys of an epoch's order.
export const orderKeys = (seed, epoch) => [0, 1, 2, 3, 4, 5, 6, 7].map((round) => bits(seed, ORDER, epoch, 0, round));

function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}

// The example at a position of the order of n with these keys: a Feistel network, walked until it is below n.
export function shuffled(position, n, keys) {
  const half = n < 2 ? 1 : (31 - Math.clz32(n - 1) >>> 1) + 1;
  const mask = 2 ** half - 1;
  let at = position;
  for (let walk = 0; walk < 1024; walk += 1) {
    let [left, right] = [Math.floor(at / 2 ** half) & mask, at & mask];
    for (const key of keys) {
      [left, right] = [right, left ^ (mix(right ^ key) & mask)];
    }
    at = left * 2 ** half + right;
    if (at < n) {
      break;
    }
  }
  return Math.min(at, n - 1);
}

// The first draws of a seed from N(0, I), `[count, latent]`.
export function standardNormals(count, latent, seed) {
  return Float32Array.from({ length: count * latent }, (_, at) => normal(bits(seed, PRIOR, 0, Math.floor(at / latent), at % latent)));
}

// The first draws of a seed from Gaussians {weights [k], means [k, latent], factors [k, latent, latent]} (src/density).
export function drawGaussians({ weights, means, factors }, count, latent, seed) {
  const draws = new Float32Array(count * latent);
  for (let i = 0; i < count; i += 1) {
    let left = uniform(bits(seed, PRIOR, 0, i, 0));
    let component = weights.findIndex((weight) => (left -= weight) < 0);
    component = component < 0 ? weights.length - 1 : component;
    const noise = Array.from({ length: latent }, (_, element) => normal(bits(seed, PRIOR, 1, i, element)));
    for (let row = 0; row < latent; row += 1) {
      const factor = factors.subarray((component * latent + row) * latent, (component * latent + row + 1) * latent);
      const sum = noise.slice(0, row + 1).reduce((sum, eps, column) => sum + factor[column] * eps, 0);
      draws[i * latent + row] = means[component * latent + row] + sum;
    }
  }
  return draws;
}
