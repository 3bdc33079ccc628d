//! The text of an augmentation: `shift:2`, `flip`, `shift:2,flip`.

use std::fmt;
use std::str::FromStr;

use crate::ops::Augmentation;

/// Pixels that an image may be moved at most.
const MOST: u32 = 1000;

impl FromStr for Augmentation {
    type Err = String;
    fn from_str(text: &str) -> Result<Augmentation, String> {
        let mut found = Augmentation::default();
        for word in text.split(',').map(str::trim) {
            match word.split_once(':') {
                None if word == "flip" && !found.flip => found.flip = true,
                Some(("shift", pixels)) if found.shift == 0 => {
                    found.shift = pixels.parse().ok().filter(|pixels| (1..=MOST).contains(pixels)).unwrap_or(0);
                    if found.shift == 0 {
                        return Err(format!("{word:?}: a shift is from 1 to {MOST} pixels"));
                    }
                }
                _ => return Err(format!("{text:?} is no augmentation: give shift:PIXELS, flip, or shift:PIXELS,flip")),
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shift, self.flip) {
            (0, _) => write!(f, "flip"),
            (shift, false) => write!(f, "shift:{shift}"),
            (shift, true) => write!(f, "shift:{shift},flip"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn augmentation_is_read_or_refused() {
        for text in ["shift:2", "flip", "shift:2,flip"] {
            assert_eq!(text.parse::<Augmentation>().unwrap().to_string(), text);
        }
        for text in ["", "shift", "shift:0", "shift:-1", "shift:1,shift:2", "flip,flip", "flip:1", "rotate:3"] {
            assert!(text.parse::<Augmentation>().is_err(), "{text}");
        }
    }
}
