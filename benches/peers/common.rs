//! What the Rust peers share: the works, MNIST, shuffled batches, and the clock that prints a JSON object a work, as
//! common.py does.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Name, hidden units, latent dimensions and images a step.
pub type Work = (&'static str, usize, usize, usize);

pub const DENSE: [Work; 3] =
    [("standard-128", 400, 20, 128), ("standard-1024", 400, 20, 1024), ("wide-1024", 2048, 64, 1024)];

/// `--name value` pairs, and perhaps `--turns` as the last word.
pub struct Arguments(HashMap<String, String>);

impl Arguments {
    pub fn parse() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        Self(words.chunks(2).map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default())).collect())
    }

    pub fn get(&self, name: &str, default: &str) -> String {
        self.0.get(name).map_or(default, String::as_str).to_string()
    }

    fn seconds(&self) -> f64 {
        self.get("--seconds", "10").parse().expect("--seconds is a number")
    }

    /// Those of these works that are asked for.
    pub fn works(&self, works: impl IntoIterator<Item = Work>) -> Vec<Work> {
        let name = self.get("--work", "");
        works.into_iter().filter(|work| name.is_empty() || work.0 == name).collect()
    }

    /// The training images as f32 in 0 to 1, one a row of 784.
    pub fn mnist(&self) -> Vec<f32> {
        let path = self.get("--data", "assets/mnist") + "/train-images-idx3-ubyte.gz";
        let mut raw = Vec::new();
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        flate2::read::GzDecoder::new(file).read_to_end(&mut raw).expect("the images are gzip");
        raw[16..].iter().map(|&byte| f32::from(byte) / 255.0).collect()
    }
}

/// The next 64 bits of SplitMix64.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Whole batches of shuffled indices, epoch after epoch.
pub struct Batches {
    order: Vec<u32>,
    batch: usize,
    at: usize,
    state: u64,
}

impl Batches {
    pub fn new(count: usize, batch: usize) -> Self {
        Self { order: (0..count as u32).collect(), batch, at: count, state: 1 }
    }

    pub fn next(&mut self) -> Vec<u32> {
        if self.at + self.batch > self.order.len() {
            for i in (1..self.order.len()).rev() {
                self.order.swap(i, (random(&mut self.state) % (i as u64 + 1)) as usize);
            }
            self.at = 0;
        }
        self.at += self.batch;
        self.order[self.at - self.batch..self.at].to_vec()
    }
}

/// Measures a work: `step` takes a step, and `finish` waits for all of them and gives the last one's loss.
pub fn measure<L>(
    peer: &str,
    (work, _, _, batch): Work,
    arguments: &Arguments,
    began: Instant,
    mut step: impl FnMut() -> L,
    finish: impl Fn(L) -> f32,
) {
    let mut loss = finish(step());
    let first_step_s = began.elapsed().as_secs_f64();
    let first_step_at = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64();
    let (limit, mut len) = (arguments.seconds() / 10.0, 1);
    let mut part = || {
        let (began, mut done) = (Instant::now(), 0);
        while done == 0 || began.elapsed().as_secs_f64() < limit {
            let before = began.elapsed();
            for _ in 1..len {
                step();
            }
            loss = finish(step());
            done += len;
            // Eight steps are waited for at once, or fewer that are long.
            if 4.0 * (began.elapsed() - before).as_secs_f64() < limit {
                len = (2 * len).min(8);
            }
        }
        began.elapsed().as_secs_f64() / f64::from(done)
    };
    part();
    let mut times = Vec::new();
    if arguments.0.contains_key("--turns") {
        let mut asked = 1;
        while asked > 0 {
            times.push(part());
            println!("{}", times[times.len() - 1]);
            asked = std::io::stdin().read_line(&mut String::new()).expect("input");
        }
    } else {
        times.extend((0..9).map(|_| part()));
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let images_per_s = batch as f64 / median;
    let ms_per_step = 1e3 * median;
    println!(
        "{}",
        serde_json::json!({
            "work": work, "peer": peer, "images_per_s": images_per_s, "ms_per_step": ms_per_step,
            "first_step_s": first_step_s, "first_step_at": first_step_at, "loss": loss,
        })
    );
}
