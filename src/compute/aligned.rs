//! Memory that begins where cache lines do: of what a session holds, and of what lives no longer than a dispatch, of which
//! steps allocate none once it was large enough.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::Lanes;

/// A cache line of any numbers: vectors that begin where lines do lie in one.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Bytes of a cache line.
pub(super) const LINE: usize = size_of::<Line>();

/// Memory for numbers of any kind; it keeps what it has.
#[derive(Debug, Default)]
pub(crate) struct Room(Vec<Line>);

impl Room {
    pub(crate) const NONE: Room = Room(Vec::new());

    pub(crate) fn of<T: Lanes>(&mut self, count: usize) -> &mut [T] {
        let lines = (count * size_of::<T>()).div_ceil(LINE);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; 8]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..count]
    }
}

/// A list of numbers, of a length that stays.
#[derive(Debug, Default)]
pub(crate) struct Numbers<T> {
    room: Room,
    count: usize,
    kind: PhantomData<T>,
}

impl<T: Lanes> Numbers<T> {
    pub(crate) fn new(count: usize, value: T) -> Numbers<T> {
        let mut numbers = Numbers { room: Room::NONE, count, kind: PhantomData };
        numbers.room.of(count).fill(value);
        numbers
    }
}

impl<T: Lanes> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.room.0)[..self.count]
    }
}

impl<T: Lanes> DerefMut for Numbers<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.room.of(self.count)
    }
}

/// Calls `f` with so many numbers of this thread's, of any values.
pub(crate) fn scratch<T: Lanes, R>(count: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    thread_local! {
        static ROOM: Cell<Room> = Cell::default();
    }
    // Taken away while it is used: what `f` calls may want some too.
    let mut room = ROOM.take();
    let result = f(room.of(count));
    ROOM.set(room);
    result
}
