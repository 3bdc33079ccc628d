//! Which number went wrong first: the steps since the last checkpoint are run again, which gives the same numbers, and the
//! one that failed is computed value by value.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::data_loader::{DataLoader, First};
use super::state::first_parameters;
use super::{Checkpoint, RunFolder, Trainer};
use crate::backend::Recorded;
use crate::backend::cpu::interpret;
use crate::data::Values;
use crate::error::{Error, Result, shell_word};
use crate::graph::{Graph, PARAMETERS, Source};
use crate::models::{Batches, Gradients};
use crate::ops::Order;
use crate::step::Step;

impl Trainer<'_> {
    /// What a run that failed at a step ends with: the error, and the first value that was not finite.
    pub(super) fn explain(&mut self, folder: &RunFolder, error: Error) -> Error {
        let (Error::NonFinite(reason), Some(failed)) = (&error, self.failed) else { return error };
        let found = match self.first_bad_value(folder, failed) {
            Ok(Some(found)) => format!("; replayed from there, {found}"),
            Ok(None) => String::new(),
            // The fault that is reported is the first one.
            Err(second) => format!("; it could not be replayed: {second}"),
        };
        let (path, rate) = (shell_word(folder.path()), self.config.lr / 10.0);
        Error::NonFinite(format!(
            "{reason}{found}; go on from there with a lower rate, vae-gpu train --resume {path} --lr {rate}, or with \
             --clip-norm 1"
        ))
    }

    fn first_bad_value(&mut self, folder: &RunFolder, failed: u64) -> Result<Option<String>> {
        // Steps among ranks can't be replayed by one of them.
        if self.ranks.count() > 1 || matches!(self.data.train.pixels, Values::Stored(_)) {
            return Ok(None); // the steps that failed are computed again on all data, which are not in memory
        }
        let path = folder.checkpoint("last");
        let start = match path.exists() {
            true => {
                let checkpoint = Checkpoint::load(&path)?;
                self.begin(&checkpoint.parameters, &checkpoint.optimiser)?;
                checkpoint.header.state.step
            }
            false => {
                let parameters = first_parameters(&self.config, &self.model, &self.data.train)?;
                let zeros = vec![vec![0.0; parameters.len()]; self.optimiser.arenas().len()];
                self.begin(&parameters, &zeros)?;
                0
            }
        };
        let (steps, _) = self.epoch_steps();
        // The step before is looked at too: a gradient that is not finite shows in the loss of the next step.
        let replayed: Vec<Step> = steps.iter().copied().filter(|step| (start..=failed).contains(&step.index)).collect();
        let (run, looked_at) = replayed.split_at(replayed.len().saturating_sub(2));
        self.replay(run)?;
        let whole = DataLoader::new(&self.data.train, 0, self.config.batch_size, Order::Shuffled, None)?;
        let of = Batches {
            augment: self.config.augment(self.data.train.size),
            noise: self.config.noise,
            ..whole.batches(self.config.pixels())
        };
        let first = whole.first();
        let sets: Vec<_> = first.iter().map(First::data).collect();
        let gradients = self.model.gradients(&of)?;
        for step in looked_at {
            let parameters = self.session.read_arena(PARAMETERS)?;
            for Gradients { graph, .. } in &gradients {
                let values = interpret::<f32>(graph, step, &parameters, &sets, &HashMap::new())?;
                if let Some(what) = first_not_finite(graph, &values) {
                    return Ok(Some(format!("the first value that is not finite is {what}, at step {}", step.index)));
                }
            }
            self.replay(&[*step])?;
        }
        Ok(None)
    }

    fn replay(&mut self, steps: &[Step]) -> Result<()> {
        let (session, loader, goes_on) =
            (&mut *self.session, &self.loaders[0], |_: &[Step], _: &Recorded| Ok(ControlFlow::Continue(())));
        match &mut self.shards {
            Some(shards) => shards.run(session, &*self.ranks, loader, steps, goes_on),
            None => self.queue.run(session, Some(loader), &self.training, steps, goes_on),
        }
    }
}

/// The name of the first value of a graph that holds a number that is none.
fn first_not_finite(graph: &Graph, values: &[Vec<f32>]) -> Option<String> {
    let bad = graph.ids().zip(values).find(|(_, value)| value.iter().any(|number| !number.is_finite()));
    let (id, value) = bad?;
    let at = value.iter().position(|number| !number.is_finite())?;
    let node = graph.node(id);
    let gradient = graph.gradients().iter().find(|(_, gradient)| *gradient == id);
    let name = match (&node.source, gradient) {
        (Source::Parameter(parameter), _) => format!("parameter {}", graph.layout().get(*parameter).name),
        (_, Some((parameter, _))) => format!("the gradient of {}", graph.layout().get(*parameter).name),
        (Source::Op(op), _) => format!("the output of {}", op.name()),
        _ => "an input".to_owned(),
    };
    Some(format!("{name}, {}: element {at} is {}", node.shape, value[at]))
}
