//! Two latent coordinates of many images as a map, coloured by class.

use std::collections::BTreeMap;

use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor, WHITE};

use crate::error::{Error, Result};
use crate::plot::Picture;
use crate::plot::axis::{Axis, is_drawable, range};
use crate::plot::canvas::{self, Frame, checked, dot, fine, legend, legend_lines, legend_width, text};

/// Both sides of the frame in pixels: a unit is as long in one direction as in the other.
const SIDE: i32 = 640;
const PADDING: f64 = 0.04;
/// With more classes than this, names inside the map would only hide it.
const MOST_NAMED: usize = 20;
/// Characters of a class's name inside the map, and in the legend.
const MARKED: usize = 3;
const LISTED: usize = 18;

/// Ten colours for ten classes; further classes use them again, paler, and are told apart by their names.
const COLORS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(100, 100, 100),
    RGBColor(188, 189, 34),
    RGBColor(23, 190, 207),
];

/// Points of no class.
const UNLABELLED: RGBColor = RGBColor(70, 90, 120);

/// Draws `points` (`[count]`, both latent coordinates of an image) with a colour for each class of `labels`
/// (`[count]`, by number in `names`, grey where an image has none), a legend where there are classes, and, up to 20 of them,
/// the beginning of each one's name at its median. The axes have the same scale, so a latent that collapsed shows as a line.
/// Points with a non-finite coordinate are left out; no points give bare axes.
///
/// # Errors
/// [`Error::Usage`] where `points` and `labels` differ in length, [`Error::Io`] where the drawing library fails.
pub fn latent_map(points: &[[f32; 2]], labels: &[Option<u32>], names: &[String]) -> Result<Picture> {
    map(points, labels, names, MOST_NAMED)
}

/// The same of points from several sources, which lie over each other: their names stand in the legend alone.
///
/// # Errors
/// As [`latent_map`].
pub fn source_map(points: &[[f32; 2]], sources: &[Option<u32>], names: &[String]) -> Result<Picture> {
    map(points, sources, names, 0)
}

/// With a name at the median of each class, where there are at most `named` of them.
fn map(points: &[[f32; 2]], labels: &[Option<u32>], names: &[String], named: usize) -> Result<Picture> {
    if points.len() != labels.len() {
        return Err(Error::Usage(format!(
            "latent map: {} points, {} labels: must be equal",
            points.len(),
            labels.len()
        )));
    }
    // In the order given, so that no class hides another because of its number.
    let shown: Vec<(f64, f64, Option<u32>)> = points
        .iter()
        .zip(labels)
        .map(|(&[x, y], &label)| (f64::from(x), f64::from(y), label))
        .filter(|&(x, y, _)| is_drawable(x) && is_drawable(y))
        .collect();
    let mut classes: BTreeMap<u32, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for &(x, y, label) in &shown {
        let Some(label) = label else { continue };
        let (xs, ys) = classes.entry(label).or_default();
        xs.push(x);
        ys.push(y);
    }
    let (x_range, y_range) = same_scale(range(shown.iter().map(|p| p.0)), range(shown.iter().map(|p| p.1)));
    let x = Axis::new("latent 1", x_range, PADDING, 8, false);
    let y = Axis::new("latent 2", y_range, PADDING, 8, false);

    let labels: Vec<u32> = classes.keys().copied().collect();
    let lines = legend_names(&labels, names);
    let ((plot_width, height), names_width) =
        checked("latent map", || Ok((Frame::outside(&y, SIDE, SIDE)?, legend_width(&lines)?)))?;
    canvas::picture("latent map", plot_width + names_width, height, |area| {
        let frame = Frame::paint(area, plot_width, height, &x, &y)?;
        let (opacity, radius) = dot_style(shown.len());
        for &(x, y, label) in &shown {
            dot(area, frame.place(x, y), color(label).to_rgba().mix(opacity), radius)?;
        }
        if classes.len() <= named {
            for (&label, (xs, ys)) in &mut classes {
                let at = frame.place(median(xs), median(ys));
                dot(area, at, color(Some(label)).to_rgba(), fine(15))?;
                dot(area, at, WHITE.to_rgba(), fine(13))?;
                text(area, &shortened(&name(label, names), MARKED), at, HPos::Center)?;
            }
        }
        legend(area, plot_width, &lines, |index, at| match labels.get(index) {
            Some(&label) if index + 1 < lines.len() || labels.len() == lines.len() => {
                dot(area, at, color(Some(label)).to_rgba(), fine(7))
            }
            _ => Ok(()), // the line that counts the classes left out
        })
    })
}

/// A class's name; its number where it has none.
fn name(label: u32, names: &[String]) -> String {
    names.get(label as usize).cloned().unwrap_or_else(|| label.to_string())
}

fn shortened(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A line a class, and where they are too many for the height, a last line that counts the others.
fn legend_names(labels: &[u32], names: &[String]) -> Vec<String> {
    let lines = legend_lines(SIDE);
    let listed = if labels.len() > lines { lines - 1 } else { labels.len() };
    let mut all: Vec<String> = labels[..listed].iter().map(|&label| shortened(&name(label, names), LISTED)).collect();
    if listed < labels.len() {
        all.push(format!("{} more", labels.len() - listed));
    }
    all
}

/// Widens the shorter of two ranges around its middle to the length of the longer.
fn same_scale(x: (f64, f64), y: (f64, f64)) -> ((f64, f64), (f64, f64)) {
    let half = (x.1 - x.0).max(y.1 - y.0) / 2.0;
    let around = |(low, high): (f64, f64)| {
        let middle = low + (high - low) / 2.0;
        // The rounding of the middle must not cut the end off.
        ((middle - half).min(low), (middle + half).max(high))
    };
    (around(x), around(y))
}

/// Opacity and radius in fine pixels: the more dots, the fainter and smaller each.
fn dot_style(count: usize) -> (f64, i32) {
    match count {
        0..=1_000 => (0.9, 14),
        1_001..=5_000 => (0.7, 10),
        5_001..=20_000 => (0.55, 8),
        _ => (0.45, 6),
    }
}

fn color(label: Option<u32>) -> RGBColor {
    let Some(label) = label else { return UNLABELLED };
    let label = label as usize;
    let RGBColor(r, g, b) = COLORS[label % COLORS.len()];
    let paler = |channel: u8| if label < COLORS.len() { channel } else { channel / 2 + 110 };
    RGBColor(paler(r), paler(g), paler(b))
}

/// The middle value; `values` must not be empty.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_color(picture: &Picture, color: RGBColor) -> bool {
        picture.image.as_rgb8().unwrap().pixels().any(|pixel| pixel.0 == [color.0, color.1, color.2])
    }

    #[test]
    fn classes_are_drawn_in_their_colours() {
        let picture =
            latent_map(&[[-1.0, 0.5], [2.0, 1.0], [f32::NAN, 0.0]], &[Some(3), Some(5), Some(6)], &[]).unwrap();
        assert!(has_color(&picture, COLORS[3]) && has_color(&picture, COLORS[5]));
        assert!(!has_color(&picture, COLORS[6]), "a point that is not finite has no place and no legend");
    }

    #[test]
    fn any_number_of_points_is_drawn() {
        latent_map(&[], &[], &[]).unwrap();
        latent_map(&[[0.0, 0.0], [1.0, 0.0]], &[Some(255), None], &[]).unwrap();
        let extreme = [[f32::MAX, f32::MIN], [f32::MIN_POSITIVE, f32::INFINITY], [f32::MIN, f32::MAX]];
        latent_map(&extreme, &[Some(0), Some(1), None], &["a".to_owned(), "a long name of a class".to_owned()])
            .unwrap();
        let spiral = |i: u16| [f32::from(i).sin() * f32::from(i), f32::from(i).cos() * f32::from(i)];
        let points: Vec<[f32; 2]> = (0..60_000).map(spiral).collect();
        let labels: Vec<Option<u32>> = (0..60_000u32).map(|i| Some(i % 300)).collect();
        latent_map(&points, &labels, &[]).unwrap();
        assert!(matches!(latent_map(&points, &labels[1..], &[]), Err(Error::Usage(_))));
    }

    #[test]
    fn the_legend_counts_classes_it_has_no_room_for() {
        let all: Vec<u32> = (0..=255).collect();
        let names = legend_names(&all, &[]);
        assert_eq!(names.len(), legend_lines(SIDE));
        assert_eq!(names.last().unwrap(), &format!("{} more", 256 - (names.len() - 1)));
        assert_eq!(legend_names(&all[..3], &[]), ["0", "1", "2"]);
        assert_eq!(legend_names(&all[..1], &["the name of a class is long".to_owned()]), ["the name of a clas…"]);
    }

    #[test]
    fn both_axes_get_the_longer_range() {
        assert_eq!(same_scale((0.0, 4.0), (10.0, 11.0)), ((0.0, 4.0), (8.5, 12.5)));
    }
}
