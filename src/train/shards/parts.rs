//! Where a program of gradients is cut, so that those of one section can travel while those of the next are computed.

use std::ops::Range;

use crate::backend::{ProgramId, Session};
use crate::error::Result;
use crate::graph::GRADIENTS;
use crate::plan::Plan;

/// Groups of dispatches after which a host that computes them itself gets to move what travels: some milliseconds.
const MOVED: usize = 3;

/// The cuts of a plan.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// The sections in the order in which their gradients are done, and with which group; the last one is done with the last group.
    done: Vec<(usize, usize)>,
    /// Groups behind which there is no cut: those that record something stay together.
    uncut: Range<usize>,
}

impl Cuts {
    /// Those of a plan that stores the gradients of these sections, which are given as slices.
    pub(super) fn of(plan: &Plan, sections: &[Vec<Range<usize>>]) -> Cuts {
        let uncut = plan.recorders().next().unwrap_or(0)..plan.recorders().next_back().unwrap_or(0);
        let last = plan.dispatches.last().map_or(0, |dispatch| dispatch.group);
        let done_with = |section: &Vec<Range<usize>>| {
            let span = section[0].start..section[section.len() - 1].end;
            plan.writers(GRADIENTS, &span).next_back().unwrap_or(last)
        };
        let mut cuts = Cuts { done: sections.iter().map(done_with).enumerate().collect(), uncut };
        cuts.done.sort_by_key(|&(_, group)| group);
        for at in 0..cuts.done.len() {
            cuts.done[at].1 = if at + 1 == cuts.done.len() { last } else { cuts.behind(cuts.done[at].1) };
        }
        cuts
    }

    /// The first group from this one on behind which a program can be cut.
    fn behind(&self, group: usize) -> usize {
        if self.uncut.contains(&group) { self.uncut.end } else { group }
    }

    /// Cuts the plan's program: the sections in the order in which they are done, and what computes each, cut up further on a device that
    /// does not run ahead of the host.
    ///
    /// # Errors
    /// Those of [`Session::split`].
    pub(super) fn split(&self, session: &mut dyn Session, program: ProgramId) -> Result<Vec<(usize, Vec<ProgramId>)>> {
        let between = if session.runs_ahead() { usize::MAX } else { MOVED };
        let (mut all, mut rest, mut first) = (Vec::new(), program, 0);
        for (at, &(section, last)) in self.done.iter().enumerate() {
            let mut cuts = Vec::new();
            while last.saturating_sub(first) >= between {
                let cut = self.behind(first + between - 1).min(last);
                cuts.push(cut);
                first = cut + 1;
            }
            let is_last = at + 1 == self.done.len();
            cuts.retain(|&cut| cut < last);
            cuts.extend((!is_last).then_some(last));
            let mut parts = Vec::new();
            for cut in cuts {
                let behind = session.split(rest, cut)?;
                parts.push(std::mem::replace(&mut rest, behind));
            }
            parts.extend(is_last.then_some(rest));
            all.push((section, parts));
            first = last + 1;
        }
        Ok(all)
    }
}
