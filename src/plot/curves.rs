//! Losses over epochs, as lines with marks.

use plotters::style::RGBColor;

use crate::error::Result;
use crate::plot::Picture;
use crate::plot::axis::{Axis, is_drawable, range};
use crate::plot::canvas::{self, Area, Frame, Painted, Place, fine, legend, legend_lines, legend_width, line, mark};

/// Pixels.
const WIDTH: i32 = 960;
const HEIGHT: i32 = 540;
const LINE_WIDTH: i32 = 2;
/// About how many marks a long curve carries.
const MARKS: usize = 12;

/// Colours that stay apart for most kinds of colour blindness (M. Okabe, K. Ito, "Color Universal Design", 2008).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// One line of a [`loss_curve`].
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the legend calls it; shortened after 24 characters.
    pub name: String,
    /// (epoch, nats per image), in the order of the line.
    pub points: Vec<(f64, f64)>,
}

/// Draws curves over epochs in nats per image, each with a colour and a mark, and a legend beside them. A non-finite
/// point is left out and interrupts its line. No curves, or none with a finite point, give bare axes. Five marks and
/// six colours tell 30 curves apart; the legend lists the first 16.
///
/// # Errors
/// None that depend on `curves`: [`Error::Io`](crate::error::Error::Io) where the drawing library fails.
pub fn loss_curve(curves: &[Curve]) -> Result<Picture> {
    let points = || curves.iter().flat_map(|curve| &curve.points).filter(|point| has_place(point));
    let x = Axis::new("epoch", range(points().map(|point| point.0)), 0.02, 10, true);
    let y = Axis::new("nats per image", range(points().map(|point| point.1)), 0.05, 8, false);
    canvas::picture("loss curve", WIDTH, HEIGHT, |area| {
        let names: Vec<String> =
            curves.iter().take(legend_lines(HEIGHT - 80)).map(|curve| curve.name.clone()).collect();
        let plot_width = WIDTH - legend_width(&names)?;
        let frame = Frame::paint(area, plot_width, HEIGHT, &x, &y)?;
        for (index, curve) in curves.iter().enumerate() {
            for stretch in curve.points.split(|point| !has_place(point)) {
                let places: Vec<Place> = stretch.iter().map(|&(x, y)| frame.place(x, y)).collect();
                paint(area, index, curves.len(), &places)?;
            }
        }
        legend(area, plot_width, &names, |index, at| {
            let (left, right) = ((at.0 - fine(16), at.1), (at.0 + fine(16), at.1));
            line(area, left, right, COLORS[index % COLORS.len()], LINE_WIDTH)?;
            mark(area, index, at, COLORS[index % COLORS.len()])
        })
    })
}

fn has_place(&(x, y): &(f64, f64)) -> bool {
    is_drawable(x) && is_drawable(y)
}

/// Paints an uninterrupted stretch; curves put their marks at different points, so that equal curves stay visible.
fn paint(area: &Area<'_>, index: usize, curves: usize, places: &[Place]) -> Painted {
    let color = COLORS[index % COLORS.len()];
    for ends in places.windows(2) {
        line(area, ends[0], ends[1], color, LINE_WIDTH)?;
    }
    let every = places.len().div_ceil(MARKS).max(1);
    for &at in places.iter().skip(every * index / curves).step_by(every) {
        mark(area, index, at, color)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Curve {
        Curve { name: "test".to_owned(), points: points.to_vec() }
    }

    fn has_color(picture: &Picture, color: RGBColor) -> bool {
        picture.image.as_rgb8().unwrap().pixels().any(|pixel| pixel.0 == [color.0, color.1, color.2])
    }

    #[test]
    fn curves_are_drawn_in_their_colours() {
        let falling = |start: f64| curve(&[(1.0, start), (2.0, start / 2.0), (3.0, start / 3.0)]);
        let picture = loss_curve(&[falling(300.0), falling(200.0)]).unwrap();
        assert_eq!((picture.width(), picture.height()), (960, 540));
        assert!(has_color(&picture, COLORS[0]) && has_color(&picture, COLORS[1]));
        assert!(!has_color(&picture, COLORS[2]));
    }

    #[test]
    fn degenerate_and_non_finite_curves_are_drawn_too() {
        let nan = f64::NAN;
        let many: Vec<(f64, f64)> = (0..2000).map(|i| (f64::from(i), f64::from(i % 7))).collect();
        for points in [
            &[][..],
            &[(1.0, 105.3)],
            &[(1.0, 100.0), (2.0, 100.0)],
            &[(1.0, nan), (2.0, f64::INFINITY), (nan, 3.0)],
            &[(1.0, 3.0), (2.0, nan), (3.0, 2.0)],
            &[(-1e300, 1.0), (0.0, -1e99), (1e99, 1e-300)],
            &many,
        ] {
            loss_curve(&[curve(points), curve(&[])]).unwrap();
        }
        loss_curve(&[]).unwrap();
        let long =
            Curve { name: "a name much longer than any legend should ever be".repeat(9), points: vec![(1.0, 2.0); 3] };
        loss_curve(&vec![long; 40]).unwrap();
    }
}
