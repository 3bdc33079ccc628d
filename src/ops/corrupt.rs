//! Corruption of the input that a denoising autoencoder must undo (Vincent, Larochelle, Bengio and Manzagol 2008).

use super::*;
use crate::rng::{Draw, Stream};

/// How an input is corrupted.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Noise {
    /// `x + deviation * eps`, eps standard normal; values may leave [0, 1].
    Gaussian {
        /// Standard deviation of what is added.
        deviation: f64,
    },
    /// Each element becomes 0 with this probability: masking noise.
    Mask {
        /// The probability.
        fraction: f64,
    },
}

/// `y[r, c]` = the corrupted `x[r, c]`, drawn anew at every step for example `first + r`, element c: input and value
/// `[batch, cols]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corrupt {
    /// How.
    pub noise: Noise,
    /// Where the draws come from.
    pub stream: Stream,
}

impl Operation for Corrupt {
    const NAME: &'static str = "corrupt";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(Self::NAME, inputs)?;
        let (allowed, what, found, rule) = match self.noise {
            Noise::Gaussian { deviation } => {
                (deviation >= 0.0 && deviation.is_finite(), "deviation", deviation, "finite and at least 0")
            }
            Noise::Mask { fraction } => ((0.0..=1.0).contains(&fraction), "fraction", fraction, "from 0 to 1"),
        };
        if !allowed {
            return graph_error(format!("corrupt: {what} is {found}: it must be {rule}"));
        }
        Ok(x)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let x = inputs[0];
        let draw = Draw { seed: step.seed, stream: self.stream, step: step.index };
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, y| {
            let (example, x) = (step.first.wrapping_add(row as u32), x.row(row));
            match self.noise {
                Noise::Gaussian { deviation } => {
                    let deviation = T::from_f64(deviation);
                    for (from, eps) in draw.normal_pieces(example, x.len()) {
                        for ((y, &x), eps) in y[from..].iter_mut().zip(&x[from..]).zip(eps) {
                            *y = x + deviation * T::from_f64(f64::from(eps));
                        }
                    }
                }
                Noise::Mask { fraction } => {
                    // Compared in f32 on every device, so that all mask the same elements.
                    let fraction = fraction as f32;
                    for (from, drawn) in draw.uniform_pieces(example, x.len()) {
                        for ((y, &x), u) in y[from..].iter_mut().zip(&x[from..]).zip(drawn) {
                            *y = if u < fraction { T::zero() } else { x };
                        }
                    }
                }
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "what it corrupts is data")
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let (fragment, amount) = match self.noise {
            Noise::Gaussian { deviation } => (fragment!("rng/noise_gaussian.wgsl"), ("DEVIATION", deviation)),
            Noise::Mask { fraction } => (fragment!("rng/noise_mask.wgsl"), ("FRACTION", fraction)),
        };
        let mut kernel = Kernel::elementwise(fragment!("rng/corrupt.wgsl"), output.len())
            .link(fragment)
            .link(fragment!("common/step.wgsl"))
            .link(fragment!("common/rng.wgsl"))
            .constant("STREAM", self.stream.id() as usize)
            .constant("COLS", output.cols());
        kernel.constants.push(amount);
        kernel
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for noise in [
            Noise::Gaussian { deviation: 0.3 },
            Noise::Gaussian { deviation: 0.0 },
            Noise::Mask { fraction: 0.3 },
            Noise::Mask { fraction: 0.0 },
            Noise::Mask { fraction: 1.0 },
        ] {
            for size in [[1, 1], [63, 65], [128, 131]] {
                cases.push(Case::new(Corrupt { noise, stream: Stream::Corruption }, 2, &[(size, Fill::Normal)]));
            }
        }
        cases
    }
}
