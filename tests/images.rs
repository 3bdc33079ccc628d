//! Ops on images, pooling and resizing, against numbers worked by hand. Rung 2 of the ladder; no adapter needed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::references::{close, run};
use vae_gpu::ops::*;
use vae_gpu::tensor::Shape;

/// An image of one channel, with ties.
const IMAGE: ([usize; 4], &[f64]) = ([1, 3, 4, 1], &[1.0, 3.0, 2.0, 3.0, 0.0, -1.0, 5.0, 5.0, 4.0, 3.0, -2.0, 1.0]);

#[test]
fn pools_give_numbers_worked_by_hand() {
    // Worked with numpy on windows of the padded image: padding is 0 and counts in a mean, and is less than any maximum.
    let (two, halving) = (Window2d::new(2), Window2d::new(3).stride(2).padding(1));
    let average = |window| run(Pool { kind: Pooling::Average, window }, &[IMAGE]);
    close(&average(two), &[0.75, 2.25, 3.75, 1.5, 1.25, 2.25]);
    close(&average(halving), &[3.0 / 9.0, 17.0 / 9.0, 6.0 / 9.0, 11.0 / 9.0]);
    // Each element once for each window that covers it, a quarter of d_y = 1, 2, ..., 6.
    let d_y: ([usize; 4], &[f64]) = ([1, 2, 3, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let quarters = [1.0, 3.0, 5.0, 3.0, 5.0, 12.0, 16.0, 9.0, 4.0, 9.0, 11.0, 6.0];
    close(&run(AveragePoolGradient { window: two, size: [3, 4] }, &[d_y]), &quarters.map(|four| four / 4.0));

    let gaps = two.padding(1).dilation(2);
    let maxima = |window| run(Pool { kind: Pooling::Max, window }, &[IMAGE]);
    close(&maxima(two), &[3.0, 5.0, 5.0, 4.0, 5.0, 5.0]);
    close(&maxima(halving), &[3.0, 5.0, 4.0, 5.0]);
    close(&maxima(gaps), &[-1.0, 5.0, 5.0, 5.0, 3.0, 4.0, 3.0, 2.0, -1.0, 5.0, 5.0, 5.0]);
    // The first of equal ones has it all, d_y = 1, 2, ...: the left 5, not the right one.
    let gradient = |window, positions: [usize; 2]| {
        let d_y: Vec<f64> = (1..=positions[0] * positions[1]).map(|i| i as f64).collect();
        run(MaxPoolGradient { window }, &[IMAGE, ([1, positions[0], positions[1], 1], &d_y)])
    };
    close(&gradient(two, [2, 3]), &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 16.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    close(&gradient(halving, [2, 2]), &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 3.0, 0.0, 0.0, 0.0]);
    close(&gradient(gaps, [3, 4]), &[0.0, 12.0, 8.0, 0.0, 0.0, 10.0, 28.0, 14.0, 6.0, 0.0, 0.0, 0.0]);

    let nan = run(Pool { kind: Pooling::Max, window: two }, &[([1, 2, 2, 1], &[1.0, f64::NAN, 2.0, 3.0])]);
    assert!(nan[0].is_nan());
    let error =
        |kind, window: Window2d| Pool { kind, window }.shape(&[Shape::of([1, 9, 9, 1])]).unwrap_err().to_string();
    assert_eq!(error(Pooling::Average, two.dilation(2)), "pool: dilation is 2: an average's must be 1");
    assert!(error(Pooling::Max, Window2d::new(3).padding(2)).contains("padding must be at most half of that"));
}

#[test]
fn resized_images_are_those_worked_by_hand() {
    // Worked with numpy as products with a matrix for each extent: 3 x 4 to 5 x 3, taller and narrower.
    let (nearest, bilinear) = (Interpolation::Nearest, Interpolation::Bilinear);
    let at = |mode| run(Resize { mode, size: [5, 3] }, &[IMAGE]);
    close(&at(nearest), &[1.0, 3.0, 2.0, 1.0, 3.0, 2.0, 0.0, -1.0, 5.0, 0.0, -1.0, 5.0, 4.0, 3.0, -2.0]);
    let thirtieths =
        [[40.0, 75.0, 85.0], [22.0, 69.0, 111.0], [-5.0, 60.0, 150.0], [67.0, 33.0, 69.0], [115.0, 15.0, 15.0]];
    close(&at(bilinear), &thirtieths.concat().iter().map(|thirty| thirty / 30.0).collect::<Vec<_>>());
    // And with their transposes, d_y = 1, 2, ..., 15.
    let d_y: Vec<f64> = (1..=15).map(f64::from).collect();
    let adjoint = |mode| run(ResizeGradient { mode, size: [3, 4] }, &[([1, 5, 3, 1], &d_y)]);
    close(&adjoint(nearest), &[5.0, 7.0, 9.0, 0.0, 17.0, 19.0, 21.0, 0.0, 13.0, 14.0, 15.0, 0.0]);
    let thirtieths = [[85.0, 92.0, 108.0, 165.0], [315.0, 279.0, 297.0, 405.0], [475.0, 404.0, 420.0, 555.0]];
    close(&adjoint(bilinear), &thirtieths.concat().iter().map(|thirty| thirty / 30.0).collect::<Vec<_>>());
    // Twice as large as PyTorch's documentation has it: quarters and three quarters between centres.
    let four: ([usize; 4], &[f64]) = ([1, 2, 2, 1], &[1.0, 2.0, 3.0, 4.0]);
    let twice = run(Resize { mode: bilinear, size: [4, 4] }, &[four]);
    close(&twice[..8], &[1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5]);
    let error = Resize { mode: nearest, size: [0, 3] }.shape(&[Shape::of([1, 3, 4, 1])]).unwrap_err().to_string();
    assert!(error.contains("no extent may be 0"), "{error}");
}
