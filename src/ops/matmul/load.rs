//! Where a product's factors come from: stored as they are, or computed from what is stored as they are read.
//!
//! An element's address is the sum of a part that its row (of the right factor: its column) gives and one that the term
//! gives, so that a loop computes each part once: for a batch read straight from the data set the first of them walks the
//! epoch's permutation, which is far dearer than the load itself.
//!
//! Loops whose invocations share what they load read by fours: four rows (of the right factor: columns) at one term, which
//! is what an invocation multiplies at a time. Where the factor is stored so that they lie side by side, as both are of a
//! weight's gradient, a four is one load; where terms lie side by side it is four, whose cache lines neighbours share.

use std::borrow::Cow;

use super::*;

/// Where a factor's elements come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// They are stored.
    Stored,
    /// From a data set, whose pixels are not drawn: what [`Gather`] would write. Of a left factor that is not transposed,
    /// or a right one that is not.
    Gathered(Gather),
    /// From a posterior: what [`Reparameterise`] would write. Of the same factors.
    Reparameterised(Reparameterise),
}

impl Load {
    /// The factor's shape, where this is what it is loaded from.
    pub fn shape(&self, stored: Shape) -> Shape {
        match self {
            Load::Stored => stored,
            Load::Gathered(gather) => Shape::new(gather.rows, stored.cols),
            Load::Reparameterised(_) => Shape::new(stored.rows, stored.cols / 2),
        }
    }

    /// Whether four neighbours of a row can be one load.
    fn is_of_vectors(&self, stored: Shape) -> bool {
        *self == Load::Stored && stored.cols.is_multiple_of(FOUR)
    }

    /// The factor's elements.
    pub(super) fn elements<'a, T: Real>(&self, step: &Step, stored: View<'a, T>) -> Cow<'a, [T]> {
        let fill = |compute: &dyn Fn(&mut [T])| {
            let mut elements = vec![T::zero(); self.shape(stored.shape).len()];
            compute(&mut elements);
            Cow::Owned(elements)
        };
        match self {
            Load::Stored => Cow::Borrowed(stored.values),
            Load::Gathered(gather) => fill(&|elements| gather.reference(step, &[stored], &mut [elements])),
            Load::Reparameterised(draw) => fill(&|elements| draw.reference(step, &[stored], &mut [elements])),
        }
    }

    /// Links what defines `a_row`, `a_term` and `load_a`.
    fn link_left(&self, kernel: Kernel, stored: Shape, transposed: bool) -> Kernel {
        match (self, transposed) {
            (Load::Stored, false) => kernel.link(fragment!("load_a.wgsl")),
            (Load::Stored, true) => kernel.link(fragment!("load_a_transposed.wgsl")),
            (Load::Gathered(gather), _) => {
                gather.link_rows(kernel.link(fragment!("load_a_gathered.wgsl")), stored).link(fragment!("data_1.wgsl"))
            }
            (Load::Reparameterised(draw), _) => draw
                .link_noise(kernel.link(fragment!("load_a_reparameterised.wgsl")), stored.cols / 2)
                .link(fragment!("reparameterised.wgsl"))
                .link(fragment!("posterior_1.wgsl")),
        }
    }

    /// Links what defines `b_col`, `b_term` and `load_b`.
    fn link_right(&self, kernel: Kernel, stored: Shape, transposed: bool) -> Kernel {
        let cols = self.shape(stored).cols;
        match (self, transposed) {
            (Load::Stored, true) => kernel.link(fragment!("load_b_transposed.wgsl")),
            (Load::Stored, false) => kernel.link(fragment!("load_b.wgsl")).constant("B_COLS", cols),
            (Load::Gathered(gather), _) => gather
                .link_rows(kernel.link(fragment!("load_b_gathered.wgsl")), stored)
                .link(fragment!("data_2.wgsl"))
                .constant("B_COLS", cols),
            (Load::Reparameterised(draw), _) => draw
                .link_noise(kernel.link(fragment!("load_b_reparameterised.wgsl")), cols)
                .link(fragment!("reparameterised.wgsl"))
                .link(fragment!("posterior_2.wgsl")),
        }
    }
}

impl Matmul {
    /// Links what a loop reads its factors by: element by element, or by fours too.
    pub(super) fn link_factors(&self, kernel: Kernel, [a, b]: [Shape; 2], by_fours: bool) -> Kernel {
        let kernel = self.link_a(kernel, a, by_fours);
        self.link_b(kernel, b, by_fours)
    }

    fn link_a(&self, kernel: Kernel, stored: Shape, by_fours: bool) -> Kernel {
        let transposed = self.transpose == Transpose::Left;
        if by_fours && transposed && self.left.is_of_vectors(stored) {
            return kernel.link(fragment!("fours_a_vector.wgsl"));
        }
        let kernel = self.left.link_left(kernel, stored, transposed);
        match by_fours {
            true => kernel.link(fragment!("fours_a.wgsl")).constant("A_ALONG", usize::from(!transposed)),
            false => kernel,
        }
    }

    fn link_b(&self, kernel: Kernel, stored: Shape, by_fours: bool) -> Kernel {
        let transposed = self.transpose == Transpose::Right;
        if by_fours && !transposed && self.right.is_of_vectors(stored) {
            return kernel.link(fragment!("fours_b_vector.wgsl")).constant("B_COLS", stored.cols);
        }
        let kernel = self.right.link_right(kernel, stored, transposed).link(match self.finish {
            Finish::ColumnSums => fragment!("columns_and_ones.wgsl"),
            _ => fragment!("columns_plain.wgsl"),
        });
        match by_fours {
            true => kernel.link(fragment!("fours_b.wgsl")).constant("B_ALONG", usize::from(transposed)),
            false => kernel,
        }
    }
}
