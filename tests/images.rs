//! Ops on images, pooling, resizing and normalisation, against numbers worked by hand. Rung 2 of the ladder; no adapter needed.
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

#[test]
fn parts_of_normalisations_give_numbers_worked_by_hand() {
    // Two images of two pixels and two channels: columns 1, 3 and 2, 2, then 5, 9 and 0, 4. Means 2, 2, 7, 2; variances 1, 0, 4, 4.
    let x: ([usize; 4], &[f64]) = ([2, 2, 1, 2], &[1.0, 2.0, 3.0, 2.0, 5.0, 0.0, 9.0, 4.0]);
    let moments: ([usize; 2], &[f64]) = ([2, 4], &[2.0, 2.0, 1.0, 0.0, 7.0, 2.0, 4.0, 4.0]);
    close(&run(Moments, &[x]), moments.1);
    // Of all channels of an image; of channel 0, values 1, 3, 5, 9, and of channel 1, values 2, 2, 0, 4.
    close(&run(Statistics { over: Over::Group(1) }, &[moments]), &[2.0, 0.5, 4.5, 4.0 + 6.25]);
    let batch = Over::Batch { samples: 1 };
    let statistics: ([usize; 2], &[f64]) = ([2, 2], &[4.5, 8.75, 2.0, 2.0]);
    close(&run(Statistics { over: batch }, &[moments]), statistics.1);
    // x_hat of channel 0 is (x - 4.5) / 3, and of channel 1 (x - 2) / 1.5, with the epsilon added.
    let by: ([usize; 2], &[f64]) = ([2, 2], &[4.5, 8.75, 2.0, 2.0]);
    let (epsilon, scale) = (0.25, [2.0, 3.0]);
    let [scale, shift] = [(Shape::of([2]), &scale[..]), (Shape::of([2]), &[1.0, -1.0][..])];
    let [x_of, by] = [(Shape::of(x.0), x.1), (Shape::of(by.0), by.1)];
    let y = [-4.0 / 3.0, -1.0, 0.0, -1.0, 4.0 / 3.0, -5.0, 4.0, 3.0];
    close(&run(Normalise { over: batch, epsilon }, &[x_of, by, scale, shift]), &y);
    let d_y: (Shape, &[f64]) = (x_of.0, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    // 1 (-3.5) + 3 (-1.5) = -8, a third; 5 (0.5) + 7 (4.5) = 34, a third; 0 in channel 1, then -2 (6) + 2 (8) by 1.5.
    let sums: (Shape, &[f64]) = (Shape::new(2, 4), &[4.0, 6.0, -8.0 / 3.0, 0.0, 12.0, 14.0, 34.0 / 3.0, 4.0 / 1.5]);
    close(&run(NormSums { over: batch, epsilon }, &[x_of, by, d_y]), sums.1);
    let gradient = |of| run(NormParameterGradient { over: batch, of }, &[sums]);
    close(&gradient(NormParameter::Scale), &[26.0 / 3.0, 4.0 / 1.5]);
    close(&gradient(NormParameter::Shift), &[16.0, 20.0]);
    // Means over four elements, scaled by 2 and 3; over the two pixels and channels of each image.
    let terms: (Shape, &[f64]) = (Shape::new(2, 2), &[8.0, 13.0 / 3.0, 15.0, 2.0]);
    close(&run(NormTerms { over: batch, pixels: 2 }, &[sums, scale]), terms.1);
    let by_image = [6.5, -4.0 / 3.0, 16.5, 17.0 / 3.0 + 2.0];
    close(&run(NormTerms { over: Over::Group(1), pixels: 2 }, &[sums, scale]), &by_image);
    // Element 0: (2 - 8 + 7/6 (13/3)) / 3; element 1: (6 - 15 - 0) / 1.5; element 7: (24 - 15 - 4/3 (2)) / 1.5.
    let d_x = run(NormGradient { over: batch, epsilon }, &[x_of, by, scale, d_y, terms]);
    close(&[d_x[0], d_x[1], d_x[7]], &[(-6.0 + 91.0 / 18.0) / 3.0, -6.0, (9.0 - 8.0 / 3.0) / 1.5]);
    let scaled = run(NormScaledGradient { over: batch, epsilon }, &[by, scale, d_y]);
    close(&scaled[..4], &[2.0 / 3.0, 4.0, 2.0, 8.0]);
    let [mean, variance] = [(Shape::of([2]), &[1.0, 2.0][..]), (Shape::of([2]), &[3.0, 4.0][..])];
    close(&run(RunningStatistics, &[mean, variance]), &[1.0, 3.0, 2.0, 4.0]);
    // Two rows count, of one element each: the mean moves a quarter of the way from 1 to 5, the variance from 3 to twice 6.
    let new: (Shape, &[f64]) = (Shape::new(2, 2), &[5.0, 6.0, 2.0, 0.0]);
    close(&run(UpdateRunning { momentum: 0.25, samples: 1, pixels: 1 }, &[mean, variance, new]), &[2.0, 2.0]);
}
