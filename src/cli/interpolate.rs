//! `vae-gpu interpolate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::label::Label;
use super::say;
use super::source::{Asked, Source, check_index};
use crate::error::{Error, Result};
use crate::files::check_target;
use crate::plan::Options;
use crate::train::generate::{Decoder, Encoder};
use crate::train::{ModelInput, image_grid};

/// How to get from one code to the other.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Along an arc, whose lengths are those of draws from the prior (Shoemake 1985; White 2016)
    Spherical,
    /// Along a line
    Linear,
}

/// Show the way from one test image to another through the latent, a pair a row
///
/// A model that was trained with --condition goes from the label of one to that of the other in a line, or decodes all with --label.
#[derive(Debug, Args)]
#[command(after_help = "Example: vae-gpu interpolate --pair 0,1 --pair 3,8 --steps 12 --out ways.png")]
pub(super) struct Interpolate {
    #[command(flatten)]
    source: Source,
    /// Two test images, from 0; may be given again [default: 0,1 2,3 and so on, eight rows]
    #[arg(long, value_name = "FROM,TO", value_parser = parse_pair)]
    pair: Vec<(usize, usize)>,
    /// Images a row, both ends counted, 2 to 100
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    steps: u32,
    /// How to get from one to the other
    #[arg(long, value_enum, default_value_t = Way::Spherical)]
    way: Way,
    #[command(flatten)]
    label: Label,
    #[command(flatten)]
    asked: Asked,
    /// The picture [default: RUN/figures/interpolations.png]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn parse_pair(text: &str) -> Result<(usize, usize), String> {
    let pair = text.split_once(',').and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
    pair.ok_or_else(|| format!("{text:?} is no pair: give two test images, as 0,1"))
}

impl Interpolate {
    pub(super) fn run(self) -> Result<()> {
        let found = self.source.find()?;
        let out = self.out.clone().unwrap_or_else(|| found.figure("interpolations.png"));
        check_target(&out)?;
        let (config, examples) = found.examples(&self.asked)?;
        let test = &examples.images;
        if self.pair.is_empty() && test.count() < 2 {
            return Err(Error::Usage(format!(
                "interpolate needs two test images: {} has {}; name other data with --data",
                examples.name,
                test.count()
            )));
        }
        let pairs = match self.pair.is_empty() {
            true => (0..8.min(test.count() / 2)).map(|row| (2 * row, 2 * row + 1)).collect(),
            false => self.pair.clone(),
        };
        for index in pairs.iter().flat_map(|&(from, to)| [from, to]) {
            check_index("--pair", index, test.count())?;
        }
        let (selected, mut session) = self.source.session(&found)?;
        let encoder = Encoder::load(&mut *session, &found.model, 2, Options::default())?;
        found.say(&selected);
        found.say_examples(&examples, true)?;
        let (header, steps) = (&found.checkpoint.header, self.steps as usize);
        let asked = self.label.condition(&found.conditions()?)?;
        let (mut latents, mut conditions) = (Vec::new(), Vec::new());
        for (from, to) in pairs {
            let end = |index: usize| test.shown(index..index + 1, config.binarise);
            let ends = [end(from)?, end(to)?].concat();
            let of_ends = [from, to].map(|index| test.conditions(index..index + 1));
            let codes = encoder.apply(&mut *session, &ends, &of_ends.concat())?.means; // [2, latent]
            let (a, b) = codes.split_at(header.model.latent);
            for step in 0..steps {
                let t = step as f64 / (steps - 1) as f64;
                let (from_a, from_b) = match self.way {
                    Way::Spherical => spherical(a, b, t),
                    Way::Linear => (1.0 - t, t),
                };
                let between = |a: &f32, b: &f32| ((1.0 - t) * f64::from(*a) + t * f64::from(*b)) as f32;
                match &asked {
                    Some(asked) => conditions.extend(asked),
                    None => conditions.extend(of_ends[0].iter().zip(&of_ends[1]).map(|(a, b)| between(a, b))),
                }
                latents.extend(a.iter().zip(b).map(|(a, b)| (from_a * f64::from(*a) + from_b * f64::from(*b)) as f32));
            }
        }
        let decoder = Decoder::load(&mut *session, &found.model, steps, Options::default())?;
        let images = decoder.apply(&mut *session, &latents, &conditions)?; // [pairs * steps, features]
        image_grid(header.model.output, &images, header.size(), steps)?.save(&out)?;
        say(format_args!("{}", out.display()));
        Ok(())
    }
}

/// Weights of both ends on the arc between them; on the line where they point the same or opposite ways.
fn spherical(a: &[f32], b: &[f32], t: f64) -> (f64, f64) {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let angle = (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).clamp(-1.0, 1.0).acos();
    if angle.is_nan() || angle.sin() <= 1e-6 {
        return (1.0 - t, t);
    }
    (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_arc_has_the_ends_length() {
        let (x, y) = spherical(&[1.0, 0.0], &[0.0, 1.0], 0.5);
        assert!((x.hypot(y) - 1.0).abs() < 1e-12 && (x - y).abs() < 1e-12);
        assert_eq!(spherical(&[1.0, 0.0], &[2.0, 0.0], 0.25), (0.75, 0.25));
        assert_eq!(spherical(&[0.0], &[0.0], 0.5), (0.5, 0.5));
        assert_eq!(parse_pair("3,8"), Ok((3, 8)));
        assert!(parse_pair("3").is_err());
    }
}
