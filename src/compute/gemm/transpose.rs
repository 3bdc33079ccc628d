//! Transposition of small square blocks, in vector registers where there are instructions for it.

use pulp::Simd;

use super::nonzero::CHUNK;
use crate::compute::simd::Lanes;

/// Transposes `R` rows of [`CHUNK`] numbers.
#[inline(always)]
pub(super) fn transposed<T: Lanes, S: Simd, const R: usize>(simd: S, rows: [[T; CHUNK]; R]) -> [[T; R]; CHUNK] {
    #[cfg(target_arch = "x86_64")]
    if let (Some(avx), true) = (x86::avx(&simd), R == CHUNK && size_of::<T>() == size_of::<f32>()) {
        return bytemuck::cast(x86::transposed(avx, bytemuck::cast(rows)));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = simd;
    std::array::from_fn(|column| rows.map(|row| row[column]))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::core_arch::x86::Avx;
    use pulp::x86::{V3, V4};
    use std::any::Any;
    use std::arch::x86_64::__m256;

    /// The AVX instructions, where `simd` includes them; resolved at compile time.
    #[inline(always)]
    pub(super) fn avx(simd: &dyn Any) -> Option<Avx> {
        let v4 = simd.downcast_ref::<V4>().map(|v4| v4.avx);
        v4.or_else(|| simd.downcast_ref::<V3>().map(|v3| v3.avx))
    }

    /// Pairs of rows become pairs in columns, these fours, these eights.
    #[inline(always)]
    pub(super) fn transposed(avx: Avx, [a, b, c, d, e, f, g, h]: [__m256; 8]) -> [__m256; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (fours(avx, [a, b, c, d]), fours(avx, [e, f, g, h]));
        [
            avx._mm256_permute2f128_ps::<0x20>(a, e),
            avx._mm256_permute2f128_ps::<0x20>(b, f),
            avx._mm256_permute2f128_ps::<0x20>(c, g),
            avx._mm256_permute2f128_ps::<0x20>(d, h),
            avx._mm256_permute2f128_ps::<0x31>(a, e),
            avx._mm256_permute2f128_ps::<0x31>(b, f),
            avx._mm256_permute2f128_ps::<0x31>(c, g),
            avx._mm256_permute2f128_ps::<0x31>(d, h),
        ]
    }

    /// Of four rows the columns 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    #[inline(always)]
    fn fours(avx: Avx, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        let (low, next) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpacklo_ps(c, d));
        let (high, last) = (avx._mm256_unpackhi_ps(a, b), avx._mm256_unpackhi_ps(c, d));
        [
            avx._mm256_shuffle_ps::<0b01_00_01_00>(low, next),
            avx._mm256_shuffle_ps::<0b11_10_11_10>(low, next),
            avx._mm256_shuffle_ps::<0b01_00_01_00>(high, last),
            avx._mm256_shuffle_ps::<0b11_10_11_10>(high, last),
        ]
    }
}
