//! What the line and scatter plots share: the surface, the font, the axes, marks and the legend.
//!
//! Everything is painted at four times the size and averaged down, because the bitmap backend has no smooth edges. So
//! coordinates here are *fine* pixels, four to a pixel of the finished picture; lengths go through [`fine`].

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Once;

use image::{DynamicImage, RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};
use crate::plot::Picture;
use crate::plot::axis::Axis;

/// Where plots are painted: the origin is the top left corner.
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// What painting gives: it can only fail through a fault of the drawing library or of the embedded font.
pub(super) type Painted<T = ()> = Result<T, Box<dyn StdError + Send + Sync>>;
/// A place in fine pixels: x to the right, y down.
pub(super) type Place = (i32, i32);

const FINE: u32 = 4;
/// Go Regular by Bigelow & Holmes; its licence lies beside it.
const FONT: &[u8] = include_bytes!("../../assets/fonts/Go-Regular.ttf");
const FAMILY: &str = "Go Regular";
const TEXT_SIZE: i32 = 19;
/// The library sets text this much too high.
const TEXT_DROP: i32 = 3;
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(226, 226, 226);

/// Space around a plot and between its parts.
const MARGIN: i32 = 16;
/// Height of the x axis' numbers and name.
const X_AXIS: i32 = 54;
/// Height of a legend line, and the space left of its text, which holds the sample.
const LEGEND_LINE: i32 = 28;
const LEGEND_SAMPLE: i32 = 48;
/// Longer names are cut, so that a legend leaves room for its plot.
const LEGEND_CHARS: usize = 24;

/// A length of the finished picture in fine pixels.
pub(super) fn fine(pixels: i32) -> i32 {
    pixels * FINE as i32
}

/// A white picture of `width` x `height` pixels, painted by `paint`.
pub(super) fn picture(
    what: &'static str,
    width: i32,
    height: i32,
    paint: impl FnOnce(&Area<'_>) -> Painted,
) -> Result<Picture> {
    let (width, height) = (width.unsigned_abs(), height.unsigned_abs());
    let size = (width * FINE, height * FINE);
    let mut pixels = vec![255; size.0 as usize * size.1 as usize * 3];
    checked(what, || {
        let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        paint(&area)?;
        Ok(area.present()?)
    })?;
    let image = RgbImage::from_raw(size.0, size.1, pixels).expect("three bytes a pixel");
    Ok(Picture { image: DynamicImage::ImageRgb8(imageops::thumbnail(&image, width, height)) })
}

/// Runs a piece of painting or measuring; a failure names the picture.
pub(super) fn checked<T>(what: &'static str, run: impl FnOnce() -> Painted<T>) -> Result<T> {
    run().map_err(|error| Error::io("drawing", Path::new(what))(std::io::Error::other(error)))
}

fn font() -> FontDesc<'static> {
    static REGISTERED: Once = Once::new();
    // Should this fail, every use of the font reports that there is none.
    REGISTERED.call_once(|| drop(register_font(FAMILY, FontStyle::Normal, FONT)));
    (FAMILY, fine(TEXT_SIZE)).into()
}

/// How wide a text is, in pixels of the finished picture.
pub(super) fn text_width(text: &str) -> Painted<i32> {
    Ok(font().box_size(text)?.0.div_ceil(FINE) as i32)
}

/// Paints a line of text whose middle is as high as `at`, and which starts, ends or is centred there.
pub(super) fn text(area: &Area<'_>, text: &str, at: Place, horizontal: HPos) -> Painted {
    let style = font().color(&INK).pos(Pos::new(horizontal, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), (at.0, at.1 + fine(TEXT_DROP)), style))?)
}

/// Where the values of two axes lie in a picture.
pub(super) struct Frame<'a> {
    x: &'a Axis,
    y: &'a Axis,
    /// Fine pixels.
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl<'a> Frame<'a> {
    /// Width and height, in pixels, that a frame and what stands around it take, for an inside of `width` x `height`.
    pub(super) fn outside(y: &Axis, width: i32, height: i32) -> Painted<(i32, i32)> {
        Ok((y_axis_width(y)? + width + 2 * MARGIN, X_AXIS + height + 2 * MARGIN))
    }

    /// Paints grid, numbers and names of both axes over `width` x `height` pixels at the left top.
    pub(super) fn paint(area: &Area<'_>, width: i32, height: i32, x: &'a Axis, y: &'a Axis) -> Painted<Frame<'a>> {
        let y_axis = y_axis_width(y)?;
        let (left, top) = (fine(MARGIN + y_axis), fine(MARGIN));
        let (inner_width, inner_height) = (fine(width - 2 * MARGIN - y_axis), fine(height - 2 * MARGIN - X_AXIS));
        let frame = Frame { x, y, left, top, width: inner_width, height: inner_height };

        let (right, bottom) = (left + inner_width, top + inner_height);
        let rule = |from, to, color: RGBColor| area.draw(&PathElement::new([from, to], color.stroke_width(FINE)));
        for &tick in &x.ticks {
            let (x_tick, _) = frame.place(tick, y.low);
            rule((x_tick, top), (x_tick, bottom), GRID)?;
            rule((x_tick, bottom), (x_tick, bottom + fine(5)), INK)?;
            text(area, &x.label(tick), (x_tick, bottom + fine(18)), HPos::Center)?;
        }
        for &tick in &y.ticks {
            let (_, y_tick) = frame.place(x.low, tick);
            rule((left, y_tick), (right, y_tick), GRID)?;
            rule((left - fine(5), y_tick), (left, y_tick), INK)?;
            text(area, &y.label(tick), (left - fine(9), y_tick), HPos::Right)?;
        }
        rule((left, top), (left, bottom), INK)?;
        rule((left, bottom), (right, bottom), INK)?;

        text(area, x.name, (left + inner_width / 2, bottom + fine(X_AXIS - 12)), HPos::Center)?;
        let upwards = font().transform(FontTransform::Rotate270).color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
        let y_name = (fine(MARGIN + 6 + TEXT_DROP), top + inner_height / 2);
        area.draw(&Text::new(y.name.to_owned(), y_name, upwards))?;
        Ok(frame)
    }

    /// Where the point (`x`, `y`) lies.
    pub(super) fn place(&self, x: f64, y: f64) -> Place {
        let along = |axis: &Axis, value: f64, length: i32| {
            ((value - axis.low) / (axis.high - axis.low) * f64::from(length)).round() as i32
        };
        (self.left + along(self.x, x, self.width), self.top + self.height - along(self.y, y, self.height))
    }
}

fn y_axis_width(y: &Axis) -> Painted<i32> {
    let widths = y.ticks.iter().map(|&tick| text_width(&y.label(tick))).collect::<Painted<Vec<_>>>()?;
    Ok(widths.into_iter().max().unwrap_or(0) + 36)
}

/// How wide [`legend`] gets, in pixels of the finished picture.
pub(super) fn legend_width(names: &[String]) -> Painted<i32> {
    let widths = names.iter().map(|name| text_width(&shortened(name))).collect::<Painted<Vec<_>>>()?;
    Ok(LEGEND_SAMPLE + widths.into_iter().max().unwrap_or(0) + MARGIN)
}

/// Paints names below each other from `left` pixels on; `sample(i, place)` paints what stands before name `i`.
pub(super) fn legend(
    area: &Area<'_>,
    left: i32,
    names: &[String],
    sample: impl Fn(usize, Place) -> Painted,
) -> Painted {
    for (index, name) in names.iter().enumerate() {
        let y = fine(MARGIN + LEGEND_LINE * index as i32 + LEGEND_LINE / 2);
        sample(index, (fine(left + LEGEND_SAMPLE / 2 - 4), y))?;
        text(area, &shortened(name), (fine(left + LEGEND_SAMPLE), y), HPos::Left)?;
    }
    Ok(())
}

/// How many legend lines fit beside a frame of `height` pixels.
pub(super) fn legend_lines(height: i32) -> usize {
    (height / LEGEND_LINE).max(1).unsigned_abs() as usize
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LEGEND_CHARS {
        return name.to_owned();
    }
    name.chars().take(LEGEND_CHARS - 1).chain(['…']).collect()
}

/// Paints a straight line of `width` pixels, with round ends so that lines join.
pub(super) fn line(area: &Area<'_>, from: Place, to: Place, color: RGBColor, width: i32) -> Painted {
    if from != to {
        area.draw(&PathElement::new([from, to], color.stroke_width(fine(width).unsigned_abs())))?;
    }
    dot(area, from, color.to_rgba(), fine(width) / 2)?;
    dot(area, to, color.to_rgba(), fine(width) / 2)
}

/// Paints a disc; the radius is in fine pixels, so that small dots have more sizes.
pub(super) fn dot(area: &Area<'_>, at: Place, color: RGBAColor, fine_radius: i32) -> Painted {
    Ok(area.draw(&Circle::new(at, fine_radius, color.filled()))?)
}

/// Paints the mark that tells curve `index` from its neighbours without colour.
pub(super) fn mark(area: &Area<'_>, index: usize, at: Place, color: RGBColor) -> Painted {
    let r = fine(5);
    let corners: &[Place] = match index % 5 {
        0 => return dot(area, at, color.to_rgba(), r),
        1 => &[(-r, -r), (r, -r), (r, r), (-r, r)],               // square
        2 => &[(0, -r - 4), (r + 2, r - 2), (-r - 2, r - 2)],     // triangle
        3 => &[(0, -r - 6), (r + 6, 0), (0, r + 6), (-r - 6, 0)], // diamond
        _ => {
            line(area, (at.0 - r, at.1 - r), (at.0 + r, at.1 + r), color, 2)?;
            return line(area, (at.0 - r, at.1 + r), (at.0 + r, at.1 - r), color, 2);
        }
    };
    let corners: Vec<Place> = corners.iter().map(|(x, y)| (at.0 + x, at.1 + y)).collect();
    Ok(area.draw(&Polygon::new(corners, color.filled()))?)
}
