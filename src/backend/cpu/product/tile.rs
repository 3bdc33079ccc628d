//! The innermost loop: a tile of a product, in vector registers.
//!
//! A tile has [`ROWS`] rows or fewer, and columns that fill one or two vectors. Its 12 vectors of sums, with two of `b` and one
//! of `a`, are the most that the 16 registers of AVX2 hold, and 12 sums at a time hide how long a multiply-add takes. Rows are
//! short of columns because tiles with few rows find more terms to leave out ([`super::terms`]).

use pulp::{NullaryFnOnce, Simd};

use super::sliver::Sliver;
use super::terms::CHUNK;
use crate::backend::unchecked::Window;
use crate::simd::Lanes;

/// Rows of a tile, at most.
pub(super) const ROWS: usize = 6;
/// Vectors in a row of a tile, at most.
pub(super) const VECTORS: usize = 2;

/// Columns of a full tile, with these vectors of `T`.
pub(super) fn columns<T: Lanes, S: Simd>() -> usize {
    VECTORS * T::count::<S>()
}

/// Where a tile's sums go.
pub(super) struct Corner<'w, 'a, T> {
    pub(super) out: &'w mut Window<'a, T>,
    pub(super) row: usize,
    pub(super) col: usize,
    /// To what is there, instead of in its place.
    pub(super) add: bool,
}

/// A tile of `R` rows and `L` vectors: a sliver times a panel, `[terms, L]`, in these terms where the sliver does not go
/// through all.
#[inline(always)]
pub(super) fn tile<T: Lanes, S: Simd, const R: usize, const L: usize>(
    simd: S,
    terms: &[u8],
    a: Sliver<'_, T, R>,
    panel: &[T],
    to: Corner<'_, '_, T>,
) {
    let panel = T::vectors::<S>(panel).as_chunks().0;
    match a {
        Sliver::Rows(a) => multiply(&mut Tile::<_, T, S, R, L> { simd, a, terms, panel, to }),
        Sliver::Columns(a) => multiply(&mut Tile::<_, T, S, R, L> { simd, a, terms, panel, to }),
    }
}

struct Tile<'t, 'w, 'a, A: ?Sized, T: Lanes, S: Simd, const R: usize, const L: usize> {
    simd: S,
    a: &'t A,
    terms: &'t [u8],
    panel: &'t [[T::Vector<S>; L]],
    to: Corner<'w, 'a, T>,
}

/// How a sliver's numbers lie, see [`Sliver`], and so how its terms are gone through.
trait Layout<T: Lanes, S: Simd, const R: usize, const L: usize> {
    fn sums(&self, simd: S, terms: &[u8], panel: &[[T::Vector<S>; L]]) -> [[T::Vector<S>; L]; R];
}

impl<T: Lanes, S: Simd, const R: usize, const L: usize> Layout<T, S, R, L> for [[[T; CHUNK]; R]] {
    #[inline(always)]
    fn sums(&self, simd: S, _: &[u8], panel: &[[T::Vector<S>; L]]) -> [[T::Vector<S>; L]; R] {
        let mut sums = [[T::splat(simd, T::zero()); L]; R];
        for (a, b) in self.iter().zip(panel.chunks(CHUNK)) {
            // A loop over eight terms would be unrolled, and then takes more registers than there are.
            for (term, &b) in b.iter().enumerate() {
                add(
                    simd,
                    &mut sums,
                    #[inline(always)]
                    |row| a[row][term % CHUNK],
                    b,
                );
            }
        }
        sums
    }
}

impl<T: Lanes, S: Simd, const R: usize, const L: usize> Layout<T, S, R, L> for [[T; R]] {
    #[inline(always)]
    fn sums(&self, simd: S, terms: &[u8], panel: &[[T::Vector<S>; L]]) -> [[T::Vector<S>; L]; R] {
        let mut sums = [[T::splat(simd, T::zero()); L]; R];
        let both = self.len().min(panel.len());
        let (a, b) = (&self[..both], &panel[..both]);
        for &term in terms {
            let a = &a[usize::from(term)];
            add(
                simd,
                &mut sums,
                #[inline(always)]
                |row| a[row],
                b[usize::from(term)],
            );
        }
        sums
    }
}

/// On its own: inlined into what calls it, the compiler would keep the sums in memory.
#[inline(never)]
fn multiply<A: Layout<T, S, R, L> + ?Sized, T: Lanes, S: Simd, const R: usize, const L: usize>(
    tile: &mut Tile<'_, '_, '_, A, T, S, R, L>,
) {
    tile.simd.vectorize(tile);
}

impl<A: Layout<T, S, R, L> + ?Sized, T: Lanes, S: Simd, const R: usize, const L: usize> NullaryFnOnce
    for &mut Tile<'_, '_, '_, A, T, S, R, L>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Tile { simd, a, terms, panel, ref mut to } = *self;
        store(simd, a.sums(simd, terms, panel), to);
    }
}

/// Adds a term. `a` is read row by row: all rows at once take more registers than there are.
#[inline(always)]
fn add<T: Lanes, S: Simd, const R: usize, const L: usize>(
    simd: S,
    sums: &mut [[T::Vector<S>; L]; R],
    a: impl Fn(usize) -> T,
    b: [T::Vector<S>; L],
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let a = T::splat(simd, a(row));
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = T::multiply_add(simd, a, b, *sum);
        }
    }
}

#[inline(always)]
fn store<T: Lanes, S: Simd, const R: usize, const L: usize>(
    simd: S,
    sums: [[T::Vector<S>; L]; R],
    to: &mut Corner<'_, '_, T>,
) {
    let Corner { ref mut out, row, col, add } = *to;
    for (r, sums) in sums.iter().enumerate() {
        let out = &mut out.row(row + r)[col..];
        match T::vectors_mut::<S>(out).first_chunk_mut::<L>() {
            Some(out) if add => {
                for (out, &sum) in out.iter_mut().zip(sums) {
                    *out = T::sum(simd, *out, sum);
                }
            }
            Some(out) => *out = *sums,
            // The last columns do not fill the vectors.
            None => {
                let sums = *sums; // elsewhere than in registers
                let sums: &[T] = bytemuck::cast_slice(&sums);
                out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = if add { *out + sum } else { sum });
            }
        }
    }
}
