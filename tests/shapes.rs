//! Values of any rank, and data sets of any type: the same numbers as matrices of f32 give.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::a_step;
use crate::sessions::devices;
use half::f16;
use vae_gpu::backend::{Data, Values};
use vae_gpu::graph::{Graph, ParameterLayout};
use vae_gpu::ops::{Activation, Factor, Order, Pixels, SumRows, Transpose};
use vae_gpu::plan::{Fusion, Options, compile};
use vae_gpu::tensor::{DType, Shape};

#[test]
fn images_of_four_extents_are_rows_of_channels() {
    let layer = |shape: Shape| {
        let mut g = Graph::new(ParameterLayout::default());
        let (x, bias) = (g.input("x", shape), g.input("bias", Shape::of([shape.cols()])));
        let y = g.bias_activation(x, bias, Activation::Tanh).unwrap();
        let y = g.add_scaled(x, y, Factor::Constant(0.5)).unwrap();
        assert_eq!(g.shape(y), shape);
        let sums = g.apply(SumRows.into(), &[y]).unwrap();
        assert_eq!(g.shape(sums), Shape::of([shape.cols()]));
        g.output("y", y);
        g.output("sums", sums);
        g
    };
    let (images, matrix) = (Shape::of([2, 3, 7, 5]), Shape::new(42, 5));
    let x: Vec<f32> = (0..images.len()).map(|i| (i as f32 * 0.7).sin()).collect();
    for device in devices() {
        let run = |shape: Shape| {
            let mut session = device.session(&ParameterLayout::default(), &[]).unwrap();
            let program = session.load(compile(&layer(shape), Options::default()).unwrap()).unwrap();
            session.write_input(program, "x", &x).unwrap();
            session.write_input(program, "bias", &[0.5, -0.25, 0.0, 1.0, 2.0]).unwrap();
            session.run(&[program], &[a_step(2)]).unwrap();
            ["y", "sums"].map(|name| session.read_output(program, name).unwrap())
        };
        let [y, sums] = run(images);
        assert!(y.iter().all(|value| value.is_finite()) && sums.len() == 5);
        assert_eq!([y, sums], run(matrix), "{}", device.name());
    }
    let mut g = Graph::new(ParameterLayout::default());
    let (x, bias) = (g.input("x", images), g.input("bias", Shape::new(1, 5)));
    let error = g.bias_activation(x, bias, Activation::Relu).unwrap_err().to_string();
    assert_eq!(error, "bias_activation: x is [2, 3, 7, 5], bias is [1, 5]: bias must be [5]");
}

#[test]
fn a_data_set_of_halves_gives_what_its_reals_give() {
    // An odd number of values, so that the last word is half full; the smallest and largest halves among them.
    let shape = Shape::new(7, 5);
    let mut halves: Vec<f16> = (0..shape.len()).map(|i| f16::from_f32((i as f32 * 0.9).cos() * 3.0)).collect();
    halves[34] = f16::from_bits(1);
    halves[33] = f16::MAX;
    let reals: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
    for device in devices() {
        for fuse in [Fusion::None, Fusion::All] {
            let run = |values: Values<'_>| {
                let mut g = Graph::new(ParameterLayout::default());
                let data = g.dataset(0, shape, values.dtype());
                let (w, both) = (g.input("w", Shape::new(3, 5)), [Pixels::Grey, Pixels::Threshold]);
                for (name, pixels) in ["grey", "threshold"].into_iter().zip(both) {
                    let batch = g.gather(data, 7, Order::Stored, pixels).unwrap();
                    let y = g.matmul(batch, w, Transpose::B).unwrap();
                    g.output(name, y);
                }
                let stored = g.gather(data, 4, Order::Shuffled, Pixels::Grey).unwrap();
                g.output("stored", stored);
                let mut session = device.session(g.layout(), &[Data { shape, values }]).unwrap();
                let program = session.load(compile(&g, Options::new(fuse)).unwrap()).unwrap();
                session.write_input(program, "w", &[0.5; 15]).unwrap();
                session.run(&[program], &[a_step(4)]).unwrap();
                ["grey", "threshold", "stored"].map(|name| session.read_output(program, name).unwrap())
            };
            let wanted = run(Values::Reals(&reals));
            assert_eq!(run(Values::Halves(&halves)), wanted, "{} {fuse:?}", device.name());
        }
        let mut session =
            device.session(&ParameterLayout::default(), &[Data { shape, values: Values::Halves(&halves) }]).unwrap();
        let mut g = Graph::new(ParameterLayout::default());
        let data = g.dataset(0, shape, DType::F32);
        let batch = g.gather(data, 7, Order::Stored, Pixels::Grey).unwrap();
        g.output("batch", batch);
        let error = session.load(compile(&g, Options::default()).unwrap()).unwrap_err().to_string();
        assert!(error.contains("F32; the session holds") && error.contains("F16"), "{error}");
    }
}
