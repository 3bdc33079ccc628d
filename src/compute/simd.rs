//! Runtime dispatch to the vector instructions of the CPU, and the number types that GEMM is written for.

use pulp::{Arch, Simd, WithSimd};

/// Runs `f` compiled for the CPU's vector instructions (AVX-512, AVX2 and the like), as far as `f` is inlined. `*` and `+` are
/// never fused, so the result is the same on all CPUs.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    arch().dispatch(f)
}

/// [`vectorised`] for code that is generic over the instruction set.
#[inline(always)]
pub(crate) fn dispatch<F: WithSimd>(f: F) -> F::Output {
    arch().dispatch(f)
}

#[inline(always)]
fn arch() -> Arch {
    #[cfg(test)]
    if let Some(arch) = testing::THIS_THREADS.get() {
        return arch;
    }
    Arch::new()
}

#[cfg(test)]
pub(crate) mod testing {
    use pulp::Arch;
    use std::cell::Cell;

    thread_local! {
        /// Instruction set that this thread uses instead of the best one.
        pub(super) static THIS_THREADS: Cell<Option<Arch>> = const { Cell::new(None) };
    }

    /// Runs `f` on threads that use this instruction set.
    pub(crate) fn on<R: Send>(arch: Arch, f: impl FnOnce() -> R + Send) -> R {
        let threads =
            rayon::ThreadPoolBuilder::new().num_threads(2).start_handler(move |_| THIS_THREADS.set(Some(arch)));
        threads.build().unwrap().install(f)
    }
}

/// Element types of a SIMD vector, f32 and f64, with the operations that GEMM needs.
///
/// Methods are for one instruction set, `S`, and are called inside a function that is compiled for it ([`pulp::Simd::vectorize`]).
pub trait Lanes: num_traits::Float + bytemuck::Pod + Send + Sync + 'static {
    /// A vector register.
    type Vector<S: Simd>: Copy + bytemuck::Pod;
    /// Lanes of a vector.
    fn count<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }
    /// Bits that are all clear exactly where the number is zero, of either sign.
    fn mark(self) -> u32;
    /// Broadcasts a number to all lanes.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// `a b + c`, rounded once where the CPU can.
    fn multiply_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    /// `a + b`.
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// As many whole vectors as there are.
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    /// As many whole vectors as there are.
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
}

macro_rules! lanes {
    ($T:ty, $mark:ident, $vector:ident, $splat:ident, $mul_add:ident, $add:ident, $vectors:ident, $vectors_mut:ident) => {
        impl Lanes for $T {
            type Vector<S: Simd> = S::$vector;
            #[inline(always)]
            fn mark(self) -> u32 {
                $mark(self)
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$vectors(values).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(values).0
            }
        }
    };
}
lanes!(f32, mark32, f32s, splat_f32s, mul_add_e_f32s, add_f32s, as_simd_f32s, as_mut_simd_f32s);
lanes!(f64, mark64, f64s, splat_f64s, mul_add_e_f64s, add_f64s, as_simd_f64s, as_mut_simd_f64s);

#[inline(always)]
fn mark32(value: f32) -> u32 {
    value.to_bits() << 1
}

#[inline(always)]
fn mark64(value: f64) -> u32 {
    let bits = value.to_bits() << 1;
    (bits >> 32 | bits) as u32
}
