//! Every exported model computes in tract what vae-gpu computes.

#[path = "../../../common/exports.rs"]
mod exports;

use std::collections::HashMap;

use exports::{COUNT, checkpoint, models, networks, values};
use tract_onnx::prelude::*;

#[test]
fn tract_computes_what_vae_gpu_computes() -> TractResult<()> {
    let mut worst = 0.0_f32;
    for (name, model) in models() {
        let checkpoint = checkpoint(&model);
        let files: HashMap<_, _> = vae_gpu::export::onnx(&checkpoint)?.into_iter().collect();
        for network in networks(&checkpoint) {
            let model = tract_onnx::onnx()
                .model_for_read(&mut files[network.file].as_slice())?
                .with_input_fact(0, f32::fact([COUNT, network.cols]).into())?
                .into_optimized()?
                .into_runnable()?;
            let input = Tensor::from_shape(&[COUNT, network.cols], &values(network.cols))?;
            let outputs = model.run(tvec!(input.into()))?;
            assert_eq!(outputs.len(), network.outputs.len(), "{name}, {}", network.file);
            for (got, (output, wanted)) in outputs.iter().zip(&network.outputs) {
                let got = got.as_slice::<f32>()?;
                assert_eq!(got.len(), wanted.len());
                let off = got.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-5, "{name}, {}: {output} is off by {off:.1e}", network.file);
                worst = worst.max(off);
            }
        }
    }
    println!("{} models, at most {worst:.1e} apart", models().len());
    Ok(())
}
