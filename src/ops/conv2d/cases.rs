//! Sizes that convolutions are tested and timed on.

use super::Window2d;

/// Sizes of a case.
pub(super) struct Sizes {
    pub(super) window: Window2d,
    pub(super) batch: usize,
    /// Height and width of an image.
    pub(super) size: [usize; 2],
    /// Of an image, and of a map.
    pub(super) channels: [usize; 2],
}

/// Each number of a window at more than one value, extents that it does not divide, channels around a vec4 and a tile.
pub(super) fn sizes() -> Vec<Sizes> {
    let halving = Window2d::new(4).stride(2).padding(1);
    [
        (Window2d::new(1), 1, [1, 1], [1, 1]),
        (Window2d::new(1), 3, [5, 7], [4, 9]),
        (Window2d::new(3).padding(1), 2, [6, 5], [3, 8]),
        (Window2d::new(3).padding(1), 1, [9, 9], [16, 33]),
        (Window2d::new(3).stride(2).padding(1), 3, [7, 8], [5, 4]),
        (halving, 2, [8, 8], [4, 64]),
        (halving, 2, [9, 6], [8, 12]),
        (halving, 5, [2, 3], [1, 3]),
        (Window2d::new(5).stride(3).padding(2), 1, [11, 13], [2, 5]),
        (Window2d::new(3).dilation(2).padding(2), 1, [7, 6], [4, 4]),
        (Window2d::new(2).stride(4).dilation(2), 2, [9, 11], [3, 2]),
        (Window2d::new(3).stride(2).dilation(3).padding(4), 1, [10, 9], [4, 7]),
    ]
    .map(|(window, batch, size, channels)| Sizes { window, batch, size, channels })
    .into()
}
