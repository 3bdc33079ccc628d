//! Random numbers that can be recomputed anywhere: the twin of `shaders/rng/rng.wgsl` and `shaders/rng/order_shuffled.wgsl`.
//!
//! A number is a pure function of (seed, [`Stream`], step, example, element), so it depends on no thread, batch
//! split, device or order of evaluation. There is deliberately no generator with a state, no system entropy and
//! nothing cryptographic here.
//!
//! - **Bits** are Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//!   SC'11): integers alone, equal to the last bit on CPU and GPU.
//! - **Uniforms** are exact: the top 24 bits times 2^-24.
//! - **Normals** are the inverse normal CDF of the middle of one of 2^24 equal cells. WGSL promises little for its
//!   `sin`, `cos`, `log` and `sqrt`, so [`normal`] is made of f32 `+`, `-`, `*` and bit operations only. Where a
//!   shader compiler fuses a multiply and an add, the last bits may differ from the CPU's, no more.
//! - **The order of an epoch** is a [`Permutation`]: any position of it is computed from 8 key words, so no index
//!   list is stored or shuffled.
//!
//! # How `normal` was made
//!
//! As in Giles, "Approximating the erfinv function" (GPU Computing Gems, 2010), the normal at upper tail a is
//! x P(w), with x = 1 - 2a exact in f32 and w = -log2(1 - x^2). Giles takes sqrt(w) in the tail; a polynomial in w
//! of the same degree as the centre's does as well over these inputs (w <= 23), and needs no square root. The
//! coefficients are minimax fits (Lawson's iteration) to PPND16 (Wichura, Algorithm AS 241, Applied Statistics 37,
//! 1988), rounded to f32 from the constant term upwards with the rest fitted again:
//!
//! | polynomial | interval | degree | weight | largest weighted error |
//! |---|---|---|---|---|
//! | log2(1 + f) / f | f in [-1/3, 1/3) | 7 | abs(f) + 0.02 | 5.1e-8 |
//! | P, centre | w in [0, 8] | 9 in w | 1 / P | 2.3e-8 |
//! | P, tail | w in [8, 23] | 9 in w - 8 | 1 / P | 1.5e-8 |
//!
//! Over all 2^24 inputs the absolute error is at most 5.9e-7 and the relative error at most 1.9e-7; f32's own
//! rounding is 2.4e-7 and 6e-8. `tests/interop/fit_normal.py` repeats the fit and this measurement.

use crate::compute::vectorised;

/// What a stream of draws is for; part of the Philox key, so that no two uses share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Stream {
    /// Initial weights.
    Initialise = 0,
    /// Keys of the order of an epoch.
    Order = 1,
    /// Noise of the posterior samples while training.
    Posterior = 2,
    /// Binarisation of pixels while training.
    Pixels = 3,
    /// Latents drawn from the prior.
    Prior = 4,
    /// Noise of the posterior samples while evaluating.
    EvaluationPosterior = 5,
    /// Binarisation of pixels while evaluating.
    EvaluationPixels = 6,
    /// Corruption of a denoising autoencoder's input.
    Corruption = 7,
    /// Latents of a generator while training.
    Generator = 8,
    /// Latents of a generator while evaluating.
    EvaluationGenerator = 9,
    /// Samples of the importance-weighted log-likelihood.
    Importance = 10,
    /// Made-up data sets.
    Synthetic = 11,
    /// Augmentation of training images.
    Augmentation = 12,
}

impl Stream {
    /// The second word of the Philox key.
    pub fn id(self) -> u32 {
        self as u32
    }
}

/// Four random words: Philox4x32-10 of a counter and a key.
///
/// ```
/// assert_eq!(vae_gpu::rng::philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    philox_lanes(counter.map(|word| [word]), key).map(|[word]| word)
}

/// Philox4x32-10 of several counters at once, word by word, so that it vectorises.
#[inline(always)]
fn philox_lanes<const N: usize>([mut c0, mut c1, mut c2, mut c3]: [[u32; N]; 4], key: [u32; 2]) -> [[u32; N]; 4] {
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        for lane in 0..N {
            let a = u64::from(c0[lane]) * 0xd251_1f53;
            let b = u64::from(c2[lane]) * 0xcd9e_8d57;
            (c0[lane], c1[lane]) = ((b >> 32) as u32 ^ c1[lane] ^ k0, b as u32);
            (c2[lane], c3[lane]) = ((a >> 32) as u32 ^ c3[lane] ^ k1, a as u32);
        }
        k0 = k0.wrapping_add(0x9e37_79b9);
        k1 = k1.wrapping_add(0xbb67_ae85);
    }
    [c0, c1, c2, c3]
}

/// Blocks that are computed at once.
const LANES: usize = 8;
/// Numbers of a piece, see [`Draw::normal_pieces`].
pub(crate) const PIECE: usize = 4 * LANES;

/// The draws of one stream at one step: a number for every (example, element).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The run's seed: first word of the Philox key.
    pub seed: u32,
    /// What the draws are for: second word of the Philox key.
    pub stream: Stream,
    /// The step, or the epoch: the high two words of the counter.
    pub step: u64,
}

impl Draw {
    /// 32 random bits: word `element % 4` of the block at counter (element / 4, example, step low, step high).
    pub fn bits(self, example: u32, element: u32) -> u32 {
        self.block(example, element / 4)[element as usize % 4]
    }

    /// A uniform number in [0, 1): [`uniform`] of the bits.
    pub fn uniform(self, example: u32, element: u32) -> f32 {
        uniform(self.bits(example, element))
    }

    /// A standard normal number: [`normal`] of the bits.
    pub fn normal(self, example: u32, element: u32) -> f32 {
        normal(self.bits(example, element))
    }

    /// Fills a row, `out[e] = uniform(example, e)`, with one Philox block for four numbers.
    pub fn uniforms(self, example: u32, out: &mut [f32]) {
        self.fill(example, out, uniform);
    }

    /// Fills a row, `out[e] = normal(example, e)`, with one Philox block for four numbers.
    pub fn normals(self, example: u32, out: &mut [f32]) {
        self.fill(example, out, normal);
    }

    /// The numbers of [`Draw::uniforms`] in pieces, each after its first element's position, for loops that store none.
    #[inline(always)]
    pub(crate) fn uniform_pieces(self, example: u32, count: usize) -> impl Iterator<Item = (usize, [f32; PIECE])> {
        self.pieces(example, count, uniform)
    }

    /// The numbers of [`Draw::normals`] likewise.
    #[inline(always)]
    pub(crate) fn normal_pieces(self, example: u32, count: usize) -> impl Iterator<Item = (usize, [f32; PIECE])> {
        self.pieces(example, count, normal)
    }

    #[inline(always)]
    fn fill(self, example: u32, out: &mut [f32], number: impl Fn(u32) -> f32) {
        vectorised(
            #[inline(always)]
            || {
                for (from, numbers) in self.pieces(example, out.len(), number) {
                    let out = &mut out[from..];
                    let count = out.len().min(PIECE);
                    out[..count].copy_from_slice(&numbers[..count]);
                }
            },
        );
    }

    /// The last piece is whole too, beyond `count`.
    #[inline(always)]
    fn pieces(
        self,
        example: u32,
        count: usize,
        number: impl Fn(u32) -> f32,
    ) -> impl Iterator<Item = (usize, [f32; PIECE])> {
        (0..count.div_ceil(PIECE)).map(
            #[inline(always)]
            move |at| {
                let blocks: [u32; LANES] = std::array::from_fn(|lane| (at * LANES + lane) as u32);
                // All of them, and in order only then, so that it vectorises.
                let words = self.blocks(example, blocks);
                let mut numbers = [0.0; PIECE];
                for (word, lanes) in words.iter().enumerate() {
                    for (numbers, &bits) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(lanes) {
                        numbers[word] = number(bits);
                    }
                }
                (at * PIECE, numbers)
            },
        )
    }

    fn block(self, example: u32, block: u32) -> [u32; 4] {
        self.blocks(example, [block]).map(|[word]| word)
    }

    /// Several blocks, the first words of all, then the second ones and so on.
    #[inline(always)]
    fn blocks<const N: usize>(self, example: u32, blocks: [u32; N]) -> [[u32; N]; 4] {
        let counter = [blocks, [example; N], [self.step as u32; N], [(self.step >> 32) as u32; N]];
        philox_lanes(counter, [self.seed, self.stream.id()])
    }
}

/// The top 24 bits as a fraction in [0, 1); exact.
#[inline(always)]
pub fn uniform(bits: u32) -> f32 {
    const CELL: f32 = 1.0 / (1 << 24) as f32;
    (bits >> 8) as f32 * CELL
}

/// The inverse normal CDF at (k + 1/2) / 2^24, where k is the top 24 bits. Within 5.9e-7 (absolute) and 1.9e-7
/// (relative) of the exact value; at most 5.42 in size; `normal` of the complemented bits is exactly the negative.
#[inline(always)]
pub fn normal(bits: u32) -> f32 {
    const CELL: f32 = 1.0 / (1 << 24) as f32;
    const TWO_THIRDS: i32 = 0x3f2a_aaab;
    const SPLIT: f32 = 8.0;
    const LOG2: [f32; 8] =
        [1.4426942, -0.7213444, 0.48101333, -0.360907, 0.28469422, -0.23495448, 0.2515078, -0.23083088];
    const CENTRE: [f32; 10] = [
        1.2533141,
        0.22743371,
        0.007845381,
        -0.0010968258,
        -4.3651286e-5,
        1.0966537e-5,
        4.0432332e-7,
        -1.8321064e-7,
        1.422761e-8,
        -3.821672e-10,
    ];
    const TAIL: [f32; 10] = [
        3.1030457,
        0.20186293,
        -0.0047391867,
        0.00010386265,
        8.695199e-6,
        -1.5434184e-6,
        1.2464929e-7,
        -6.076312e-9,
        1.6982676e-10,
        -2.0880756e-12,
    ];
    let k = bits >> 8;
    let tails = (2 * k + 1).min(0x1ff_ffff - 2 * k) as f32 * CELL; // both tails, in (0, 1); exact
    let x = 1.0 - tails; // exact
    let v = (tails * (2.0 - tails)).to_bits() as i32; // 1 - x^2

    // w = -log2(1 - x^2), with the mantissa in [2/3, 4/3)
    let exponent = (v - TWO_THIRDS) >> 23;
    let f = f32::from_bits((v - (exponent << 23)) as u32) - 1.0;
    let w = -(polynomial(&LOG2, f) * f + exponent as f32);

    let (centre, tail) = (polynomial(&CENTRE, w), polynomial(&TAIL, w - SPLIT)); // both, so that it vectorises
    let scale = if w < SPLIT { centre } else { tail };
    (if k < 1 << 23 { -x } else { x }) * scale
}

/// Horner's rule, constant term first. Not `mul_add`: without an fma instruction that is a slow library call.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for c in coefficients[..N - 1].iter().rev() {
        sum = sum * x + c;
    }
    sum
}

/// A keyed bijection on [0, n): the order of an epoch.
///
/// A balanced Feistel network of 8 rounds on the smallest even number of bits that holds n (Luby and Rackoff, SIAM
/// J. Computing 17, 1988), applied again while the result is not below n ("cycle walking": Black and Rogaway, CT-RSA
/// 2002): 4^half_bits / n turns on average, below 4 for n > 1. The round function is the integer hash "lowbias32"
/// (Wellons, "Prospecting for Hash Functions", 2018) of the half xor the key.
///
/// ```
/// let order = vae_gpu::rng::Permutation::new(7, 0, 5);
/// let mut seen: Vec<u32> = (0..5).map(|position| order.at(position)).collect();
/// seen.sort();
/// assert_eq!(seen, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    n: u32,
    half_bits: u32,
    keys: [u32; 8],
}

/// Most turns of the walk. A network on at most 1024 numbers never needs more; on a larger one a walk is this long
/// with probability below (3/4)^1024.
const WALKS: u32 = 1024;

impl Permutation {
    /// The order of `epoch`: its round keys are the first eight words that [`Stream::Order`] draws for it.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn new(seed: u32, epoch: u64, n: u32) -> Permutation {
        let draw = Draw { seed, stream: Stream::Order, step: epoch };
        Permutation::from_keys(std::array::from_fn(|round| draw.bits(0, round as u32)), n)
    }

    /// The order with these round keys.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn from_keys(keys: [u32; 8], n: u32) -> Permutation {
        assert!(n >= 1, "permutation: n is 0, must be at least 1");
        Permutation { n, half_bits: Permutation::half_bits(n), keys }
    }

    /// The round keys: what a kernel needs to compute the same order.
    pub fn keys(&self) -> [u32; 8] {
        self.keys
    }

    /// The smallest h >= 1 with 2^(2h) >= n: half the width of the network, in bits.
    pub fn half_bits(n: u32) -> u32 {
        n.saturating_sub(1).checked_ilog2().map_or(1, |top| top / 2 + 1)
    }

    /// The example that stands at `position`, which must be below n.
    pub fn at(&self, position: u32) -> u32 {
        debug_assert!(position < self.n, "permutation: position is {position}, must be below {}", self.n);
        let mask = (1 << self.half_bits) - 1;
        let mut at = position;
        for _ in 0..WALKS {
            let (mut left, mut right) = ((at >> self.half_bits) & mask, at & mask);
            for key in self.keys {
                (left, right) = (right, left ^ (mix(right ^ key) & mask));
            }
            at = (left << self.half_bits) | right;
            if at < self.n {
                break;
            }
        }
        at.min(self.n - 1)
    }
}

/// The integer hash "lowbias32".
fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
