//! What TensorBoard reads of a run: event files, with the losses of every epoch and pictures of some.
//!
//! The files, `events.out.tfevents.*`, lie in the run's folder itself, because TensorBoard names a run by the folder that
//! holds them: `tensorboard --logdir runs` shows every run under its own name. They are always written, as the figures are:
//! an epoch takes about 170 bytes, and whoever has no TensorBoard need not know of them. A step is an epoch, from 1.
//!
//! Pictures come with the first figures that are drawn at or after epochs 1 to 10, then 20, 30, ..., 100, 200, ..., and with
//! the last: nine in each power of ten, so that a run of thousands of epochs stays small.
//!
//! A resumed run begins another file, which TensorBoard reads after the first, as files are read in the order of their
//! names. Each file begins by saying at which epoch its session starts; what an interrupted run wrote from that epoch on
//! is dropped there. An epoch's numbers are written before its checkpoint: so each epoch is shown once, wherever a process
//! was killed.
//!
//! The crates that write such files need `protoc` to be built or bring a runtime along, so the few messages that are
//! needed are declared here. Sources: `record_writer.cc` (framing), `event.proto` and `summary.proto` (messages; members
//! of a `oneof` are plain optional fields on the wire) of TensorFlow, whose tags and names these are.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use super::figures::Figure;
use super::run::{EpochMetrics, RunFolder};
use crate::error::{Error, Result};
use crate::plot::Picture;

/// What an event file's first event must say.
const VERSION: &str = "brain.Event:2";
/// `SessionLog.SessionStatus.START`.
const START: i32 = 1;
static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// 1 grey, 3 RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

/// A run's event file, open to be added to.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
    /// The epoch of the last pictures.
    shown: u64,
}

impl EventFile {
    /// Begins a file in the folder of a run that has `done` epochs.
    ///
    /// # Errors
    /// [`Error::Io`] where it can't be made or written.
    pub(super) fn begin(folder: &RunFolder, done: u64) -> Result<EventFile> {
        let now = now();
        let name = format!("events.out.tfevents.{:010}.{:09}.vae-gpu", now.as_secs(), now.subsec_nanos());
        let path = folder.path().join(name);
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(Error::io("making", &path))?;
        let mut events = EventFile { path, file, shown: done };
        events.write(Event { file_version: Some(VERSION.to_owned()), ..Event::default() })?;
        let session_log = Some(SessionLog { status: START });
        events.write(Event { step: done as i64 + 1, session_log, ..Event::default() })?;
        Ok(events)
    }

    /// Adds an epoch's numbers: `loss/train`, `loss/test` and so on in the units of [`EpochMetrics`], `lr` and
    /// `images_per_s`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file can't be written.
    pub(super) fn losses(&mut self, line: &EpochMetrics) -> Result<()> {
        let scalar =
            |tag: &str, value: f64| Value { tag: tag.to_owned(), simple_value: Some(value as f32), ..Value::default() };
        let losses = line.losses.iter().map(|(name, &value)| match name.split_once('_') {
            Some((set, term)) => scalar(&format!("{term}/{set}"), value),
            None => scalar(name, value),
        });
        let speed = [scalar("lr", line.lr), scalar("images_per_s", line.images_per_s)];
        let value = losses.chain(speed).collect();
        self.write(Event { step: line.epoch as i64, summary: Some(Summary { value }), ..Event::default() })
    }

    /// Adds the figures that show the model, where an epoch for them has passed since the last ones, or a session ends.
    ///
    /// # Errors
    /// [`Error::Io`] where a picture can't be encoded or the file not be written.
    pub(super) fn pictures(&mut self, epoch: u64, figures: &[Figure], last: bool) -> Result<()> {
        if !last && !(self.shown + 1..=epoch).any(has_pictures) {
            return Ok(());
        }
        self.shown = epoch;
        let shown = figures.iter().filter(|figure| figure.name != "loss").map(|Figure { name, picture }| {
            Ok(Value { tag: (*name).to_owned(), image: Some(image(picture)?), ..Value::default() })
        });
        let value = shown.collect::<Result<_>>()?;
        self.write(Event { step: epoch as i64, summary: Some(Summary { value }), ..Event::default() })
    }

    /// Adds an event of now: at once, so that a reader sees all of it or a record that breaks off, which it knows.
    fn write(&mut self, event: Event) -> Result<()> {
        let event = Event { wall_time: now().as_secs_f64(), ..event };
        self.file.write_all(&record(&event.encode_to_vec())).map_err(Error::io("writing", &self.path))
    }
}

/// A TFRecord: length, its checksum, the data, its checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// The CRC-32C of bytes, rotated and moved: data that holds its own checksum would weaken a plain one.
fn masked(bytes: &[u8]) -> [u8; 4] {
    CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn image(picture: &Picture) -> Result<Image> {
    Ok(Image {
        height: picture.height() as i32,
        width: picture.width() as i32,
        colorspace: picture.channels().into(),
        encoded_image_string: picture.png()?,
    })
}

/// Whether an epoch, from 1, has one digit that is not 0.
fn has_pictures(epoch: u64) -> bool {
    epoch.checked_ilog10().is_some_and(|power| epoch.is_multiple_of(10u64.pow(power)))
}

/// Time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_nine_times_in_each_power_of_ten() {
        let with: Vec<u64> = (1..=1000).filter(|&epoch| has_pictures(epoch)).collect();
        assert_eq!(with[..12], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30]);
        assert_eq!((with.len(), with[17], with[18], with[27]), (28, 90, 100, 1000));
    }

    #[test]
    fn pictures_of_an_epoch_come_with_the_next_that_are_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&folder.path().join("run"), &crate::config::TrainConfig::default()).unwrap();
        let mut events = EventFile::begin(&run, 4).unwrap();
        let mut added = |epoch, last| {
            let before = events.file.metadata().unwrap().len();
            events.pictures(epoch, &[], last).unwrap();
            events.file.metadata().unwrap().len() > before
        };
        for (epoch, wanted) in [(5, true), (11, true), (12, false), (19, false), (25, true), (29, false), (30, true)] {
            assert_eq!(added(epoch, false), wanted, "{epoch}");
        }
        assert!(added(31, true), "the last has pictures");
    }

    #[test]
    fn a_record_is_framed_by_masked_checksums() {
        // RFC 3720, B.4: the CRC-32C of 32 zeros is 0x8a9136aa; rotated right by 15, 0x6d551522.
        let record = record(&[0; 32]);
        assert_eq!(record.len(), 8 + 4 + 32 + 4);
        assert_eq!(record[..8], [32, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record[44..], 0x0fd7_fffau32.to_le_bytes());
    }
}
