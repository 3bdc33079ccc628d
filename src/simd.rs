//! Code for the vector units at hand.

/// Runs `f` compiled for the vector units that the CPU has (AVX2 and the like), as far as `f` is inlined. No fused
/// multiply-adds are made of `*` and `+`, so the result is the same on all of them.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}
