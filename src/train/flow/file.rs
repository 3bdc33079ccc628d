//! Flows as safetensors files: their parameters under their names, and the metadata `vae-gpu-flow`, which has their sizes and says
//! whose codes they are of.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CodeFlow;
use crate::error::{Error, Result, shown_reason};
use crate::files::write_atomic;
use crate::models::{Flow, FlowConfig};
use crate::train::tensor::{Tensor, described, read_arena, safetensors};

const FORMAT: &str = "vae-gpu-flow/1";
const KEY: &str = "vae-gpu-flow";

/// A file's metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Header {
    format: String,
    of: String,
    flow: FlowConfig,
}

impl CodeFlow {
    /// Writes the file in one step. `of` says which model's codes it is of.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be written.
    pub fn save(&self, path: &Path, of: &str) -> Result<()> {
        let bad = |reason: String| Error::format(path, format!("it can't be made: {reason}"));
        let header = Header { format: FORMAT.to_owned(), of: of.to_owned(), flow: self.flow.config().clone() };
        let header = serde_json::to_string(&header).map_err(|error| bad(error.to_string()))?;
        let tensors = Tensor::all(self.flow.layout(), "", &self.parameters);
        write_atomic(path, &safetensors(&tensors, (KEY, header)).map_err(|error| bad(error.to_string()))?)
    }

    /// Reads a file; none where it is of other codes than `of`.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be read, [`Error::Format`] where it is no such file or does not fit itself.
    pub fn load(path: &Path, of: &str) -> Result<Option<CodeFlow>> {
        let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
        read(&bytes, of).map_err(|reason| Error::format(path, shown_reason(&reason)))
    }
}

fn read(bytes: &[u8], of: &str) -> Result<Option<CodeFlow>, String> {
    let (tensors, text) = described(bytes, KEY, "a flow of codes")?;
    let header: Header = serde_json::from_str(&text).map_err(|error| format!("metadata `{KEY}`: {error}"))?;
    if header.format != FORMAT {
        return Err(format!("its format is {:?}, this program reads {FORMAT:?}", header.format));
    }
    if header.of != of {
        return Ok(None);
    }
    let few = || format!("it has {} bytes, too few for the flow it names", bytes.len());
    if header.flow.layers.saturating_mul(header.flow.hidden.len() + 1) > bytes.len() {
        return Err(few());
    }
    let flow = Flow::new(header.flow).map_err(|error| error.to_string())?;
    if flow.layout().count().saturating_mul(size_of::<f32>()) > bytes.len() {
        return Err(few());
    }
    let parameters = read_arena(&tensors, flow.layout(), "")?;
    if let Some(value) = parameters.iter().find(|value| !value.is_finite()) {
        return Err(format!("a value is {value}, it must be finite"));
    }
    let flow = CodeFlow { flow, parameters };
    match flow.scaling()[1].iter().find(|deviation| **deviation <= 0.0) {
        Some(deviation) => Err(format!("a deviation is {deviation}, it must be above 0")),
        None => Ok(Some(flow)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::small;
    use super::*;

    #[test]
    fn a_file_gives_back_the_flow_of_its_model_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (path, flow) = (folder.path().join("best.flow.safetensors"), small());
        flow.save(&path, "step 1").unwrap();
        assert_eq!(CodeFlow::load(&path, "step 1").unwrap(), Some(flow));
        assert_eq!(CodeFlow::load(&path, "step 2").unwrap(), None);
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes.len().min(2000);
        for len in (0..header).chain([bytes.len() - 1]) {
            assert!(read(&bytes[..len], "step 1").is_err(), "{len} bytes");
        }
        for at in 0..header {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x15;
            let _ = read(&bytes, "step 1"); // a flipped value is a value; nothing may panic
        }
        let refused = |header: &str, part: &str| {
            let bytes = safetensors(&[], (KEY, header.to_owned())).unwrap();
            let reason = read(&bytes, "x").unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        let flow = |sizes: &str| format!("{{\"format\": \"{FORMAT}\", \"of\": \"x\", \"flow\": {sizes}}}");
        refused(r#"{"format": "other", "of": "x", "flow": {"features": 1, "hidden": [], "layers": 1}}"#, "format");
        refused(&flow(r#"{"features": 2, "hidden": [9], "layers": 0}"#), "must be 1 to");
        refused(&flow(r#"{"features": 2, "hidden": [9], "layers": 60000}"#), "too few");
        refused(&flow(r#"{"features": 60000, "hidden": [60000], "layers": 9}"#), "too few");
        refused(&flow(r#"{"features": 2, "hidden": [], "layers": 1}"#), "flow.0.0.weight is missing");
    }
}
