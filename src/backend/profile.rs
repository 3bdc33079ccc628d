//! What is kept of adapters between runs: the profile that a tuning run wrote, and where compiled kernels lie.
//!
//! A profile is a TOML file that says which algorithm computes products of which size. It holds for one adapter, driver and
//! version of this program; one of another is not used, and what opens the device says so. Nothing is looked for unless
//! it is asked for: [`TuningCache::default`] is nowhere.

use super::Adapter;
use crate::error::{Error, Result, shown, shown_toml};
use crate::files::write_atomic;
use crate::ops::{Algorithm, TuningTable};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The environment variable that names a profile, or is `none`.
pub const VARIABLE: &str = "VAE_GPU_PROFILE";

/// Where profiles and compiled kernels lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TuningCache {
    /// Nowhere: none are read or written.
    #[default]
    Nowhere,
    /// In this folder, a profile an adapter and driver.
    Folder(PathBuf),
    /// This file is the profile, and compiled kernels lie beside it.
    File(PathBuf),
}

/// What is known of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachedTuning {
    /// No profile.
    Nothing,
    /// A profile that is in use.
    Profile {
        /// The file.
        path: PathBuf,
        /// What it says.
        tuning: TuningTable,
    },
    /// A profile that is not used.
    Unused {
        /// The file.
        path: PathBuf,
        /// Why, for people.
        why: String,
    },
}

/// The algorithm for products of one size, and the measurement behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunedKernel {
    /// `[m, n, k]`.
    pub size: [usize; 3],
    /// The algorithm.
    pub variant: Algorithm,
    /// A comment beside it in the file: what was measured.
    pub why: String,
}

/// What a profile is for; read first, because a file of another version may have anything else in it.
#[derive(Deserialize)]
struct Header {
    version: String,
    adapter: String,
    driver: String,
}

/// All of a profile.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the header's keys are known keys")]
struct Content {
    version: String,
    adapter: String,
    driver: String,
    products: BTreeMap<Size, Algorithm>,
}

/// `[m, n, k]`, written `128x400x784`.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct Size([usize; 3]);

impl TryFrom<String> for Size {
    type Error = String;
    fn try_from(text: String) -> Result<Size, String> {
        let extents: Vec<usize> =
            text.split('x').filter_map(|word| word.parse().ok()).filter(|&extent| extent > 0).collect();
        match (<[usize; 3]>::try_from(extents), text.split('x').count()) {
            (Ok(size), 3) => Ok(Size(size)),
            _ => Err(format!("{text:?} is no product: give its rows, columns and terms, as 128x400x784")),
        }
    }
}

impl TuningCache {
    /// Where a user's lie: where [`VARIABLE`] says, else folder `vae-gpu` among the user's caches.
    pub fn of_user() -> TuningCache {
        let caches =
            || Some(etcetera::BaseStrategy::cache_dir(&etcetera::base_strategy::choose_native_strategy().ok()?));
        TuningCache::from(std::env::var_os(VARIABLE), caches)
    }

    fn from(variable: Option<OsString>, caches: impl Fn() -> Option<PathBuf>) -> TuningCache {
        match variable.filter(|value| !value.is_empty()) {
            Some(value) if value == "none" => TuningCache::Nowhere,
            Some(file) => TuningCache::File(file.into()),
            None => caches().map_or(TuningCache::Nowhere, |caches| TuningCache::Folder(caches.join("vae-gpu"))),
        }
    }

    /// The profile's file, which need not exist.
    pub fn profile(&self, adapter: &Adapter) -> Option<PathBuf> {
        match self {
            TuningCache::Nowhere => None,
            TuningCache::Folder(folder) => Some(folder.join(file_name(adapter))),
            TuningCache::File(file) => Some(file.clone()),
        }
    }

    /// The folder of compiled kernels, which need not exist.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            TuningCache::Nowhere => None,
            TuningCache::Folder(folder) => Some(folder.clone()),
            TuningCache::File(file) => Some(file.parent().unwrap_or(Path::new("")).to_owned()),
        }
    }

    /// Looks for an adapter's profile.
    ///
    /// # Errors
    /// [`Error::Format`] that names the line where the file breaks a rule, and the rule; [`Error::Io`] where it can't be
    /// read. A folder without a profile is none; a file that was named must be there.
    pub fn find(&self, adapter: &Adapter) -> Result<CachedTuning> {
        let Some(path) = self.profile(adapter) else { return Ok(CachedTuning::Nothing) };
        let text = match (std::fs::read_to_string(&path), self) {
            (Err(error), TuningCache::Folder(_)) if error.kind() == ErrorKind::NotFound => {
                return Ok(CachedTuning::Nothing);
            }
            (text, _) => text.map_err(Error::io("reading profile", &path))?,
        };
        let bad =
            |error: toml::de::Error| Error::format(&path, format!("the profile is damaged: {}", shown_toml(&error)));
        let header: Header = toml::from_str(&text).map_err(bad)?;
        let ours = [env!("CARGO_PKG_VERSION"), adapter.name.as_str(), adapter.driver.as_deref().unwrap_or_default()];
        let theirs = [header.version.as_str(), &header.adapter, &header.driver];
        for (what, (theirs, ours)) in ["version", "adapter", "driver"].iter().zip(theirs.iter().zip(&ours)) {
            if theirs != ours {
                let why = format!("it was measured with {what} {:?}, this is {ours:?}", shown(theirs));
                return Ok(CachedTuning::Unused { path, why });
            }
        }
        let content: Content = toml::from_str(&text).map_err(bad)?;
        let tuning = content.products.into_iter().map(|(Size(size), variant)| (size, variant)).collect();
        Ok(CachedTuning::Profile { path, tuning })
    }

    /// Writes an adapter's profile and returns the file; a folder is made where there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is nowhere to write, [`Error::Io`] where it can't be written.
    pub fn write(&self, adapter: &Adapter, choices: &[TunedKernel]) -> Result<PathBuf> {
        let Some(path) = self.profile(adapter) else {
            return Err(Error::Usage(format!("{VARIABLE} is none: name the profile with --profile FILE")));
        };
        if let TuningCache::Folder(folder) = self {
            std::fs::create_dir_all(folder).map_err(Error::io("making folder", folder))?;
        }
        write_atomic(&path, text(adapter, choices).as_bytes())?;
        Ok(path)
    }
}

/// The profile as a file.
fn text(adapter: &Adapter, choices: &[TunedKernel]) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text =
        String::from("# Which algorithm computes which matrix product, as `vae-gpu bench --tune` measured it.\n");
    let header = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("adapter", &adapter.name),
        ("driver", adapter.driver.as_deref().unwrap_or_default()),
    ];
    for (key, value) in header {
        text += &format!("{key} = {}\n", quoted(value));
    }
    text += &format!("\n# rows x columns x terms = {}\n[products]\n", Algorithm::allowed());
    for TunedKernel { size: [m, n, k], variant, why } in choices {
        text += &format!("{m}x{n}x{k} = {} # {why}\n", quoted(variant.name()));
    }
    text
}

/// A file name that tells adapters and drivers apart: `nvidia-h200-nvidia-580-1.toml`.
fn file_name(adapter: &Adapter) -> String {
    let text = format!("{} {}", adapter.name, adapter.driver.as_deref().unwrap_or_default()).to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!("{}.toml", words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> Adapter {
        Adapter { name: "Quick \"3\"".to_owned(), driver: Some("maker 1.2".to_owned()) }
    }

    fn choices() -> Vec<TunedKernel> {
        let choice = |size, variant| TunedKernel { size, variant, why: "measured".to_owned() };
        vec![choice([128, 400, 784], Algorithm::Tiled), choice([1, 2, 3], Algorithm::Naive)]
    }

    #[test]
    fn a_profile_is_found_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let kept = TuningCache::Folder(folder.path().join("made"));
        assert_eq!(kept.find(&adapter()).unwrap(), CachedTuning::Nothing);
        let path = kept.write(&adapter(), &choices()).unwrap();
        assert_eq!(path.file_name().unwrap(), "quick-3-maker-1-2.toml");
        let tuning: TuningTable = [([128, 400, 784], Algorithm::Tiled), ([1, 2, 3], Algorithm::Naive)].into();
        assert_eq!(
            kept.find(&adapter()).unwrap(),
            CachedTuning::Profile { path: path.clone(), tuning: tuning.clone() }
        );
        let named = TuningCache::File(path.clone());
        assert_eq!(named.find(&adapter()).unwrap(), CachedTuning::Profile { path, tuning });
        assert_eq!(TuningCache::Nowhere.find(&adapter()).unwrap(), CachedTuning::Nothing);
        assert!(matches!(TuningCache::Nowhere.write(&adapter(), &[]), Err(Error::Usage(_))));
        let missing = TuningCache::File(folder.path().join("missing.toml")).find(&adapter()).unwrap_err();
        assert!(missing.to_string().contains("missing.toml"), "{missing}");
    }

    #[test]
    fn a_profile_of_something_else_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let kept = TuningCache::File(folder.path().join("mine.toml"));
        let path = kept.write(&adapter(), &choices()).unwrap();
        let others = [
            (Adapter { name: "Slow".to_owned(), ..adapter() }, "adapter \"Quick \\\"3\\\"\", this is \"Slow\""),
            (Adapter { driver: Some("maker 1.3".to_owned()), ..adapter() }, "driver \"maker 1.2\""),
        ];
        for (other, named) in others {
            let CachedTuning::Unused { why, .. } = kept.find(&other).unwrap() else { panic!("{other:?}") };
            assert!(why.contains(named), "{why}");
        }
        let long = Adapter { name: "x".repeat(1 << 20), ..adapter() };
        let other = TuningCache::File(kept.write(&long, &[]).unwrap());
        let CachedTuning::Unused { why, .. } = other.find(&adapter()).unwrap() else {
            panic!("it is of another adapter")
        };
        assert!(why.len() < 1000, "{why}");
        kept.write(&adapter(), &choices()).unwrap();
        // Another version may have algorithms that this one has never heard of.
        let text = std::fs::read_to_string(&path).unwrap();
        let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
        let text = text.replace(&version, "version = \"9.0.0\"").replace("\"tiled\"", "\"unheard-of\"");
        std::fs::write(&path, text).unwrap();
        let CachedTuning::Unused { why, .. } = kept.find(&adapter()).unwrap() else {
            panic!("it is of another version")
        };
        assert!(why.contains("version \"9.0.0\""), "{why}");
    }

    #[test]
    fn a_damaged_profile_is_named_with_its_line_and_the_rule() {
        let folder = tempfile::tempdir().unwrap();
        let kept = TuningCache::File(folder.path().join("mine.toml"));
        let path = kept.write(&adapter(), &choices()).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let damages = [
            ("\"tiled\"", "\"fast\"", "line 8", "naive"),
            ("128x400x784", "128x400", "line 8", "rows, columns and terms"),
            ("128x400x784", "128x400x0", "line 8", "rows, columns and terms"),
            ("128x400x784", "1x2x3", "line 9", "duplicate"),
            ("\ndriver", "\nmaker", "line", "driver"),
            ("[products]", "colour = 1\n[products]", "line 7", "products"),
            ("[products]", "[products", "line 7", "]"),
            ("[products]", &format!("colour = {}\n[products]", "1".repeat(1 << 20)), "line 7", "colour"),
        ];
        for (from, to, line, rule) in damages {
            assert!(whole.contains(from), "{whole}");
            std::fs::write(&path, whole.replacen(from, to, 1)).unwrap();
            let error = kept.find(&adapter()).unwrap_err().to_string();
            assert!(error.len() < 1000, "{error}");
            for part in ["mine.toml", line, rule] {
                assert!(error.contains(part), "{to}: {part}: {error}");
            }
        }
    }

    #[test]
    fn the_variable_comes_before_the_users_caches() {
        let caches = || Some(PathBuf::from("caches"));
        assert_eq!(TuningCache::from(None, caches), TuningCache::Folder(Path::new("caches").join("vae-gpu")));
        assert_eq!(
            TuningCache::from(Some("".into()), caches),
            TuningCache::Folder(Path::new("caches").join("vae-gpu"))
        );
        assert_eq!(TuningCache::from(Some("none".into()), caches), TuningCache::Nowhere);
        assert_eq!(TuningCache::from(Some("a/b.toml".into()), caches), TuningCache::File("a/b.toml".into()));
        assert_eq!(TuningCache::from(None, || None), TuningCache::Nowhere);
        assert_eq!(TuningCache::File("a/b.toml".into()).folder(), Some("a".into()));
    }
}
