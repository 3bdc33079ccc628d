use super::operand::Computed;
use super::*;

fn from_f64<T: Lanes>(value: f64) -> T {
    num_traits::NumCast::from(value).unwrap()
}

/// Sizes `[m, n, k]`: one, ragged edges in all directions, many blocks of C, many k-blocks, exactly one k-block and one more.
const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [37, 700, 19],
    [1300, 33, 7],
    [129, 400, 61],
    [700, 1500, 128],
    [16, 16, 1000],
    [23, 90, 256],
    [24, 89, 257],
    [5, 130, 513],
];

/// Numbers in [-0.5, 0.5), and, of each so many side by side, only the first `kept` not zero.
fn numbers(count: usize, kept: usize, of: usize) -> Vec<f64> {
    (0..count).map(|i| if i % of < kept { f64::from((i * 37 % 101) as u32) / 101.0 - 0.5 } else { 0.0 }).collect()
}

fn rounded<T: Lanes>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| from_f64::<T>(value)).collect()
}

/// The sum as defined: that of its k-blocks' sums, each a chain of multiply-adds from zero.
fn sum<T: Lanes>(k: usize, a: impl Fn(usize) -> T, b: impl Fn(usize) -> T) -> T {
    let kc = k.div_ceil(k.div_ceil(KC));
    let sums = (0..k)
        .step_by(kc)
        .map(|from| (from..k.min(from + kc)).fold(T::zero(), |sum, p| num_traits::Float::mul_add(a(p), b(p), sum)));
    sums.reduce(|sum, next| sum + next).unwrap()
}

/// Whether the vector units at hand round a multiply-add once, as `mul_add` does.
fn fused() -> bool {
    struct Fused;
    impl WithSimd for Fused {
        type Output = bool;
        fn with_simd<S: Simd>(self, simd: S) -> bool {
            let lanes = |value: f64| f64::splat(simd, value);
            let tiny = f64::multiply_add(simd, lanes(1.0 + f64::EPSILON), lanes(1.0 - f64::EPSILON), lanes(-1.0));
            bytemuck::cast_slice::<_, f64>(&[tiny])[0] != 0.0
        }
    }
    dispatch(Fused)
}

/// GEMM of these operands, however they are stored, gives the sums as defined, bit for bit, on any threads, and runs the
/// epilogue once per element.
fn is_exact<T: Lanes + std::fmt::Debug>([m, n, k]: [usize; 3], a: &[f64], b: &[f64]) {
    let (a, b) = (rounded::<T>(a), rounded::<T>(b));
    for (a_transposed, b_transposed) in [(false, false), (false, true), (true, false), (true, true)] {
        let left = if a_transposed { Matrix::transposed(&a, m) } else { Matrix::rows(&a, k) };
        let right = if b_transposed { Matrix::transposed(&b, k) } else { Matrix::rows(&b, n) };
        let product = || {
            let mut out = vec![T::nan(); m * n];
            let mut secondary = vec![T::zero(); m * n.div_ceil(COLS_PER_SECONDARY)];
            gemm_with_secondary([m, n, k], &mut out, &mut secondary, left, right, |row, col, values, secondary| {
                assert!(row < m && col % EPILOGUE_COLS == 0 && values.len() == EPILOGUE_COLS.min(n - col));
                assert!(secondary.len() == values.len().div_ceil(COLS_PER_SECONDARY));
                values.iter_mut().for_each(|value| *value = *value + T::one());
                secondary.iter_mut().for_each(|secondary| *secondary = *secondary + T::one());
            });
            assert!(secondary.iter().all(|&secondary| secondary == T::one()), "[{m}, {n}, {k}]: finished once");
            out
        };
        let out = product();
        for row in (0..m).step_by(if m > 100 { 5 } else { 1 }).chain([m - 1]) {
            for col in (0..n).step_by(7).chain([n - 1]) {
                let at = |matrix: Matrix<'_, T>, i: usize, j: usize| {
                    matrix.values[i * matrix.strides.0 + j * matrix.strides.1]
                };
                let wanted = sum(k, |p| at(left, row, p), |p| at(right, p, col)) + T::one();
                let got = out[row * n + col];
                let near = (got - wanted).abs() <= from_f64::<T>(1e-4);
                assert!(got == wanted || !fused() && near, "[{m}, {n}, {k}] at {row} {col}: {got:?}, not {wanted:?}");
            }
        }
        for threads in [1, 3, 8] {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(out == threads.install(product), "[{m}, {n}, {k}]: the number of threads changes the result");
        }
    }
}

#[test]
fn sums_are_bit_for_bit_what_they_are_said_to_be() {
    for sizes @ [m, n, k] in SIZES {
        let (a, b) = (numbers(m * k, 1, 1), numbers(k * n, 1, 1));
        is_exact::<f32>(sizes, &a, &b);
        is_exact::<f64>(sizes, &a, &b);
    }
}

/// Operands are multiplied with AVX2 first, and then, on other threads, on the best vector instructions there are.
#[cfg(target_arch = "x86_64")]
#[test]
fn sums_are_the_same_on_older_vector_units() {
    let Some(avx2) = pulp::x86::V3::try_new() else { return };
    for sizes @ [m, n, k] in SIZES {
        let (a, b) = (numbers(m * k, 3, 4), numbers(k * n, 1, 1));
        crate::compute::simd::testing::on(pulp::Arch::V3(avx2), || {
            is_exact::<f32>(sizes, &a, &b);
            is_exact::<f64>(sizes, &a, &b);
        });
    }
}

/// The patches of a convolution, 3 x 3 with a border of zeros, as operand A and, transposed, as operand B, computed by rows, by columns
/// and as runs: the same bits as of the matrix of patches in memory.
#[test]
fn patches_are_multiplied_as_if_they_were_stored() {
    for (channels, filters) in [(3, 70), (16, 33), (29, 20), (40, 3)] {
        let (height, width) = (13, 17);
        let (pixels, k) = (height * width, 9 * channels);
        let image: Vec<f32> = rounded(&numbers(pixels * channels, 3, 4));
        // Tap (dy, dx) of the patch of pixel (y, x) is pixel (y + dy - 1, x + dx - 1), where there is one.
        let tap = |pixel: usize, tap: usize| {
            let (y, x) = (pixel / width + tap / 3, pixel % width + tap % 3);
            let inside = (1..=height).contains(&y) && (1..=width).contains(&x);
            inside.then(|| ((y - 1) * width + x - 1) * channels)
        };
        let patch =
            |pixel: usize, at: usize| tap(pixel, at / channels).map_or(0.0, |pixel| image[pixel + at % channels]);
        let stored: Vec<f32> = (0..pixels * k).map(|i| patch(i / k, i % k)).collect();
        let by_rows = |row: usize, col: usize, cols: usize, to: &mut [f32]| {
            to.iter_mut().enumerate().for_each(|(i, to)| *to = patch(row + i / cols, col + i % cols));
        };
        let by_columns = |row: usize, col: usize, rows: usize, to: &mut [f32]| {
            to.iter_mut().enumerate().for_each(|(i, to)| *to = patch(row + i % rows, col + i / rows));
        };
        let runs = |row: usize, run: usize, runs: usize, to: &mut [usize]| {
            to.iter_mut()
                .enumerate()
                .for_each(|(i, to)| *to = tap(row + i / runs, run + i % runs).unwrap_or(usize::MAX));
        };
        let mut operands: Vec<Operand<'_, f32>> = vec![Computed::by_columns(&by_columns).into()];
        if Runs::<f32>::takes(channels) {
            operands.push(Runs::new(&image, channels, &runs).into());
        }
        let weights: Vec<f32> = rounded(&numbers(k * filters, 1, 1));
        let d_y: Vec<f32> = rounded(&numbers(pixels * filters, 1, 1));
        // What the patches are multiplied by, and a weight's gradient: d_y^T patches, d_y [pixels, filters].
        let forward = |a: Operand<'_, f32>| {
            let mut out = vec![f32::NAN; pixels * filters];
            gemm([pixels, filters, k], &mut out, a, Matrix::rows(&weights, filters));
            out
        };
        let backward = |b: Operand<'_, f32>| {
            let mut out = vec![f32::NAN; filters * k];
            gemm([filters, k, pixels], &mut out, Matrix::transposed(&d_y, filters), b);
            out
        };
        let wanted = (forward(Matrix::rows(&stored, k).into()), backward(Matrix::rows(&stored, k).into()));
        for (way, operand) in operands.into_iter().enumerate() {
            assert!((forward(operand), backward(operand)) == wanted, "{channels} channels, way {way}");
        }
        assert!(backward(Computed::by_rows(&by_rows).into()) == wanted.1, "{channels} channels by rows");
    }
}

/// Parts of a long k are summed a k-block at a time, and then added in their order.
#[test]
fn a_long_k_is_summed_in_parts() {
    let [m, n, k] = [5, 9, 2 * PART_MIN_K + 2 * KC + 77];
    let (a, b): (Vec<f32>, Vec<f32>) = (rounded(&numbers(k * m, 1, 1)), rounded(&numbers(k * n, 1, 1)));
    let mut out = vec![f32::NAN; m * n];
    gemm_long_k([m, n, k], &mut out, Matrix::transposed(&a, m), Matrix::rows(&b, n));
    let part = k.div_ceil(k / PART_MIN_K).next_multiple_of(KC);
    for (at, &got) in out.iter().enumerate() {
        let product = |p: usize| (a[p * m + at / n], b[p * n + at % n]);
        let block = |from: usize, to: usize| (from..to).fold(0.0_f32, |sum, p| product(p).0.mul_add(product(p).1, sum));
        let of_part = |from: usize| {
            let end = k.min(from + part);
            (from..end).step_by(KC).map(|from| block(from, end.min(from + KC))).reduce(|sum, next| sum + next).unwrap()
        };
        let wanted = (0..k).step_by(part).map(of_part).reduce(|sum, next| sum + next).unwrap();
        assert!(if fused() { got == wanted } else { (got - wanted).abs() < 1e-4 }, "{at}: {got}, wanted {wanted}");
    }
}

#[test]
fn zeros_along_k_change_nothing() {
    for sizes @ [m, n, k] in [[37, 100, 300], [64, 784, 40], [129, 33, 61]] {
        for (a_kept, b_kept) in [(9, 40), (40, 9), (9, 9), (0, 40), (40, 0)] {
            is_exact::<f32>(sizes, &numbers(m * k, a_kept, 40), &numbers(k * n, b_kept, 40));
        }
    }
}

#[test]
fn a_number_that_is_none_is_seen_where_the_other_operand_is_not_zero() {
    let (a, mut b) = (vec![1.0_f32; 12 * 40], vec![0.0_f32; 40 * 50]);
    b[7 * 50 + 31] = f32::NAN;
    for left in [Matrix::rows(&a, 40), Matrix::transposed(&a, 12)] {
        let mut out = vec![0.0; 12 * 50];
        gemm([12, 50, 40], &mut out, left, Matrix::rows(&b, 50));
        assert!((0..12 * 50).all(|i| out[i].is_nan() == (i % 50 == 31)), "{out:?}");
    }
}

#[test]
fn what_is_left_out_is_the_same_on_any_threads() {
    let [m, n, k] = [200, 70, 40];
    let a: Vec<f32> = (0..m * k).map(|i| if i < 100 * k { 1.0 } else { 0.0 }).collect();
    let b = vec![f32::NAN; k * n];
    let none = |threads| -> Vec<bool> {
        let mut out = vec![0.0; m * n];
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        threads.install(|| gemm([m, n, k], &mut out, Matrix::rows(&a, k), Matrix::rows(&b, n)));
        out.iter().map(|value| value.is_nan()).collect()
    };
    let alone = none(1);
    assert!(alone[..100 * n].iter().all(|&none| none) && !alone[m * n - 1], "zero rows far from others are left out");
    for threads in [2, 3, 8] {
        assert!(none(threads) == alone, "{threads} threads skip other k than one");
    }
}

#[test]
#[should_panic(expected = "gemm reaches past its operands")]
fn gemm_past_its_operands_is_refused() {
    let (mut out, a, b) = ([0.0_f32; 6], [0.0; 4], [0.0; 6]);
    gemm([2, 3, 2], &mut out, Matrix::rows(&a, 3), Matrix::rows(&b, 3));
}
