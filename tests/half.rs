//! Matmuls in f16 on cooperative matrices, where the adapter has them. `VAE_GPU_REQUIRE_HALF=1` makes it an error that
//! it has none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use std::collections::HashMap;
use vae_gpu::backend::cpu::{Cpu, interpret};
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters, reflect};
use vae_gpu::backend::{Device, Precision};
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{Dataset, ImageSize, Images, Values};
use vae_gpu::graph::{Graph, ParameterLayout};
use vae_gpu::ops::{AdapterClass, DeviceProfile, Half, Matmul, Op, Transpose};
use vae_gpu::plan::{Fusion, Options, compile, lower};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::tensor::Shape;
use vae_gpu::train::Trainer;

fn half(checks: bool) -> Option<Gpu> {
    let options = GpuOptions { checks, precision: Precision::F16, ..GpuOptions::default() };
    for adapter in adapters() {
        match Gpu::open(adapter.index, options) {
            Ok(gpu) => return Some(gpu),
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{error}");
                assert!(error.to_string().contains("cooperative matrices"), "{error}");
            }
        }
    }
    let required = std::env::var("VAE_GPU_REQUIRE_HALF").as_deref() == Ok("1");
    assert!(!required, "VAE_GPU_REQUIRE_HALF=1, but no adapter multiplies in f16");
    eprintln!("SKIPPED: no adapter multiplies in f16");
    None
}

/// Numbers that f16 holds exactly: multiples of 1/256 below 8.
fn values(stream: Stream, len: usize) -> Vec<f64> {
    let draw = Draw { seed: 4, stream, step: 0 };
    (0..len as u32).map(|e| f64::from((draw.normal(0, e).clamp(-7.9, 7.9) * 256.0).round() / 256.0)).collect()
}

#[test]
fn sums_of_products_are_those_of_f32() {
    let Some(device) = half(true) else { return };
    let sizes = [[1, 1, 1], [15, 17, 16], [64, 64, 32], [65, 63, 33], [128, 40, 400], [31, 130, 7], [100, 200, 784]];
    for [m, n, k] in sizes {
        for (transpose, a, b) in
            [(Transpose::Neither, [m, k], [k, n]), (Transpose::B, [m, k], [n, k]), (Transpose::A, [k, m], [k, n])]
        {
            let mut g = Graph::new(ParameterLayout::default());
            let left = g.input("a", Shape::new(a[0], a[1]));
            let right = g.input("b", Shape::new(b[0], b[1]));
            let product = g.apply(Matmul::new(transpose).into(), &[left, right]).unwrap();
            g.output("c", product);
            let inputs: HashMap<String, Vec<f64>> = [("a", Stream::Prior, m * k), ("b", Stream::Pixels, k * n)]
                .map(|(name, stream, len)| (name.to_owned(), values(stream, len)))
                .into();
            let wanted = interpret::<f64>(&g, &a_step(1), &[], &[], &inputs).unwrap().pop().unwrap();
            let mut session = device.open_session(g.layout(), &[]).unwrap();
            let program = session.load(compile(&g, Options::default()).unwrap()).unwrap();
            use vae_gpu::backend::Session;
            for (name, values) in &inputs {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                session.write_input(program, name, &values).unwrap();
            }
            session.run(&[program], &[a_step(1)]).unwrap();
            session.check_guards().unwrap();
            let got: Vec<f64> = session.read_output(program, "c").unwrap().iter().map(|&x| f64::from(x)).collect();
            Tolerance::rounding(k).check(&format!("{transpose:?} [{m}, {n}, {k}]"), &got, &wanted);
        }
    }
}

#[test]
fn training_in_f16_learns_what_f32_learns() {
    let Some(device) = half(false) else { return };
    let pixels = |count: usize| (0..count * 64).map(|i| ((i % 64) * (i / 64 % 5) * 3 % 256) as u8).collect();
    let set = |count| Images::new(ImageSize::grey(8, 8), Values::Bytes(pixels(count)));
    let data = Dataset::new("ramps", set(1000), set(100));
    let config = TrainConfig { hidden: Some(vec![40]), latent: 4, batch_size: 50, epochs: 1, ..TrainConfig::default() };
    let config = TrainConfig { precision: Precision::F16, ..config };
    let losses = |device: &dyn Device| {
        let options = Options { fuse: device.fusion() };
        let mut trainer = Trainer::new(&config, &data, device, options, None).unwrap();
        let epoch = trainer.run_epoch(&mut ()).unwrap().unwrap();
        ["train_loss", "test_loss", "test_kl"].map(|name| epoch.losses[name])
    };
    let (got, wanted) = (losses(&device), losses(&Cpu::<f64>::new()));
    // Factors are off by 2^-11 of themselves at most, in both directions; a wrong index or scale is off by far more.
    Tolerance { relative: 5e-3, absolute: 0.0 }.check("losses", &got, &wanted);
    assert_ne!(got, losses(&gpu(GpuOptions::default()).unwrap()), "products were not rounded to f16");
}

/// Every load and end links with the loop on both sizes of matrices, and is valid; no adapter is needed.
#[test]
fn every_product_links_in_f16() {
    let mut seen = 0;
    for case in Op::cases().into_iter().filter(|case| matches!(case.op, Op::Matmul(_))) {
        let (graph, _, _) = Graph::of_case(&case).unwrap();
        let plan = compile(&graph, Options { fuse: Fusion::None }).unwrap();
        for side in [8, 16] {
            let profile =
                DeviceProfile { half: Some(Half { side, subgroup: 32 }), ..DeviceProfile::new(AdapterClass::Wide) };
            for shader in lower(&plan, &profile).unwrap().shaders {
                let module = reflect(&shader.name, &shader.source).unwrap().0;
                let capabilities = naga::valid::Capabilities::all();
                let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
                validator.validate(&module).unwrap_or_else(|error| panic!("{case}: {error:?}"));
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} kernels");
}
