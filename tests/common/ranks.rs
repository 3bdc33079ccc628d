//! Ranks that are threads of one process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};

use vae_gpu::ranks::Ranks;

/// What ranks on threads share: a place for what each says, and a barrier before and behind reading it.
#[derive(Debug)]
struct Meeting {
    barrier: Barrier,
    said: Mutex<Vec<Vec<u8>>>,
}

/// A rank on a thread.
#[derive(Debug)]
pub struct Thread {
    rank: usize,
    count: usize,
    meeting: Arc<Meeting>,
}

impl Thread {
    /// What all ranks say, in their order.
    fn say(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.meeting.said.lock().unwrap()[self.rank] = own.to_vec();
        self.meeting.barrier.wait();
        let all = self.meeting.said.lock().unwrap().clone();
        self.meeting.barrier.wait();
        all
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Ranks for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn exchange(
        &self,
        values: &[f32],
        parts: &[usize],
        given: &[usize],
        compute: &mut dyn FnMut(&mut dyn FnMut()),
    ) -> Vec<f32> {
        compute(&mut || {});
        assert_eq!(values.len(), parts.iter().sum::<usize>());
        let header: Vec<f32> = parts.iter().map(|&part| part as f32).collect();
        let all = self.say(&bytes(&[&header[..], values].concat()));
        let mine = |(rank, said): (usize, &Vec<u8>)| {
            let said = floats(said);
            let (parts, values) = said.split_at(self.count);
            let from: usize = parts[..self.rank].iter().map(|&part| part as usize).sum();
            assert_eq!(parts[self.rank] as usize, given[rank]);
            values[from..from + given[rank]].to_vec()
        };
        all.iter().enumerate().flat_map(mine).collect()
    }

    fn gather(&self, own: &[f32], parts: &[usize], all: &mut [f32]) {
        assert_eq!(own.len(), parts[self.rank]);
        let said: Vec<f32> = self.say(&bytes(own)).iter().flat_map(|said| floats(said)).collect();
        all.copy_from_slice(&said);
    }

    fn gather_numbers(&self, own: &[f64], parts: &[usize]) -> Vec<f64> {
        assert_eq!(own.len(), parts[self.rank]);
        let all = self.say(&own.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).concat();
        all.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    }

    fn broadcast(&self, text: String) -> String {
        String::from_utf8(self.say(text.as_bytes()).swap_remove(0)).unwrap()
    }

    fn abort(&self, code: i32) -> ! {
        panic!("aborted with {code}")
    }
}

/// What each of so many ranks gives. Where one panics the process ends: the others would wait for it.
pub fn among<T: Send>(count: usize, of_rank: impl Fn(Rc<dyn Ranks>) -> T + Sync) -> Vec<T> {
    let meeting = Arc::new(Meeting { barrier: Barrier::new(count), said: Mutex::new(vec![Vec::new(); count]) });
    let rank = |rank: usize| {
        let thread = Rc::new(Thread { rank, count, meeting: meeting.clone() });
        catch_unwind(AssertUnwindSafe(|| of_rank(thread))).unwrap_or_else(|_| std::process::abort())
    };
    let rank = &rank;
    std::thread::scope(|scope| {
        let ranks: Vec<_> = (0..count).map(|number| scope.spawn(move || rank(number))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}
