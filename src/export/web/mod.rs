//! Trained models, and their training, as web pages: one HTML file each, which asks no network for anything.
//!
//! A page holds recordings ([`crate::plan::Recording`]: the kernels that the command line runs), weights, examples and a runner, some
//! hundred lines of JavaScript on WebGPU. What needs the library itself is done here: graphs are planned and lowered, codes encoded,
//! densities fitted. What is left to JavaScript is what a host does at a step, and what a person sees.
//!
//! | file | what it does |
//! |---|---|
//! | `recording.mjs` | runs recordings: buffers, pipelines, submissions |
//! | `random.mjs` | Philox, normals, orders of an epoch, draws from densities: the numbers of [`crate::rng`] |
//! | `page.mjs` | unpacks a page; opens a device |
//! | `view.mjs` | pictures on canvases, files that are dropped, what is said |
//! | `model.mjs`, `explorer.mjs` | a trained model, and what a person does with it |
//! | `checkpoint.mjs`, `training.mjs`, `trainer.mjs` | safetensors, a run of training, and what a person sees of it |
//!
//! They are modules that Node runs too (`tests/dawn`). A page has them one behind another in a single script, without the lines that
//! import: a file opened from a disk can't import another.
//!
//! Read for this part: plotly.py's `to_html`, which puts a library and a figure's JSON into inline scripts of one file, as is done here,
//! where the page's policy forbids it the network too, and no text in it can end a script; and TensorFlow.js's WebGPU back-end, which
//! finds a program and buffers for each op while it runs: a recording has these, and its runner only encodes them.

mod explorer;
mod form;
mod programs;
mod trainer;
mod values;

pub use explorer::Explorer;
pub use trainer::trainer;

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use crate::error::{Error, Result};
use values::Values;

/// How weights travel in a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Weights {
    /// As they are, in single precision
    #[default]
    F32,
    /// In half precision, of half the size; computed with in single precision
    F16,
}

/// A part of a page that runs: what is seen of it, its numbers, and its script.
#[derive(Debug)]
pub struct Widget {
    /// What is seen.
    pub body: Markup,
    /// Its style.
    pub style: &'static str,
}

/// Puts together what a widget is: elements that are there from the start, a manifest, values, and scripts.
fn widget<M: Serialize>(
    elements: &Markup,
    manifest: impl FnOnce(usize) -> M,
    values: &Values,
    scripts: &[&str],
) -> Result<Widget> {
    let pieces = values.pieces();
    let manifest = serde_json::to_string(&manifest(pieces.len()))
        .map_err(|error| Error::Usage(format!("the page's manifest can't be written: {error}")))?;
    let body = html! {
        (elements)
        script type="application/json" id="manifest" { (PreEscaped(embedded(&manifest))) }
        @for (at, piece) in pieces.iter().enumerate() {
            script type="text/plain" id={ "values-" (at) } { (PreEscaped(piece)) }
        }
        script type="module" { (PreEscaped(linked(scripts))) }
    };
    Ok(Widget { body, style: include_str!("web.css") })
}

/// JSON that ends no script element.
fn embedded(json: &str) -> String {
    json.replace("</", "<\\/").replace("<!--", "\\u003c!--")
}

/// Modules one behind another.
fn linked(scripts: &[&str]) -> String {
    let lines = scripts.iter().flat_map(|script| script.lines()).filter(|line| !line.starts_with("import "));
    lines
        .map(|line| line.strip_prefix("export ").unwrap_or(line))
        .fold(String::from("\n"), |all, line| all + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn scripts_are_one_without_their_imports() {
        for scripts in [&explorer::SCRIPTS[..], &trainer::SCRIPTS] {
            let script = linked(scripts);
            assert!(
                !script.contains("\nimport ") && !script.contains("\nexport ") && !script.contains("</"),
                "{script}"
            );
            let declared = |line: &str| {
                let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && !"_$*".contains(c)).collect();
                let at = usize::from(words[0] == "async");
                let name = words.get(at + 1).filter(|name| !name.is_empty());
                name.filter(|_| ["const", "let", "function", "function*", "class"].contains(&words[at]))
                    .map(|name| (*name).to_owned())
            };
            let mut counts = BTreeMap::new();
            script.lines().filter_map(declared).for_each(|name| *counts.entry(name).or_insert(0) += 1);
            assert!(counts.len() > 30 && counts.contains_key("Session") && counts.contains_key("philox"), "{counts:?}");
            let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "a name stands for one thing in a page: {twice:?}");
        }
    }

    #[test]
    fn what_a_manifest_says_ends_no_script() {
        let text = "</script><!-- <script> \u{2028}";
        let json = embedded(&serde_json::to_string(text).unwrap());
        assert!(!json.contains("</") && !json.contains("<!--"));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn half_precision_refuses_what_it_does_not_hold() {
        let mut values = Values::default();
        values.weights("v", &[1.0, -65504.0, 1e-7], Weights::F16).unwrap();
        let error = values.weights("w", &[1.0, 7e4], Weights::F16).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("a weight is 70000"), "{error}");
    }
}
