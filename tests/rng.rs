//! The random numbers of `vae_gpu::rng` against published answers, an f64 inverse CDF, and statistics.
//! The shaders' twins are compared with these on a device elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use vae_gpu::rng::{Draw, Permutation, Stream, normal, philox, uniform};

const CELLS: u32 = 1 << 24;

#[test]
fn philox_gives_the_random123_answers() {
    assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    assert_eq!(
        philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
        [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
    );
}

#[test]
fn a_draw_is_a_word_of_its_block() {
    let draw = Draw { seed: 11, stream: Stream::Pixels, step: 0x0000_0005_0000_0007 };
    for element in [0, 1, 2, 3, 4, 783, u32::MAX] {
        let block = philox([element / 4, 42, 7, 5], [11, 3]);
        assert_eq!(draw.bits(42, element), block[element as usize % 4], "element {element}");
    }
}

#[test]
fn a_row_equals_its_draws_one_by_one() {
    let draw = Draw { seed: 3, stream: Stream::Posterior, step: u64::MAX };
    for length in [0, 1, 3, 4, 5, 20, 101] {
        let (mut normals, mut uniforms) = (vec![f32::NAN; length], vec![f32::NAN; length]);
        draw.normals(9, &mut normals);
        draw.uniforms(9, &mut uniforms);
        for e in 0..length {
            assert_eq!(normals[e], draw.normal(9, e as u32), "normal {e} of {length}");
            assert_eq!(uniforms[e], draw.uniform(9, e as u32), "uniform {e} of {length}");
        }
    }
}

#[test]
fn every_part_of_a_draw_changes_it() {
    let base = Draw { seed: 0, stream: Stream::Initialise, step: 0 };
    let mut seen = HashSet::from([base.bits(0, 0), base.bits(1, 0), base.bits(0, 1), base.bits(0, 4)]);
    seen.insert(Draw { seed: 1, ..base }.bits(0, 0));
    seen.insert(Draw { step: 1, ..base }.bits(0, 0));
    seen.insert(Draw { step: 1 << 32, ..base }.bits(0, 0));
    for stream in [
        Stream::Order,
        Stream::Posterior,
        Stream::Pixels,
        Stream::Prior,
        Stream::EvaluationPosterior,
        Stream::EvaluationPixels,
        Stream::Corruption,
        Stream::Generator,
        Stream::EvaluationGenerator,
        Stream::Importance,
        Stream::Synthetic,
    ] {
        seen.insert(Draw { stream, ..base }.bits(0, 0));
    }
    assert_eq!(seen.len(), 18);
}

#[test]
fn uniforms_are_exact_and_below_one() {
    assert_eq!(uniform(0xff), 0.0);
    assert_eq!(uniform(0x8000_0000), 0.5);
    assert_eq!(uniform(u32::MAX), 1.0 - f32::EPSILON / 2.0);
    assert_eq!(f64::from(uniform(0x1234_5600)), f64::from(0x12_3456) / f64::from(CELLS));
}

#[test]
fn the_inverse_cdf_of_these_tests_gives_known_quantiles() {
    // The two checks that AS 241 prints, and the quantile of 2^-25 (mpmath, 50 digits).
    for (tail, expected) in [(0.25, 0.674_489_750_196_081_7), (0.001, 3.090_232_306_167_814)] {
        assert!((upper_quantile(tail) - expected).abs() < 1e-14, "tail {tail}: {}", upper_quantile(tail));
    }
    assert!((upper_quantile(0.5f64.powi(25)) - 5.419_983_174_916_868).abs() < 1e-14);
}

/// The measured errors are 5.81e-7 and 1.87e-7; a unit in the last place is 4.8e-7 at 5 and at most 1.2e-7 relative.
#[test]
fn normal_is_near_the_inverse_cdf_at_every_input() {
    let largest = over_all_inputs(|k, worst: &mut [(f64, u32); 2]| {
        if k >= CELLS / 2 {
            let exact = upper_quantile(f64::from(2 * (CELLS - k) - 1) / f64::from(2 * CELLS));
            let error = (f64::from(normal(k << 8)) - exact).abs();
            worst[0] = if error > worst[0].0 { (error, k) } else { worst[0] };
            worst[1] = if error / exact > worst[1].0 { (error / exact, k) } else { worst[1] };
        }
    });
    for (kind, index, allowed) in [("absolute", 0, 5.9e-7), ("relative", 1, 1.9e-7)] {
        let (error, k) = largest.iter().map(|worst| worst[index]).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        println!("largest {kind} error {error:.3e} at k = {k}, {:.0}% of the tolerance", 100.0 * error / allowed);
        assert!(error <= allowed, "{kind} error {error:e} at k = {k}: normal is {}", normal(k << 8));
    }
}

#[test]
fn normal_is_odd_to_the_last_bit_and_ignores_the_low_byte() {
    over_all_inputs(|k, _: &mut ()| {
        let z = normal(k << 8);
        assert_eq!(z, -normal((CELLS - 1 - k) << 8), "k = {k}");
        assert_eq!(z, normal(k << 8 | 0xff), "k = {k}");
        assert_eq!(z > 0.0, k >= CELLS / 2, "k = {k}");
    });
}

/// Over all inputs the moments miss 0, 1, 0, 3 only by what the cells' middles lose in the tails.
#[test]
fn normal_has_the_moments_of_a_normal() {
    let sums = over_all_inputs(|k, sums: &mut [f64; 4]| {
        let z = f64::from(normal(k << 8));
        for (power, sum) in sums.iter_mut().enumerate() {
            *sum += z.powi(power as i32 + 1);
        }
    });
    let moment = |power: usize| sums.iter().map(|s| s[power - 1]).sum::<f64>() / f64::from(CELLS);
    println!("moments {:e} {} {:e} {}", moment(1), moment(2), moment(3), moment(4));
    assert!(moment(1).abs() < 1e-12 && moment(3).abs() < 1e-12);
    assert!((moment(2) - 1.0).abs() < 1e-6, "variance {}", moment(2));
    assert!((moment(4) - 3.0).abs() < 3e-5, "fourth moment {}", moment(4));
}

/// Neighbours in element, example and step are uncorrelated: a mean of 2^16 products is within 4.5 sigma of 0.
#[test]
fn neighbouring_normals_are_uncorrelated() {
    let at =
        |step, example, element| f64::from(Draw { seed: 1, stream: Stream::Posterior, step }.normal(example, element));
    let mut sums = [0.0; 4];
    for i in 0..1u32 << 16 {
        let (example, element) = (i / 32, i % 32);
        let z = at(5, example, element);
        sums[0] += z;
        sums[1] += z * at(5, example, element + 1);
        sums[2] += z * at(5, example + 1, element);
        sums[3] += z * at(6, example, element);
    }
    for (kind, sum) in ["mean", "element", "example", "step"].iter().zip(sums) {
        assert!(sum.abs() < 4.5 * 256.0, "{kind}: {} sigma", sum / 256.0);
    }
}

#[test]
fn half_bits_is_the_smallest_that_holds_n() {
    for n in (1..=4100).chain([60_000, 65_536, 65_537, 1 << 30, (1 << 30) + 1, u32::MAX]) {
        let h = Permutation::half_bits(n);
        assert!(h >= 1 && 1u64 << (2 * h) >= u64::from(n), "n = {n}: {h}");
        assert!(h == 1 || 1u64 << (2 * (h - 1)) < u64::from(n), "n = {n}: {h}");
    }
}

#[test]
fn permutations_are_bijections() {
    for n in (1..=70).chain([100, 255, 256, 257, 997, 1024, 1025, 4095, 4096, 4097, 60_000, 65_537, 262_145]) {
        for seed in 0..3 {
            let mut seen = vec![false; n as usize];
            let order = Permutation::new(seed, 0, n);
            for position in 0..n {
                let example = order.at(position) as usize;
                assert!(!std::mem::replace(&mut seen[example], true), "n = {n}, seed {seed}: {example} twice");
            }
        }
    }
}

#[test]
fn keys_alone_make_the_same_permutation_whatever_they_are() {
    let order = Permutation::new(4, 2, 60_000);
    assert_eq!(Permutation::from_keys(order.keys(), 60_000), order);
    for key in [0, 1, u32::MAX] {
        let order = Permutation::from_keys([key; 8], 1000);
        assert_eq!((0..1000).map(|p| order.at(p)).collect::<HashSet<_>>().len(), 1000);
    }
}

#[test]
fn the_largest_permutation_stays_in_range_and_does_not_repeat() {
    let order = Permutation::new(1, 3, u32::MAX);
    let positions = (0..50_000).chain(u32::MAX - 50_000..u32::MAX);
    let examples: HashSet<u32> = positions.map(|p| order.at(p)).collect();
    assert_eq!(examples.len(), 100_000);
    assert!(!examples.contains(&u32::MAX));
}

/// Every one of the 6 orders of 3 and 24 of 4 is as frequent as the others: chi-square of 24,000 seeds, with 5 and 23
/// degrees of freedom, below its 0.1% point.
#[test]
fn small_permutations_take_every_order_equally_often() {
    for (n, orders, limit) in [(3, 6usize, 20.5), (4, 24, 49.7)] {
        let mut counts = std::collections::HashMap::new();
        for seed in 0..24_000 {
            let order = Permutation::new(seed, 0, n);
            *counts.entry((0..n).map(|p| order.at(p)).collect::<Vec<_>>()).or_insert(0u32) += 1;
        }
        let expected = 24_000.0 / orders as f64;
        let chi_square: f64 = counts.values().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        println!("n = {n}: chi-square {chi_square:.1}");
        assert_eq!(counts.len(), orders, "n = {n}");
        assert!(chi_square < limit, "n = {n}: chi-square {chi_square}");
    }
}

/// A random order of n has mean displacement n / 3 (sigma 0.21 sqrt(n), from Spearman's footrule), uncorrelated
/// neighbours (sigma 1 / sqrt(n)), one fixed point on average, and its first half spread evenly over 100 bins
/// (chi-square with 99 degrees of freedom, doubled since half of all numbers are drawn).
#[test]
fn permutations_look_random() {
    for (seed, n) in [(0, 60_000u32), (1, 60_000), (2, 10_000), (3, 65_536), (4, 70_001)] {
        let order = Permutation::new(seed, u64::from(seed), n);
        let examples: Vec<f64> = (0..n).map(|p| f64::from(order.at(p))).collect();
        let size = f64::from(n);

        let displacement = examples.iter().enumerate().map(|(p, e)| (e - p as f64).abs()).sum::<f64>() / size;
        assert!(
            (displacement - size / 3.0).abs() < 4.5 * 0.21 * size.sqrt(),
            "seed {seed}: displacement {displacement}"
        );

        let fixed = examples.iter().enumerate().filter(|&(p, &e)| p as f64 == e).count();
        assert!(fixed <= 7, "seed {seed}: {fixed} fixed points");

        let centred = |e: f64| (e - (size - 1.0) / 2.0) / (size / 12f64.sqrt());
        for lag in [1, 2, 64, 256] {
            let products = examples.iter().zip(&examples[lag..]).map(|(&a, &b)| centred(a) * centred(b));
            let sigmas = products.sum::<f64>() / size.sqrt();
            assert!(sigmas.abs() < 4.5, "seed {seed}: correlation at lag {lag} is {sigmas} sigma");
        }

        let mut bins = [0.0; 100];
        for e in &examples[..n as usize / 2] {
            bins[(e * 100.0 / size) as usize] += 1.0;
        }
        let chi_square: f64 = bins.iter().map(|c| (c - size / 200.0).powi(2) / (size / 200.0)).sum::<f64>() * 2.0;
        println!("seed {seed}, n = {n}: displacement / n {:.4}, chi-square {chi_square:.1}", displacement / size);
        assert!((50.0..=160.0).contains(&chi_square), "seed {seed}: chi-square {chi_square}");
    }
}

/// Two orders of n agree at about one position, and are uncorrelated.
#[test]
fn epochs_and_seeds_differ() {
    let n = 60_000;
    let base = Permutation::new(0, 0, n);
    for other in [Permutation::new(0, 1, n), Permutation::new(0, 1 << 32, n), Permutation::new(1, 0, n)] {
        let same = (0..n).filter(|&p| base.at(p) == other.at(p)).count();
        assert!(same <= 7, "{same} positions agree");
        let middle = f64::from(n - 1) / 2.0;
        let product = |p| (f64::from(base.at(p)) - middle) * (f64::from(other.at(p)) - middle);
        let sigmas = (0..n).map(product).sum::<f64>() / (f64::from(n).powi(2) / 12.0) / f64::from(n).sqrt();
        assert!(sigmas.abs() < 4.5, "correlation {sigmas} sigma");
    }
}

/// Folds every k below 2^24 into a value, on 16 threads; gives the 16 values in order of k.
fn over_all_inputs<T: Default + Send>(visit: impl Fn(u32, &mut T) + Sync) -> Vec<T> {
    let visit = &visit;
    std::thread::scope(|scope| {
        let part = |i: u32| {
            scope.spawn(move || {
                let mut value = T::default();
                (i * (CELLS / 16)..(i + 1) * (CELLS / 16)).for_each(|k| visit(k, &mut value));
                value
            })
        };
        let threads: Vec<_> = (0..16).map(part).collect();
        threads.into_iter().map(|thread| thread.join().expect("a part of the inputs panicked")).collect()
    })
}

/// PPND16 (Wichura, Algorithm AS 241, Applied Statistics 37, 1988): the z >= 0 whose upper tail is `tail`, for tails
/// in [2^-25, 1/2], with a relative error of about 1e-16.
fn upper_quantile(tail: f64) -> f64 {
    let ratio = |above: [f64; 8], below: [f64; 8], x: f64| {
        let value = |c: [f64; 8]| c.iter().rev().fold(0.0, |sum, c| sum * x + c);
        value(above) / value(below)
    };
    let q = 0.5 - tail;
    if q <= 0.425 {
        return q * ratio(
            [
                3.387_132_872_796_366_5,
                1.331_416_678_917_843_8e2,
                1.971_590_950_306_551_3e3,
                1.373_169_376_550_946e4,
                4.592_195_393_154_987e4,
                6.726_577_092_700_87e4,
                3.343_057_558_358_813e4,
                2.509_080_928_730_122_7e3,
            ],
            [
                1.0,
                4.231_333_070_160_091e1,
                6.871_870_074_920_579e2,
                5.394_196_021_424_751e3,
                2.121_379_430_158_659_7e4,
                3.930_789_580_009_271e4,
                2.872_908_573_572_194_3e4,
                5.226_495_278_852_854e3,
            ],
            0.180_625 - q * q,
        );
    }
    let root = (-tail.ln()).sqrt();
    // The tails of these tests end at root 4.17, before AS 241's third region, which begins at 5.
    ratio(
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            2.417_807_251_774_506e-1,
            2.272_384_498_926_918_4e-2,
            7.745_450_142_783_414e-4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            6.897_673_349_851e-1,
            1.481_039_764_274_800_8e-1,
            1.519_866_656_361_645_7e-2,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
        root - 1.6,
    )
}
