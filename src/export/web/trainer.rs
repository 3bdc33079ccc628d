//! A page that trains a model.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Serialize;

use super::form::Form;
use super::programs::{Programs, plan};
use super::values::{Entry, Values};
use super::{Widget, widget};
use crate::config::TrainConfig;
use crate::data::{self, Dataset, Images};
use crate::error::{Error, Result};
use crate::graph::{ChannelsFirst, PARAMETERS, ParameterLayout};
use crate::models::{Capability, Prior};
use crate::ops::AdapterClass;
use crate::train::checkpoint::Header;
use crate::train::condition::Conditions;
use crate::train::portable::{Portable, Window};

/// Pictures that are drawn of the model while it trains.
const PREVIEWED: usize = 16;

const CLASSES: [(&str, AdapterClass); 4] = [
    ("wide", AdapterClass::Wide),
    ("apple", AdapterClass::Apple),
    ("intel", AdapterClass::Intel),
    ("software", AdapterClass::Software),
];

pub(super) const SCRIPTS: [&str; 7] = [
    include_str!("recording.mjs"),
    include_str!("random.mjs"),
    include_str!("page.mjs"),
    include_str!("view.mjs"),
    include_str!("checkpoint.mjs"),
    include_str!("training.mjs"),
    include_str!("trainer.mjs"),
];

/// What a host computes at a step.
#[derive(Debug, Serialize)]
struct Host {
    seed: u32,
    epochs: u64,
    patience: Option<u64>,
    batch: usize,
    lr: f64,
    lr_schedule: String,
    beta: f64,
    beta_schedule: String,
    beta1: f64,
    beta2: f64,
    weight_decay: f64,
}

/// A part of a set: images, or conditions, `[count, width]`.
#[derive(Debug, Serialize)]
struct Part {
    name: &'static str,
    index: usize,
    width: usize,
}

/// A set of examples.
#[derive(Debug, Serialize)]
struct Set {
    count: usize,
    batch: usize,
    window: usize,
    parts: Vec<Part>,
}

/// An arena of a checkpoint, and what is before its tensors' names.
#[derive(Debug, Serialize)]
struct Arena {
    name: &'static str,
    prefix: String,
}

/// A tensor of a checkpoint.
#[derive(Debug, Serialize)]
struct TensorOf<'l> {
    name: &'l str,
    offset: usize,
    length: usize,
    shape: &'l [usize],
    trained: bool,
    orders: &'l [ChannelsFirst],
}

#[derive(Serialize)]
struct Manifest<'a> {
    #[serde(flatten)]
    form: &'a Form,
    /// Whether pictures may stand for the data.
    takes_pictures: bool,
    condition: bool,
    terms: &'static [&'static str],
    /// Whether the loss ranks epochs.
    ranks: bool,
    columns: &'a [Vec<usize>; 2],
    preview: usize,
    host: Host,
    train: Set,
    held_out: Set,
    header: &'a Header,
    arenas: Vec<Arena>,
    tensors: Vec<TensorOf<'a>>,
    /// Values of an arena.
    length: usize,
    pieces: usize,
    values: &'a [Entry],
    programs: &'a Programs,
}

/// The part of a page that trains a configuration on these data.
///
/// # Errors
/// Those of [`Portable::new`]; [`Error::Usage`] where weights or data are too large for a page.
pub fn trainer(config: &TrainConfig, data: &Dataset) -> Result<Widget> {
    if let Some((what, set)) = data.sets().find(|(_, set)| matches!(set.pixels, data::Values::Stored(_))) {
        let bytes = set.pixels.bytes();
        return Err(Error::Usage(format!(
            "{}: the {what} set has {bytes} bytes and stays in its file: a page holds data that fit into memory, below --resident-limit",
            data.name
        )));
    }
    let portable = Portable::new(config, data)?;
    let (model, layout, held_out) = (&portable.model, portable.model.layout(), data.held_out());
    let mut values = Values::default();
    values.reals("parameters", &portable.parameters)?;
    let [train, measured] = portable.windows;
    let train = set("train", &data.train, train, &mut values)?;
    let measured = set("held_out", held_out, measured, &mut values)?;

    let from_prior = model.has(Capability::Prior) && model.config().prior == Prior::Normal;
    let count = if from_prior { PREVIEWED } else { PREVIEWED.min(held_out.count()) };
    let preview = if from_prior { model.decoding(count)? } else { model.reconstruction(count)? };
    let conditions = match from_prior {
        true => {
            let all = Conditions { model: model.config(), schema: &data.schema, classes: config.classes.clone() };
            all.in_turn(count)
        }
        false => held_out.conditions(0..count),
    };
    if model.config().condition.is_some() {
        values.reals("preview.conditions", &conditions)?;
    }
    let (form, shown) = Form::of(model.config(), config, held_out)?;
    if !from_prior {
        values.reals("preview.images", &shown[..count * held_out.features()])?;
    }
    let plans = BTreeMap::from([
        ("training", portable.training.clone()),
        ("evaluation", vec![portable.evaluation.clone()]),
        ("preview", vec![plan(&preview)?]),
    ]);
    let programs = Programs::lower(&plans, &CLASSES)?;
    let takes_pictures = data.train.pixels.are_bytes() && data.schema.scaling.is_none();
    let manifest = |pieces| Manifest {
        form: &form,
        takes_pictures,
        condition: model.config().condition.is_some(),
        terms: model.terms(),
        ranks: model.has(Capability::RankingLoss),
        columns: &portable.columns,
        preview: count,
        host: host(config),
        train,
        held_out: measured,
        header: &portable.header,
        arenas: arenas(&portable),
        tensors: tensors(layout),
        length: layout.len(),
        pieces,
        values: &values.entries,
        programs: &programs,
    };
    let elements = elements(model.terms(), from_prior, takes_pictures, &form.drawn(model.config().output));
    widget(&elements, manifest, &values, &SCRIPTS)
}

fn host(config: &TrainConfig) -> Host {
    Host {
        seed: config.seed,
        epochs: config.epochs,
        patience: config.patience,
        batch: config.batch_size,
        lr: config.lr,
        lr_schedule: config.lr_schedule.to_string(),
        beta: config.beta.measured(),
        beta_schedule: config.beta_schedule.to_string(),
        beta1: config.adam_beta1,
        beta2: config.adam_beta2,
        weight_decay: config.weight_decay,
    }
}

/// Puts a set's values into the page.
fn set(name: &str, images: &Images, window: Window, values: &mut Values) -> Result<Set> {
    let mut parts = vec![("images", &images.pixels)];
    parts.extend(images.condition.as_ref().map(|condition| ("conditions", condition)));
    for (part, held) in &parts {
        let name = format!("{name}.{part}");
        match held {
            data::Values::Bytes(bytes) => values.bytes(&name, bytes)?,
            data::Values::Reals(reals) => values.reals(&name, reals)?,
            data::Values::Stored(_) => unreachable!("they are in memory"),
        }
    }
    let part = |(at, (name, held)): (usize, &(&'static str, &data::Values))| Part {
        name,
        index: window.index + at,
        width: held.len() / images.count(),
    };
    let parts = parts.iter().enumerate().map(part).collect();
    Ok(Set { count: images.count(), batch: window.batch, window: window.batches, parts })
}

fn arenas(portable: &Portable) -> Vec<Arena> {
    let kept = portable.arenas.iter().map(|name| Arena { name, prefix: format!("{name}.") });
    std::iter::once(Arena { name: PARAMETERS, prefix: String::new() }).chain(kept).collect()
}

fn tensors(layout: &ParameterLayout) -> Vec<TensorOf<'_>> {
    let tensors = layout.parameters().iter().map(|parameter| TensorOf {
        name: &parameter.name,
        offset: parameter.offset,
        length: parameter.shape.len(),
        shape: &parameter.file_shape,
        trained: parameter.trained,
        orders: parameter.orders(),
    });
    tensors.collect()
}

fn elements(terms: &[&str], from_prior: bool, takes_pictures: bool, drawn: &Markup) -> Markup {
    html! {
        p #status role="status" { "This page trains in the browser, on the GPU: it needs JavaScript and WebGPU." }
        section #trainer hidden {
            p .controls {
                button #run { "Start" } " " button #download disabled { "Download the checkpoint" }
            }
            table {
                tr { th scope="row" { "epoch" } td #epoch { "-" } }
                tr { th scope="row" { "step" } td #step { "-" } }
                tr { th scope="row" { "mean of the epoch so far" } td #loss { "-" } }
                tr { th scope="row" { "images/s" } td #speed { "-" } }
            }
            h2 { "Loss" }
            p { "The training loss of each submission, the highest fiftieth cut off, and the loss of what is held out as dots." }
            canvas #curve role="img" aria-label="losses by step" {}
            h2 { (if from_prior { "Samples" } else { "Reconstructions" }) }
            (drawn)
            div #samples .tiles {}
            h2 { "Epochs" }
            table #epochs {
                tr {
                    th { "epoch" }
                    @for set in ["train", "held out"] { @for term in terms { th { (set) " " (term) } } }
                }
            }
            h2 { "Other data, or a checkpoint" }
            p {
                @if takes_pictures { "Drop pictures on the page, or choose some, to train on these. " }
                "A checkpoint of this model, of this page or of a run, goes on where it was. This page's goes on with "
                code { "vae-gpu train --resume checkpoint.safetensors" } " too."
            }
            p .controls { input #file type="file" multiple accept=(if takes_pictures { "image/*,.safetensors" } else { ".safetensors" }) aria-label="pictures or a checkpoint"; }
        }
    }
}
