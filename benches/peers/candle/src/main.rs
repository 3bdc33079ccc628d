//! The works of `vae-gpu bench` in candle, on the CPU: a JSON object a line, images a second as the median over nine
//! parts of a run.
//!
//! ```text
//! cargo build --release
//! target/release/peer-candle --data ../../../assets/mnist [--work standard-128] [--seconds 10]
//! ```
//!
//! The same step as ours, as pytorch.py says; Adam is candle's AdamW without decay. Data is resident as f32.

#[path = "../../common.rs"]
mod common;

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, linear};

struct Vae([Linear; 4]);

impl Vae {
    fn new(hidden: usize, latent: usize, vars: &VarBuilder) -> Result<Self> {
        Ok(Self([
            linear(784, hidden, vars.pp("encode"))?,
            linear(hidden, 2 * latent, vars.pp("posterior"))?,
            linear(latent, hidden, vars.pp("decode"))?,
            linear(hidden, 784, vars.pp("pixels"))?,
        ]))
    }

    fn loss(&self, x: &Tensor) -> Result<Tensor> {
        let [encode, posterior, decode, pixels] = &self.0;
        let halves = posterior.forward(&encode.forward(x)?.relu()?)?.chunk(2, 1)?;
        let (mean, logvar) = (&halves[0], &halves[1]);
        let z = (mean + ((logvar * 0.5)?.exp()? * mean.randn_like(0.0, 1.0)?)?)?;
        let logits = pixels.forward(&decode.forward(&z)?.relu()?)?;
        let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        let recon = (softplus - (logits * x)?)?.sum_all()?;
        let kl = ((((logvar.exp()? + mean.sqr()?)? - logvar)? - 1.0)?.sum_all()? * 0.5)?;
        (recon + kl)? / x.dim(0)? as f64
    }
}

fn main() -> Result<()> {
    let arguments = common::Arguments::parse();
    let pixels = arguments.mnist();
    let count = pixels.len() / 784;
    let images = Tensor::from_vec(pixels, (count, 784), &Device::Cpu)?;
    for work in arguments.works(common::DENSE) {
        let (_, hidden, latent, batch) = work;
        let began = Instant::now();
        let mut batches = common::Batches::new(count, batch);
        let vars = VarMap::new();
        let vae = Vae::new(hidden, latent, &VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
        let rate = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() };
        let mut adam = AdamW::new(vars.all_vars(), rate)?;
        let mut step = || -> Result<Tensor> {
            let chosen = Tensor::from_vec(batches.next(), batch, &Device::Cpu)?;
            let loss = vae.loss(&images.index_select(&chosen, 0)?)?;
            adam.backward_step(&loss)?;
            Ok(loss)
        };
        let step = || step().expect("a step");
        let finish = |loss: Tensor| loss.to_scalar::<f32>().expect("a loss");
        common::measure("candle 0.11.1", work, &arguments, began, step, finish);
    }
    Ok(())
}
