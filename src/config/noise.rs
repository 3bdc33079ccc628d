//! The text of a corruption: `gaussian:0.3`, `mask:0.25`.

use std::fmt;
use std::str::FromStr;

use crate::ops::Noise;

impl FromStr for Noise {
    type Err = String;
    fn from_str(text: &str) -> Result<Noise, String> {
        let number = |text: &str| text.parse::<f64>().ok();
        let found = match text.split_once(':') {
            Some(("gaussian", deviation)) => number(deviation)
                .filter(|deviation| *deviation > 0.0 && deviation.is_finite())
                .map(|deviation| Noise::Gaussian { deviation }),
            Some(("mask", fraction)) => number(fraction)
                .filter(|fraction| *fraction > 0.0 && *fraction < 1.0)
                .map(|fraction| Noise::Mask { fraction }),
            _ => None,
        };
        found.ok_or_else(|| {
            format!("{text:?} is no noise: give gaussian:DEVIATION, above 0, or mask:FRACTION, above 0 and below 1")
        })
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Noise::Gaussian { deviation } => write!(f, "gaussian:{deviation}"),
            Noise::Mask { fraction } => write!(f, "mask:{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_read_or_refused() {
        for text in ["gaussian:0.3", "mask:0.25"] {
            assert_eq!(text.parse::<Noise>().unwrap().to_string(), text);
        }
        for text in ["", "gaussian", "gaussian:-1", "gaussian:nan", "mask:0", "mask:1", "salt:0.1"] {
            assert!(text.parse::<Noise>().unwrap_err().contains("mask:FRACTION"), "{text}");
        }
    }
}
