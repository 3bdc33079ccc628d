//! The options that decide what training computes, as a checkpoint's header keeps them: those that the registry marks so.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::{TrainConfig, options};
use crate::error::{Error, Result};
use crate::models::ModelConfig;

/// A configuration whose every other option has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Table", try_from = "Table")]
pub struct Training(TrainConfig);

impl Training {
    /// Those of a configuration.
    ///
    /// # Errors
    /// Those of [`TrainConfig::to_table`].
    pub fn of(config: &TrainConfig) -> Result<Training> {
        TrainConfig::layered([marked(config.to_table()?, |_| true)]).map(Training)
    }

    /// A configuration with these options, and this architecture.
    pub fn config(&self, model: &ModelConfig) -> TrainConfig {
        self.0.clone().with_architecture(model)
    }

    /// Whether training with these options may go on with others.
    pub(crate) fn may_become(&self, others: &Training) -> bool {
        let kept = |training: &Training| marked(Table::from(training.clone()), |key| !super::may_change(key));
        kept(self) == kept(others)
    }
}

/// Of a configuration's table the keys of training that are wanted.
fn marked(mut table: Table, wanted: impl Fn(&str) -> bool) -> Table {
    table.retain(|key, _| options().any(|option| option.trains && option.key == key) && wanted(key));
    table
}

impl From<Training> for Table {
    fn from(training: Training) -> Table {
        marked(training.0.to_table().expect("it was read from a table"), |_| true)
    }
}

impl TryFrom<Table> for Training {
    type Error = Error;
    fn try_from(table: Table) -> Result<Training> {
        match table.keys().find(|key| !options().any(|option| option.trains && option.key == key.as_str())) {
            Some(key) => Err(Error::Usage(format!("{key} is no option of training"))),
            None => TrainConfig::layered([table]).map(Training),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Layer;
    use crate::ops::Activation;

    #[test]
    fn what_decides_the_numbers_is_kept_and_nothing_else() {
        let config = TrainConfig { lr: 0.1, clip_norm: Some(0.3), seed: 9, epochs: 77, ..TrainConfig::default() };
        let json = serde_json::to_string(&Training::of(&config).unwrap()).unwrap();
        assert!(json.contains("\"clip-norm\":0.3") && !json.contains("epochs") && !json.contains("model"), "{json}");
        let read: Training = serde_json::from_str(&json).unwrap();
        assert_eq!(read, Training::of(&config).unwrap());
        let model =
            ModelConfig { latent: 3, samples: 5, encoder: Layer::dense(&[4], Activation::Relu), ..ModelConfig::vae(6) };
        let read = read.config(&model);
        assert_eq!((read.lr, read.clip_norm, read.seed, read.epochs), (0.1, Some(0.3), 9, 10));
        assert_eq!(read.architecture([1, 1, 6]).unwrap(), model);
        for (json, rule) in [("{\"epochs\": 3}", "epochs is no option"), ("{\"lr\": \"x\"}", "expected f64")] {
            let error = serde_json::from_str::<Training>(json).unwrap_err().to_string();
            assert!(error.contains(rule), "{error}");
        }
        let may_become = |change: fn(&mut TrainConfig)| {
            let mut other = config.clone();
            change(&mut other);
            Training::of(&config).unwrap().may_become(&Training::of(&other).unwrap())
        };
        assert!(may_become(|config| config.lr = 0.5) && !may_become(|config| config.batch_size = 3));
    }
}
