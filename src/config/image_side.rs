//! The size that images are resized to, and its text: `64x64`, height first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pixels of a side at most.
const MOST: usize = 16_384;

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSide {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

impl FromStr for ImageSide {
    type Err = String;
    fn from_str(text: &str) -> Result<ImageSide, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=MOST).contains(side));
        let sides = text.split_once('x').and_then(|(height, width)| Some((side(height)?, side(width)?)));
        let (height, width) =
            sides.ok_or_else(|| format!("{text:?} is no size: give HEIGHTxWIDTH, as 64x64, each from 1 to {MOST}"))?;
        Ok(ImageSide { height, width })
    }
}

impl fmt::Display for ImageSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl Serialize for ImageSide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageSide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ImageSide, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused() {
        assert_eq!("112x92".parse::<ImageSide>().unwrap().to_string(), "112x92");
        for text in ["", "64", "0x4", "4x0", "4x4x4", "-1x2", "64 x 64", "99999x1"] {
            assert!(text.parse::<ImageSide>().unwrap_err().contains("HEIGHTxWIDTH"), "{text}");
        }
    }
}
