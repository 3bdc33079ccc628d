//! A phase of a step among ranks. Gradients travel one section of a shard after another, each while the next is computed; which values
//! are added in which order does not depend on it.

use super::{Mean, Phase, Shards};
use crate::backend::Session;
use crate::error::Result;
use crate::graph::{GRADIENTS, PARAMETERS};
use crate::ranks::Ranks;
use crate::step::Step;
use crate::train::data_loader::DataLoader;
use std::ops::Range;

impl Shards {
    /// A phase of a step among ranks, of which each computes the gradients of its run of shards, and updates its slices; returns what it
    /// recorded.
    pub(super) fn among(
        &mut self,
        session: &mut dyn Session,
        ranks: &dyn Ranks,
        loader: &DataLoader<'_>,
        phase: usize,
        step: &Step,
    ) -> Result<Vec<f64>> {
        let shards = self.of(step);
        let Some(slices) = &mut self.slices else { unreachable!("without slices all is on one device") };
        let Phase { gradients, columns, .. } = &self.phases[phase];
        let (count, own) = (ranks.count(), self.count / ranks.count());
        let held = |rank: usize| shards.len().saturating_sub(rank * own).min(own);
        let first = (ranks.rank() * own).min(shards.len());
        let mine = &shards[first..first + held(ranks.rank())];
        let (mut rows, mut states) = (Vec::new(), Vec::new());
        // What all ranks gave of each section: a list of their first shards, of their second, and so on.
        let mut received = vec![Vec::new(); slices.sections(phase).len()];
        let mut exchange = |(section, values): (usize, Vec<f32>), compute: &mut dyn FnMut(&mut dyn FnMut())| {
            let received: &mut Vec<Vec<f32>> = &mut received[section];
            let nth = received.len();
            let [sent, given] = lots(ranks, &slices.sections(phase)[section].ranks, |rank| held(rank) > nth);
            received.push(ranks.exchange(&values, &sent, &given, compute));
        };
        let mut travelling: Option<(usize, Vec<f32>)> = None;
        for (nth, (section, programs)) in (0..own).flat_map(|nth| gradients.iter().map(move |part| (nth, part))) {
            let mut submitted = Ok(Vec::new());
            let mut compute = |go_on: &mut dyn FnMut()| {
                let Some(shard) = mine.get(nth) else { return };
                submitted = programs
                    .iter()
                    .map(|&program| {
                        if program == gradients[0].1[0] {
                            loader.upload(session, &[shard.step])?;
                        }
                        let submission = session.submit(&[program], &[shard.step]);
                        go_on();
                        submission
                    })
                    .collect();
            };
            match travelling.take() {
                None => compute(&mut || {}),
                Some(lot) => exchange(lot, &mut compute),
            }
            for submission in submitted? {
                rows.extend_from_slice(session.finish(submission)?.values());
            }
            let span = slices.sections(phase)[*section].span.clone();
            let values = if nth < mine.len() { session.read_arena_part(GRADIENTS, span)? } else { Vec::new() };
            travelling = Some((*section, values));
            let is_last = gradients.last().is_some_and(|(last, _)| last == section);
            if is_last && nth < mine.len() && !self.state.is_empty() {
                for range in &self.state {
                    states.extend(session.read_arena_part(PARAMETERS, range.clone())?);
                }
                session.write_arena(PARAMETERS, &slices.parameters)?;
            }
        }
        if let Some(lot) = travelling {
            exchange(lot, &mut |_| {});
        }
        if !self.state.is_empty() {
            let width: usize = self.state.iter().map(Range::len).sum();
            let parts: Vec<usize> = (0..count).map(|rank| held(rank) * width).collect();
            let (mut mean, mut all) = (Mean::default(), vec![0.0; shards.len() * width]);
            ranks.gather(&states, &parts, &mut all);
            for (state, shard) in all.chunks(width).zip(&shards) {
                mean.add(&state.iter().copied().map(f64::from).collect::<Vec<_>>(), shard.weight);
            }
            let mut values = mean.0.into_iter();
            for range in &self.state {
                let state = slices.parameters[range.clone()].iter_mut();
                state.zip(values.by_ref()).for_each(|(to, value)| *to = value as f32);
            }
        }
        let sections = slices.sections(phase).iter().zip(&received);
        let sums = sections.map(|(section, received)| sum(received, section.ranks[ranks.rank()].len(), count, held));
        let sums: Vec<Vec<f32>> = sums.collect();
        slices.update(ranks, phase, &sums, step)?;
        session.write_arena(PARAMETERS, &slices.parameters)?;
        let parts: Vec<usize> = (0..count).map(|rank| held(rank) * columns).collect();
        let (all, mut mean) = (ranks.gather_numbers(&rows, &parts), Mean::default());
        shards.iter().zip(all.chunks(*columns)).for_each(|(shard, row)| mean.add(row, shard.weight));
        Ok(mean.0)
    }
}

/// How many values of a section this rank sends to each, and gets of each: those that each adds up, from those that have a shard.
fn lots(ranks: &dyn Ranks, parts: &[Range<usize>], has: impl Fn(usize) -> bool) -> [Vec<usize>; 2] {
    let mine = parts[ranks.rank()].len();
    let sent = parts.iter().map(|part| if has(ranks.rank()) { part.len() } else { 0 }).collect();
    let given = (0..parts.len()).map(|rank| if has(rank) { mine } else { 0 }).collect();
    [sent, given]
}

/// The sum of all shards' gradients of this rank's part of a section, of so many elements, in the order of the shards.
fn sum(received: &[Vec<f32>], len: usize, ranks: usize, held: impl Fn(usize) -> usize) -> Vec<f32> {
    let mut sum: Option<Vec<f32>> = None;
    for rank in 0..ranks {
        for of_ranks in &received[..held(rank)] {
            // Ranks before one that has a shard have one too.
            let shard = &of_ranks[rank * len..][..len];
            match &mut sum {
                None => sum = Some(shard.to_vec()),
                Some(sum) => sum.iter_mut().zip(shard).for_each(|(sum, value)| *sum += value),
            }
        }
    }
    sum.unwrap_or_else(|| vec![0.0; len])
}
