//! A page that explores a trained model.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Serialize;

use super::form::{Form, LOOKED_AT};
use super::programs::{Programs, parameters_read, plan};
use super::values::{Entry, Values};
use super::{Weights, Widget, widget};
use crate::backend::Session;
use crate::config::TrainConfig;
use crate::data::{Dataset, Moments};
use crate::density::Density;
use crate::error::Result;
use crate::models::{Capability, Condition, Model, Output};
use crate::ops::AdapterClass;
use crate::plan::Options;
use crate::train::Checkpoint;
use crate::train::condition::Conditions;
use crate::train::generate::{Encoder, LatentSource};

/// Pictures that are decoded at a time where many are.
const MANY: usize = 16;
/// Test images that are shown, at most.
const SHOWN: usize = 20;
/// Sliders at most.
const MOST_SLIDERS: usize = 256;

/// Kernels for adapters of one class serve all hardware: the pictures are few.
const CLASSES: [(&str, AdapterClass); 2] = [("hardware", AdapterClass::Intel), ("software", AdapterClass::Software)];

pub(super) const SCRIPTS: [&str; 6] = [
    include_str!("recording.mjs"),
    include_str!("random.mjs"),
    include_str!("page.mjs"),
    include_str!("view.mjs"),
    include_str!("model.mjs"),
    include_str!("explorer.mjs"),
];

/// A trained model for a page: its programs, weights, and what it makes of examples.
#[derive(Debug)]
pub struct Explorer {
    programs: Programs,
    values: Values,
    manifest: Described,
    /// Whether the model is shown pixels from 0 to 1, as a person may draw them.
    is_of_pixels: bool,
    output: Output,
    has_encoder: bool,
}

/// A source of latents; one with components has `NAME.weights`, `.means` and `.factors` among the values.
#[derive(Debug, Serialize)]
struct Source {
    name: &'static str,
    components: Option<usize>,
}

/// What the model is conditioned on.
#[derive(Debug, Serialize)]
struct Conditioned {
    width: usize,
    classes: Option<Vec<String>>,
    /// Numbers of the classes that it was trained on.
    trained: Vec<usize>,
    number: Option<Moments>,
}

/// What is known of the model besides its programs and its numbers.
#[derive(Debug, Serialize)]
struct Described {
    #[serde(flatten)]
    form: Form,
    /// Sliders at most.
    sliders: usize,
    /// Whether a prior keeps codes around 0, by about 1.
    centred: bool,
    condition: Option<Conditioned>,
    classes: Vec<String>,
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Manifest<'a> {
    #[serde(flatten)]
    described: &'a Described,
    pieces: usize,
    values: &'a [Entry],
    programs: &'a Programs,
}

impl Explorer {
    /// A checkpoint's model, with examples of its data, whose codes the session computes, and the sources that latents may be drawn
    /// from, each with its density but the prior N(0, I).
    ///
    /// # Errors
    /// [`crate::Error::Usage`] where the weights are too many for a page, or too large for half precision; those of the session.
    pub fn new(
        checkpoint: &Checkpoint,
        model: &Model,
        (config, data): (&TrainConfig, &Dataset),
        session: &mut dyn Session,
        sources: &[(LatentSource, Option<Density>)],
        weights: Weights,
    ) -> Result<Explorer> {
        let (architecture, schema) = (model.config(), &checkpoint.header.schema);
        let mut plans = BTreeMap::from([("decode", vec![plan(&model.decoding(1)?)?, plan(&model.decoding(MANY)?)?])]);
        let has_encoder = model.has(Capability::Encoder);
        if has_encoder {
            plans.insert("encode", vec![plan(&model.encoding(1)?)?, plan(&model.encoding(MANY)?)?]);
        }
        let programs = Programs::lower(&plans, &CLASSES)?;

        let mut values = Values::default();
        // What no program reads is left out: zeros take no room.
        let mut parameters = vec![0.0; checkpoint.parameters.len()];
        for range in parameters_read(plans.values().flatten()) {
            parameters[range.clone()].copy_from_slice(&checkpoint.parameters[range]);
        }
        values.weights("parameters", &parameters, weights)?;
        let test = &data.test;
        let (form, shown) = Form::of(architecture, config, test)?;
        if has_encoder {
            let mapped = test.clone().take_first(LOOKED_AT);
            let encoder = Encoder::load(session, model, mapped.count(), Options::default())?;
            let codes = encoder.apply(session, &shown, &mapped.conditions(0..mapped.count()))?.means;
            let labels: Vec<u32> = mapped.labels.iter().map(|label| label.unwrap_or(u32::MAX)).collect();
            let few = SHOWN.min(labels.len());
            values.reals("codes", &codes)?;
            values.words("labels", &labels)?;
            values.words("image_labels", &labels[..few])?;
            if architecture.condition.is_some() {
                values.reals("image_conditions", &test.conditions(0..few))?;
            }
            values.reals("images", &shown[..few * test.features()])?;
        }
        for (source, density) in sources {
            let Some(density) = density else { continue };
            for (part, numbers) in density.parts() {
                values.doubles(&format!("{}.{part}", source.name()), numbers)?;
            }
        }
        let sources = sources.iter().map(|(source, density)| Source {
            name: source.name(),
            components: density.as_ref().map(Density::components),
        });
        let condition = architecture.condition.map(|condition| Conditioned {
            width: condition.width(),
            classes: matches!(condition, Condition::Class(_)).then(|| schema.classes.clone()),
            trained: Conditions { model: architecture, schema, classes: config.classes.clone() }.trained(),
            number: schema.number.filter(|_| condition == Condition::Number),
        });
        let manifest = Described {
            form,
            sliders: MOST_SLIDERS,
            centred: model.has(Capability::Prior),
            condition,
            classes: schema.classes.clone(),
            sources: sources.collect(),
        };
        let is_of_pixels = schema.scaling.is_none() && schema.white.is_some();
        Ok(Explorer { programs, values, manifest, is_of_pixels, output: architecture.output, has_encoder })
    }

    /// Bytes of the weights that a model's decoding reads, in single precision.
    ///
    /// # Errors
    /// None that a validated model has.
    pub fn decoder_bytes(model: &Model) -> Result<usize> {
        let read = parameters_read([&plan(&model.decoding(1)?)?]);
        Ok(read.iter().map(ExactSizeIterator::len).sum::<usize>() * size_of::<f32>())
    }

    /// The part of a page that explores it.
    ///
    /// # Errors
    /// None that a loaded model has.
    pub fn widget(&self) -> Result<Widget> {
        let manifest = |pieces| Manifest {
            described: &self.manifest,
            pieces,
            values: &self.values.entries,
            programs: &self.programs,
        };
        widget(&self.elements(), manifest, &self.values, &SCRIPTS)
    }

    fn elements(&self) -> Markup {
        let condition = self.manifest.condition.as_ref();
        html! {
            p #status role="status" { "This page computes in the browser, on the GPU: it needs JavaScript and WebGPU." }
            section #explorer hidden {
                (self.manifest.form.drawn(self.output))
                div .stage {
                    canvas #picture role="img" aria-label="the picture of the latent" {}
                    div .controls {
                        @if condition.is_some_and(|condition| condition.classes.is_some()) {
                            label { "label " select #label {} }
                        } @else if condition.is_some() {
                            label { "number " input #number type="range"; span #given {} }
                        }
                        button #middle { "to the middle" }
                        @if self.manifest.form.latent > MOST_SLIDERS {
                            p { "The " (MOST_SLIDERS) " of " (self.manifest.form.latent) " dimensions that vary most." }
                        }
                        div #sliders {}
                    }
                    div .mapped {
                        canvas #map tabindex="0" role="application"
                            aria-label="the map of codes: a click, or the arrow keys, move the latent" {}
                        div .axes {
                            select #across aria-label="dimension across" {}
                            @if self.manifest.form.latent > 1 { select #up aria-label="dimension up" {} }
                        }
                        div #legend {}
                    }
                }
                h2 { "Samples" }
                p .controls {
                    label { "from " select #source {} } " "
                    label { "seed " input #seed type="number" min="0" max="4294967295" step="1" value="0" required; } " "
                    button #more { "others" }
                }
                div #samples .tiles {}
                @if !self.has_encoder {
                    p { "The model has no encoder: images have no codes, and the map has none." }
                } @else {
                    h2 { "Test images" }
                    p { "A click encodes one. Drag from one to another, or click the second with Shift, to see what lies between." }
                    div #images .tiles {}
                    div #between .tiles {}
                    div #yours hidden[!self.is_of_pixels] {
                        h2 { "An image of yours" }
                        p { "Draw on the left one, or drop or choose a picture: it is stretched to " (self.manifest.form.size[1]) "x"
                            (self.manifest.form.size[0]) (if self.manifest.form.size[2] == 3 { " RGB" } else { " grey" }) " pixels on "
                            (self.manifest.form.background) ", and what the model makes of it stands beside it." }
                        div .own { canvas #own role="img" aria-label="your drawing" {} canvas #rebuilt role="img" aria-label="the reconstruction" {} }
                        p .controls { button #clear { "clear" } " " input #file type="file" accept="image/*" aria-label="a picture"; }
                    }
                }
                h2 { "Traversals" }
                p .controls {
                    "The latent dimensions that vary most, a row each, around the latent above. " button #traverse { "from here" }
                }
                div #traversals .tiles .grid {}
            }
        }
    }
}
