//! The weight of the KL term: a number, or what the reconstruction is to come to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The weight of the KL term.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Beta {
    /// This one.
    Fixed(f64),
    /// Moved as training goes on, until the reconstruction term is this (Rezende and Viola 2018).
    Auto {
        /// In the units of the recorded reconstruction: nats an image, or a sum of squares.
        target: f64,
    },
}

impl Beta {
    /// The weight where it is fixed; 1 of one that is moved, which is measured by the bound.
    pub fn measured(self) -> f64 {
        match self {
            Beta::Fixed(beta) => beta,
            Beta::Auto { .. } => 1.0,
        }
    }

    /// What the reconstruction is to come to.
    pub fn target(self) -> Option<f64> {
        match self {
            Beta::Fixed(_) => None,
            Beta::Auto { target } => Some(target),
        }
    }
}

/// As a file has it: a number, or a text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl TryFrom<Written> for Beta {
    type Error = String;
    fn try_from(written: Written) -> Result<Beta, String> {
        match written {
            Written::Number(beta) => Ok(Beta::Fixed(beta)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Beta> for Written {
    fn from(beta: Beta) -> Written {
        match beta {
            Beta::Fixed(beta) => Written::Number(beta),
            Beta::Auto { .. } => Written::Text(beta.to_string()),
        }
    }
}

impl FromStr for Beta {
    type Err = String;
    fn from_str(text: &str) -> Result<Beta, String> {
        let read = || match text.strip_prefix("auto:") {
            Some(target) => {
                target.parse().ok().filter(|target: &f64| target.is_finite()).map(|target| Beta::Auto { target })
            }
            None => text.parse().ok().map(Beta::Fixed),
        };
        read().ok_or_else(|| {
            format!(
                "{text:?} is no weight: give a number, or auto:TARGET, the reconstruction term that training is to come to, as a run \
                 records it"
            )
        })
    }
}

impl fmt::Display for Beta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Beta::Fixed(beta) => write!(f, "{beta}"),
            Beta::Auto { target } => write!(f, "auto:{target}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_numbers_or_targets() {
        assert_eq!("0.5".parse(), Ok(Beta::Fixed(0.5)));
        assert_eq!("auto:-12.5".parse(), Ok(Beta::Auto { target: -12.5 }));
        for text in ["auto", "auto:", "auto:x", "auto:inf", "auto:nan", "", "x"] {
            assert!(text.parse::<Beta>().unwrap_err().contains("auto:TARGET"), "{text}");
        }
        for beta in [Beta::Fixed(2.0), Beta::Auto { target: 85.0 }] {
            let text = serde_json::to_string(&beta).unwrap();
            assert_eq!(serde_json::from_str::<Beta>(&text).unwrap(), beta);
            assert_eq!(beta.to_string().parse(), Ok(beta));
        }
        assert_eq!(serde_json::to_string(&Beta::Fixed(2.0)).unwrap(), "2.0");
    }
}
