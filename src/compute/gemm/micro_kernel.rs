//! The innermost loop: a tile of a product, in vector registers.
//!
//! Of a tile's sums there must be so many vectors that they hide how long a multiply-add takes: eight do, where there are two
//! units that take four cycles. More rows, or more columns than fill a cache line, find fewer terms to leave out
//! ([`super::nonzero`]), fewer rows take more loads. So with AVX-512 a tile has 8 rows of one vector, and all else 6 of two: with
//! two vectors of `b` and one of `a`, its 12 sums are the most that the 16 registers of AVX2 hold.

use pulp::{NullaryFnOnce, Simd};

use super::nonzero::{CHUNK, Terms};
use super::pack_a::Sliver;
use super::pack_b::Panels;
use crate::compute::aligned::LINE;
use crate::compute::simd::Lanes;
use crate::unchecked::Window;

/// Rows of a tile, and vectors in a row: with vectors that fill a cache line,
pub(super) const OF_LINES: [usize; 2] = [8, 1];
/// and with shorter ones.
pub(super) const OF_PAIRS: [usize; 2] = [6, 2];

/// How large tiles are, at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) rows: usize,
    /// Vectors in a row.
    pub(super) vectors: usize,
    /// Numbers of a vector.
    pub(super) lanes: usize,
}

impl Extent {
    /// With these vectors of `T`.
    #[inline(always)]
    pub(super) fn of<T: Lanes, S: Simd>() -> Extent {
        let lanes = T::count::<S>();
        let [rows, vectors] = if lanes * size_of::<T>() == LINE { OF_LINES } else { OF_PAIRS };
        Extent { rows, vectors, lanes }
    }

    #[inline(always)]
    pub(super) fn columns(self) -> usize {
        self.vectors * self.lanes
    }
}

/// What a sliver is multiplied by, and where the sums go.
pub(super) struct Row<'p, 'w, 'a, T> {
    pub(super) panels: Panels<'p, T>,
    /// Which block of terms, and how many they are.
    pub(super) block: usize,
    pub(super) terms: usize,
    /// The terms in which the sliver is not zero.
    pub(super) of_sliver: &'p Terms,
    pub(super) out: &'w mut Window<'a, T>,
    /// The first row of `out`, and which of the panels' columns its first one is.
    pub(super) row: usize,
    pub(super) col: usize,
    /// To what is there, instead of in its place.
    pub(super) add: bool,
}

/// A row of tiles of `R` rows and `L` vectors: a sliver times all panels of its part.
#[inline(always)]
pub(super) fn tiles<T: Lanes, S: Simd, const R: usize, const L: usize>(
    simd: S,
    a: Sliver<'_, T, R>,
    row: Row<'_, '_, '_, T>,
) {
    match a {
        Sliver::Rows(a) => multiply(&mut Tiles::<_, T, S, R, L> { simd, a, row }),
        Sliver::Columns(a) => multiply(&mut Tiles::<_, T, S, R, L> { simd, a, row }),
    }
}

struct Tiles<'t, 'p, 'w, 'a, A: ?Sized, T: Lanes, S: Simd, const R: usize, const L: usize> {
    simd: S,
    a: &'t A,
    row: Row<'p, 'w, 'a, T>,
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
fn multiply<A, T: Lanes, S: Simd, const R: usize, const L: usize>(tiles: &mut Tiles<'_, '_, '_, '_, A, T, S, R, L>)
where
    A: Layout<T, S, R, L> + Layout<T, S, R, 1> + ?Sized,
{
    tiles.simd.vectorize(tiles);
}

impl<A, T: Lanes, S: Simd, const R: usize, const L: usize> NullaryFnOnce for &mut Tiles<'_, '_, '_, '_, A, T, S, R, L>
where
    A: Layout<T, S, R, L> + Layout<T, S, R, 1> + ?Sized,
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Tiles { simd, a, row: Row { panels, block, terms, of_sliver, ref mut out, row, col, add } } = *self;
        for at in (0..out.cols).step_by(L * T::count::<S>()) {
            let (panel, of_panel) = panels.panel(block, terms, col + at);
            let listed = of_panel.shorter(of_sliver);
            let panel = T::vectors::<S>(panel);
            let to = out.corner(row, at);
            match L == 1 || panel.len() == terms * L {
                true => store::<T, S, R, L>(simd, a.sums(simd, listed, panel.as_chunks().0), to, add),
                false => store::<T, S, R, 1>(simd, a.sums(simd, listed, panel.as_chunks().0), to, add),
            }
        }
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

/// Stores a tile's sums in these rows, or adds them to what is there.
#[inline(always)]
fn store<T: Lanes, S: Simd, const R: usize, const L: usize>(
    simd: S,
    sums: [[T::Vector<S>; L]; R],
    rows: [&mut [T]; R],
    add: bool,
) {
    let whole = rows[0].len() >= L * T::count::<S>();
    // Loops of their own, and short ones, so that they are unrolled and sums go straight from registers to where they belong.
    match (whole, add) {
        (true, false) => {
            for (r, out) in rows.into_iter().enumerate() {
                lines::<T, S, L>(out).copy_from_slice(&sums[r]);
            }
        }
        (true, true) => {
            for (r, out) in rows.into_iter().enumerate() {
                for (out, sum) in lines::<T, S, L>(out).iter_mut().zip(sums[r]) {
                    *out = T::sum(simd, *out, sum);
                }
            }
        }
        (false, _) => {
            for (r, out) in rows.into_iter().enumerate() {
                let sums = sums[r];
                store_some(bytemuck::cast_slice(&sums), out, add);
            }
        }
    }
}

/// The first `L` vectors of a row.
#[inline(always)]
fn lines<T: Lanes, S: Simd, const L: usize>(row: &mut [T]) -> &mut [T::Vector<S>] {
    &mut T::vectors_mut::<S>(row)[..L]
}

/// Of a row's sums, as many as `out` has.
#[inline(never)]
fn store_some<T: Lanes>(sums: &[T], out: &mut [T], add: bool) {
    out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = if add { *out + sum } else { sum });
}
