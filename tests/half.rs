//! Products in f16 on cooperative matrices, where the adapter has them. `VAE_GPU_REQUIRE_HALF=1` makes it an error that
//! it has none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{Check, Tolerance, a_step, gpu};
use crate::faults::{Fault, edit, panics};
use std::collections::HashMap;
use vae_gpu::backend::cpu::{Cpu, interpret};
use vae_gpu::backend::gpu::{Gpu, GpuOptions, adapters, reflect};
use vae_gpu::backend::{Device, Precision};
use vae_gpu::config::TrainConfig;
use vae_gpu::data::{Dataset, ImageSize, Images, Values};
use vae_gpu::graph::{Graph, ParameterLayout};
use vae_gpu::ops::{AdapterClass, Case, DeviceProfile, Fill, Half, Matmul, Op, Transpose};
use vae_gpu::plan::{Fusion, Options, compile, lower};
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::tensor::Shape;
use vae_gpu::train::Trainer;

fn half(checks: bool) -> Option<Gpu> {
    half_with(GpuOptions { checks, ..GpuOptions::default() })
}

fn half_with(options: GpuOptions) -> Option<Gpu> {
    let options = GpuOptions { precision: Precision::F16, ..options };
    for adapter in adapters() {
        let gpu = Gpu::open(adapter.index, options).unwrap();
        if gpu.profile().unwrap().half.is_some() {
            return Some(gpu);
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

/// What elements of a k are multiplied by.
type Factor = fn(usize) -> f64;

/// A matmul of two inputs, whose elements are multiplied by factors of their k.
struct Product {
    transpose: Transpose,
    size: [usize; 3],
    factors: [Factor; 2],
}

/// The three ways in which operands lie.
const TRANSPOSES: [Transpose; 3] = [Transpose::Neither, Transpose::B, Transpose::A];

impl Product {
    fn new(transpose: Transpose, size: [usize; 3]) -> Product {
        Product { transpose, size, factors: [|_| 1.0; 2] }
    }

    /// What an adapter and the reference in f64 compute, where `change` is made to the inputs.
    fn compute(&self, device: &Gpu, change: impl Fn(&mut [Vec<f64>; 2])) -> [Vec<f64>; 2] {
        use vae_gpu::backend::Session;
        let [m, n, k] = self.size;
        let (a, b) = match self.transpose {
            Transpose::Neither => ([m, k], [k, n]),
            Transpose::B => ([m, k], [n, k]),
            Transpose::A => ([k, m], [k, n]),
        };
        let k_of_a = |i: usize| if self.transpose == Transpose::A { i / m } else { i % k };
        let k_of_b = |i: usize| if self.transpose == Transpose::B { i % k } else { i / n };
        let mut operands = [values(Stream::Prior, m * k), values(Stream::Pixels, k * n)];
        operands[0].iter_mut().enumerate().for_each(|(i, x)| *x *= self.factors[0](k_of_a(i)));
        operands[1].iter_mut().enumerate().for_each(|(i, x)| *x *= self.factors[1](k_of_b(i)));
        change(&mut operands);
        let mut g = Graph::new(ParameterLayout::default());
        let left = g.input("a", Shape::new(a[0], a[1]));
        let right = g.input("b", Shape::new(b[0], b[1]));
        let product = g.apply(Matmul::new(self.transpose).into(), &[left, right]).unwrap();
        g.output("c", product);
        let [left, right] = operands;
        let inputs: HashMap<String, Vec<f64>> = [("a".to_owned(), left), ("b".to_owned(), right)].into();
        let wanted = interpret::<f64>(&g, &a_step(1), &[], &[], &inputs).unwrap().pop().unwrap();
        let mut session = device.open_session(g.layout(), &[]).unwrap();
        let program = session.load(compile(&g, Options::default()).unwrap()).unwrap();
        for (name, values) in &inputs {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            session.write_input(program, name, &values).unwrap();
        }
        session.run(&[program], &[a_step(1)]).unwrap();
        session.check_guards().unwrap();
        [session.read_output(program, "c").unwrap().iter().map(|&x| f64::from(x)).collect(), wanted]
    }

    /// Panics where they differ by more than sums in f32 do, of products of the size of the largest.
    fn check(&self, device: &Gpu) {
        let ([got, wanted], k) = (self.compute(device, |_| {}), self.size[2]);
        let largest = |factor: Factor| (0..k).map(factor).fold(0.0, f64::max);
        let unit: f64 = self.factors.map(largest).iter().product();
        let [got, wanted] = [got, wanted].map(|values| values.iter().map(|x| x / unit).collect::<Vec<f64>>());
        Tolerance::rounding(k).check(&format!("{:?} {:?}", self.transpose, self.size), &got, &wanted);
    }
}

/// Sizes around the edges of tiles and slices; three of tiles enough for large ones; one of a k that is shared out.
#[test]
fn sums_of_products_are_those_of_f32() {
    let Some(device) = half(true) else { return };
    let small = [[1, 1, 1], [15, 17, 16], [64, 64, 32], [65, 63, 33], [31, 130, 7], [100, 200, 784]];
    for size in small.into_iter().chain([[257, 255, 20], [256, 256, 64], [1024, 63, 33]]) {
        TRANSPOSES.into_iter().for_each(|transpose| Product::new(transpose, size).check(&device));
    }
}

/// An adapter's subgroups may be smaller than its largest.
#[test]
fn subgroups_may_be_smaller_than_the_largest() {
    let Some(mut device) = half(true) else { return };
    if device.profile().and_then(|profile| profile.half) != Half::new(8, 8) {
        eprintln!("SKIPPED: no subgroups of eight");
        return;
    }
    for largest in [16, 32] {
        device.change_profile(|profile| profile.half = Half::new(8, largest));
        for size in [[65, 63, 33], [64, 64, 32], [257, 255, 20]] {
            TRANSPOSES.into_iter().for_each(|transpose| Product::new(transpose, size).check(&device));
        }
    }
}

/// A power of two, as all factors here are: f16 holds their multiples as well.
fn tiny(_: usize) -> f64 {
    f64::powi(2.0, -40)
}

/// Beyond f16's numbers.
fn huge(_: usize) -> f64 {
    f64::powi(2.0, 30)
}

/// 2^-31, and from every fourth k on twice as much.
fn growing(k: usize) -> f64 {
    f64::powi(2.0, k as i32 / 4 - 31)
}

/// Numbers beyond f16's, and such as are too small for it; magnitudes that grow, so that sums are brought to other scales.
#[test]
fn operands_are_scaled_to_their_magnitudes() {
    let Some(device) = half(true) else { return };
    let factors: [[Factor; 2]; 4] = [[tiny, huge], [growing, |_| 1.0], [huge, growing], [growing, growing]];
    for factors in factors {
        for size in [[65, 63, 128], [257, 255, 40]] {
            TRANSPOSES.into_iter().for_each(|transpose| Product { transpose, size, factors }.check(&device));
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let Some(device) = half(false) else { return };
    for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        for operand in [0, 1] {
            let product = Product::new(Transpose::B, [40, 40, 70]);
            let [got, _] = product.compute(&device, |operands| operands[operand][5 * 70 + 69] = bad);
            let at = |i: usize| if operand == 0 { 5 * 40 + i } else { i * 40 + 5 };
            assert!((0..40).all(|i| !got[at(i)].is_finite()), "{bad} in operand {operand}");
        }
    }
}

#[test]
fn faults_are_reported() {
    let faults: [(&str, Fault); 8] = [
        ("no barrier behind the peaks", |kernel| {
            edit(kernel, "gemm/half.wgsl", "slice before.\n            workgroupBarrier();", "slice before.");
        }),
        ("no barrier behind a staged slice", |kernel| {
            edit(kernel, "gemm/half.wgsl", "workgroupBarrier();\n            if (subgroup", "if (subgroup");
        }),
        ("no barrier behind stored sums", |kernel| {
            edit(kernel, "gemm/half.wgsl", "workgroupBarrier();\n    for (var quad", "for (var quad");
        }),
        ("sums of another scale", |kernel| {
            edit(kernel, "gemm/half.wgsl", "rescale(&sums, place, wanted - scale);", "");
        }),
        ("a scale that is not undone", |kernel| {
            edit(kernel, "gemm/half.wgsl", "sums * power(by.x) * power(by.y)", "sums * power(by.x)");
        }),
        ("b not measured", |kernel| {
            edit(kernel, "gemm/half_stage.wgsl", "atomicMax(&peak_b, of_b);", "");
        }),
        ("a row of a quad in its neighbour's place", |kernel| {
            edit(kernel, "gemm/half_stage.wgsl", "store_staged(at + STRIDE", "store_staged(at + 2u * STRIDE");
        }),
        ("the second half of a slice left out", |kernel| {
            edit(kernel, "gemm/half_2x2.wgsl", "k < TILE_K", "k < SIDE");
        }),
    ];
    let product = |transpose| Product { transpose, size: [65, 63, 128], factors: [growing, huge] };
    let Some(device) = half(true) else { return };
    TRANSPOSES.into_iter().for_each(|transpose| product(transpose).check(&device));
    for (what, fault) in faults {
        let Some(device) = half_with(GpuOptions { checks: true, fault: Some(fault), ..GpuOptions::default() }) else {
            return;
        };
        let reported = TRANSPOSES.map(|transpose| panics(|| product(transpose).check(&device)));
        assert!(reported.contains(&true), "not reported: {what}");
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
        let options = device.options();
        let mut trainer = Trainer::new(&config, &data, device, options, None).unwrap();
        let epoch = trainer.run_epoch(&mut ()).unwrap().unwrap();
        ["train_loss", "test_loss", "test_kl"].map(|name| epoch.losses[name])
    };
    let (got, wanted) = (losses(&device), losses(&Cpu::<f64>::new()));
    // Factors are off by 2^-11 of themselves at most, in both directions; a wrong index or scale is off by far more.
    Tolerance { relative: 5e-3, absolute: 0.0 }.check("losses", &got, &wanted);
    assert_eq!(got, losses(&device), "another run, other losses");
    assert_ne!(got, losses(&gpu(GpuOptions::default()).unwrap()), "products were not rounded to f16");
}

/// Every operand and epilogue links with both sizes of matrices, and is valid; no adapter is needed.
#[test]
fn every_product_links_in_f16() {
    let large = [[2048, 8], [2048, 8]].map(|[rows, cols]| (Shape::new(rows, cols), Fill::Normal));
    let large = Case::new(Matmul::new(Transpose::B), 8, &large);
    let mut seen = [0; 2];
    for case in Op::cases().into_iter().chain([large]) {
        let (graph, _, _) = Graph::of_case(&case).unwrap();
        let plan = compile(&graph, Options::new(Fusion::None)).unwrap();
        for side in [8, 16] {
            let profile = DeviceProfile { half: Half::new(side, 32), ..DeviceProfile::new(AdapterClass::Wide) };
            for shader in lower(&plan, &profile).unwrap().shaders {
                if !shader.name.contains("gemm/half.wgsl") {
                    continue;
                }
                let module = reflect(&shader.name, &shader.source).unwrap().0;
                let capabilities = naga::valid::Capabilities::all();
                let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
                validator.validate(&module).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                seen[usize::from(shader.name.contains("gemm/half_4x4.wgsl"))] += 1;
            }
        }
    }
    assert!(seen[0] > 100 && seen[1] >= 2, "{seen:?} kernels");
}
