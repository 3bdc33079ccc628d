//! Convolutions against the one sum that defines all three, in every algorithm, and the shapes that they refuse.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::cases::{reference, run};
use crate::common::{Check, Tolerance, fill, gpu};
use vae_gpu::backend::gpu::GpuOptions;
use vae_gpu::graph::{Graph, ParameterLayout};
use vae_gpu::ops::{
    Activation, Algorithm, Case, Conv2d, Conv2dWeightGradient, ConvTranspose2d, Epilogue, Gemm, Likelihood, Op,
    Operand, Operation, Window2d,
};
use vae_gpu::tensor::Shape;

/// The cases of convolutions.
fn cases() -> Vec<Case> {
    [Conv2d::cases(), ConvTranspose2d::cases(), Conv2dWeightGradient::cases()].concat()
}

fn index(shape: Shape, at: [usize; 4]) -> usize {
    at.iter().zip(shape.extents()).fold(0, |index, (at, extent)| index * extent + at)
}

/// `sum y w x` over everything that an element of the case's value is not: nothing of the crate but its activations.
fn by_loops(case: &Case) -> Vec<f64> {
    let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
    let output = case.op.shape(&shapes).unwrap();
    let inputs: Vec<Vec<f64>> = (0..shapes.len()).map(|i| fill(case, i)).collect();
    // Shapes of y, w and x, which of the three is the value, and where the others are.
    let (window, epilogue, [y, w, x], value) = match &case.op {
        Op::Conv2d(op) => (op.window, op.epilogue, [output, shapes[1], shapes[0]], 0),
        Op::ConvTranspose2d(op) => (op.window, op.epilogue, [shapes[0], shapes[1], output], 2),
        Op::Conv2dWeightGradient(op) => (op.window, Epilogue::Store, [shapes[0], output, shapes[1]], 1),
        other => panic!("{other:?} is no convolution"),
    };
    let mut sums = vec![0.0; output.len()];
    let &[batch, height, width, inner] = x.extents() else { unreachable!() };
    let &[_, rows, cols, out] = y.extents() else { unreachable!() };
    for n in 0..batch {
        for (i, j, o) in (0..rows * cols * out).map(|at| (at / out / cols, at / out % cols, at % out)) {
            for (a, b) in (0..window.kernel * window.kernel).map(|tap| (tap / window.kernel, tap % window.kernel)) {
                let at = |position: usize, tap: usize| {
                    (position * window.stride + tap * window.dilation).checked_sub(window.padding)
                };
                let (Some(p), Some(q)) = (at(i, a), at(j, b)) else { continue };
                if p >= height || q >= width {
                    continue;
                }
                for c in 0..inner {
                    let at = [index(y, [n, i, j, o]), index(w, [o, a, b, c]), index(x, [n, p, q, c])];
                    sums[at[value]] += match value {
                        0 => inputs[1][at[1]] * inputs[0][at[2]],
                        1 => inputs[0][at[0]] * inputs[1][at[2]],
                        _ => inputs[0][at[0]] * inputs[1][at[1]],
                    };
                }
            }
        }
    }
    for (at, sum) in sums.iter_mut().enumerate() {
        *sum = match epilogue {
            Epilogue::Store => *sum,
            Epilogue::BiasActivation(activation) => activation.value(*sum + inputs[2][at % output.cols()]),
            Epilogue::ActivationGradient(activation) => *sum * activation.slope(inputs[2][at]),
            other => panic!("no case has {other:?}"),
        };
    }
    sums
}

#[test]
fn references_are_the_sum_that_defines_them() {
    for case in cases() {
        Tolerance { relative: 1e-12, absolute: 1e-12 }.check(&case.to_string(), &reference(&case), &by_loops(&case));
    }
}

#[test]
fn algorithms_of_every_kind_compute_every_convolution() {
    let Some(device) = gpu(GpuOptions { checks: true, ..GpuOptions::default() }) else { return };
    // Loads of elements, of vec4s, of quads, of two quads each.
    for algorithm in [Algorithm::Registers, Algorithm::Subgroups, Algorithm::Split, Algorithm::Tiled8x8] {
        for case in cases() {
            let shapes: Vec<Shape> = case.inputs.iter().map(|(shape, _)| *shape).collect();
            let mut device = device.clone();
            device.set_tuning([(case.op.tuned_as(&shapes).unwrap(), algorithm)].into());
            let got = run(&case, &device).unwrap();
            let what = format!("{}: {case}", algorithm.name());
            Tolerance::rounding(case.terms).check(&what, &got, &by_loops(&case));
        }
    }
}

#[test]
fn all_three_have_the_same_multiplications() {
    for window in
        [Window2d::new(3).stride(2).padding(1), Window2d::new(4).stride(2).padding(1), Window2d::new(1).stride(2)]
    {
        let [images, map] = [[2, 8, 12, 5], [2, 4, 6, 7]].map(Shape::of);
        let weights = Shape::of([7, window.kernel, window.kernel, 5]);
        let gemms = [
            Conv2d::new(window).gemms(&[images, weights]),
            ConvTranspose2d::new(window, [8, 12]).gemms(&[map, weights]),
            Conv2dWeightGradient { window }.gemms(&[map, images]),
        ];
        let each = gemms.map(|gemms| gemms.iter().map(Gemm::flops).sum::<u64>());
        assert_eq!(each, [2 * (map.rows() * weights.len()) as u64; 3], "{window:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_both_shapes() {
    let window = Window2d::new(3).stride(2).padding(1);
    let [images, map, weights] = [[2, 7, 8, 4], [2, 4, 4, 5], [5, 3, 3, 4]].map(Shape::of);
    let scored = Epilogue::Likelihood {
        score: Likelihood::BceLogits,
        activation: Activation::Identity,
        target: Operand::Stored,
    };
    let wrong: [(Op, [Shape; 2], &str); 8] = [
        (Conv2d { window, epilogue: scored }.into(), [images, weights], "is an epilogue of a matmul alone"),
        (Conv2d::new(window).into(), [Shape::new(2, 224), weights], "x is [2, 224]: it must be images"),
        (Conv2d::new(window).into(), [images, Shape::of([5, 3, 3, 3])], "their last extents must be equal"),
        (
            Conv2d::new(window).into(),
            [images, Shape::of([5, 4, 3, 4])],
            "weights are [5, 4, 3, 4]: they must be [5, 3, 3,",
        ),
        (Conv2d::new(Window2d::new(9)).into(), [images, Shape::of([5, 9, 9, 4])], "the kernel must fit in"),
        (ConvTranspose2d::new(window, [9, 8]).into(), [map, weights], "the window has [5, 4] positions"),
        (ConvTranspose2d::new(window, [7, 8]).into(), [Shape::of([2, 4, 4, 6]), weights], "they must be [6, 3, 3,"),
        (Conv2dWeightGradient { window }.into(), [Shape::of([3, 4, 4, 5]), images], "of as many images"),
    ];
    for (op, shapes, rule) in wrong {
        let mut graph = Graph::new(ParameterLayout::default());
        let inputs: Vec<_> =
            shapes.iter().enumerate().map(|(i, &shape)| graph.input(&format!("in{i}"), shape)).collect();
        let error = graph.apply(op.clone(), &inputs).unwrap_err().to_string();
        assert!(error.contains(rule) && error.starts_with(op.name()), "{error}");
    }
}
