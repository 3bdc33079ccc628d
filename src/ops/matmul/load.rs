//! Where a product's factors come from: stored as they are, or computed from what is stored as they are read.
//!
//! An element's address is the sum of a part that its row (of the right factor: its column) gives and one that the term
//! gives, so that a loop computes each part once: for a batch read straight from the data set the first of them walks the
//! epoch's permutation, which is far dearer than the load itself.

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
    pub(super) fn link_left(&self, kernel: Kernel, stored: Shape, transposed: bool) -> Kernel {
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
    pub(super) fn link_right(&self, kernel: Kernel, stored: Shape, transposed: bool) -> Kernel {
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
