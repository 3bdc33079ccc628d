//! What lies behind transparent pixels.

use std::fmt;
use std::str::FromStr;

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::luma;

/// A colour as CSS names it: `white`, `#ff8000`, `rgb(255, 128, 0)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Background([u8; 3]);

impl Background {
    /// An image without transparency: each pixel is a share alpha of its own colour and the rest of the background's. Also
    /// whether any pixel showed the background.
    pub(super) fn behind(self, image: DynamicImage) -> (DynamicImage, bool) {
        let [r, g, b] = self.0;
        let grey = luma([r, g, b].map(f64::from)).round() as u8;
        let byte = |value: u8, alpha: u8, back: u8| {
            let (value, alpha, back) = (u32::from(value), u32::from(alpha), u32::from(back));
            ((value * alpha + back * (255 - alpha) + 127) / 255) as u8
        };
        let word = |value: u16, alpha: u16, back: u8| {
            let (value, alpha, back) = (u64::from(value), u64::from(alpha), u64::from(back) * 257);
            ((value * alpha + back * (65_535 - alpha) + 32_767) / 65_535) as u16
        };
        match image {
            DynamicImage::ImageLumaA8(image) => {
                let shown = GrayImage::from_fn(image.width(), image.height(), |x, y| {
                    let [value, alpha] = image.get_pixel(x, y).0;
                    Luma([byte(value, alpha, grey)])
                });
                (shown.into(), image.pixels().any(|pixel| pixel.0[1] < 255))
            }
            DynamicImage::ImageRgba8(image) => {
                let shown = RgbImage::from_fn(image.width(), image.height(), |x, y| {
                    let [red, green, blue, alpha] = image.get_pixel(x, y).0;
                    Rgb([byte(red, alpha, r), byte(green, alpha, g), byte(blue, alpha, b)])
                });
                (shown.into(), image.pixels().any(|pixel| pixel.0[3] < 255))
            }
            DynamicImage::ImageLumaA16(image) => {
                let shown = ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
                    let [value, alpha] = image.get_pixel(x, y).0;
                    Luma([word(value, alpha, grey)])
                });
                (DynamicImage::ImageLuma16(shown), image.pixels().any(|pixel| pixel.0[1] < 65_535))
            }
            DynamicImage::ImageRgba16(image) => {
                let shown = ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
                    let [red, green, blue, alpha] = image.get_pixel(x, y).0;
                    Rgb([word(red, alpha, r), word(green, alpha, g), word(blue, alpha, b)])
                });
                (DynamicImage::ImageRgb16(shown), image.pixels().any(|pixel| pixel.0[3] < 65_535))
            }
            DynamicImage::ImageRgba32F(image) => {
                let mixed = |value: f32, alpha: f32, back: u8| value * alpha + f32::from(back) / 255.0 * (1.0 - alpha);
                let shown = ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
                    let [red, green, blue, alpha] = image.get_pixel(x, y).0;
                    Rgb([mixed(red, alpha, r), mixed(green, alpha, g), mixed(blue, alpha, b)])
                });
                (DynamicImage::ImageRgb32F(shown), image.pixels().any(|pixel| pixel.0[3] < 1.0))
            }
            opaque => (opaque, false),
        }
    }
}

impl FromStr for Background {
    type Err = String;
    fn from_str(text: &str) -> Result<Background, String> {
        let colour = csscolorparser::parse(text).map_err(|_| {
            format!(
                "{text:?} is no colour: give a name as white, or red, green and blue as #ff8000 or rgb(255, 128, 0)"
            )
        })?;
        match colour.to_rgba8() {
            [r, g, b, 255] => Ok(Background([r, g, b])),
            _ => Err(format!("{text:?} is transparent: a background must be opaque")),
        }
    }
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        match self.0 {
            [0, 0, 0] => write!(f, "black"),
            [255, 255, 255] => write!(f, "white"),
            _ => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Background, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn colours_are_read_or_refused() {
        let read = |text: &str| text.parse::<Background>().map(|background| background.to_string());
        assert_eq!(read("white").unwrap(), "white");
        assert_eq!(read("#000").unwrap(), "black");
        assert_eq!(read("rgb(255, 128, 0)").unwrap(), "#ff8000");
        assert!(read("blurple").unwrap_err().contains("no colour"));
        assert!(read("#ff800080").unwrap_err().contains("opaque"));
    }

    #[test]
    fn alpha_mixes_a_pixel_with_the_background() {
        let image =
            RgbaImage::from_fn(2, 1, |x, _| if x == 0 { Rgba([200, 100, 0, 51]) } else { Rgba([9, 9, 9, 255]) });
        let (shown, transparent) = Background([255, 0, 10]).behind(image.clone().into());
        // A fifth of the pixel and four fifths of the background.
        assert_eq!((shown.into_rgb8().into_raw(), transparent), (vec![244, 20, 8, 9, 9, 9], true));
        let opaque = RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 255]));
        assert!(!Background::default().behind(opaque.into()).1);
        let words = DynamicImage::ImageLumaA16(ImageBuffer::from_pixel(1, 1, image::LumaA([60_000, 13_107])));
        let (shown, _) = Background([255; 3]).behind(words);
        assert_eq!(shown.into_luma16().into_raw(), [64_428]); // 0.2 * 60000 + 0.8 * 65535
    }
}
