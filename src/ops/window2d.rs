//! The window that convolutions and pooling move over images `[batch, height, width, channels]`.

use super::images_of;
use crate::error::{Result, graph_error};
use crate::tensor::Shape;

/// A square window of `kernel` x `kernel` elements, `dilation` apart, that begins `padding` elements before an image's first
/// and moves by `stride`. Extents and rules are those of PyTorch's `nn.Conv2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// Elements a side.
    pub kernel: usize,
    /// Elements from a position to the next.
    pub stride: usize,
    /// Elements around the image that the window may cover.
    pub padding: usize,
    /// Elements of the image from one of the window to the next.
    pub dilation: usize,
}

impl Window2d {
    /// The largest height and width of an image: kernels keep both coordinates of a pixel in one word.
    pub const LARGEST_SIDE: usize = 32_767;

    /// A window that moves by one element and stays in the image.
    pub const fn new(kernel: usize) -> Window2d {
        Window2d { kernel, stride: 1, padding: 0, dilation: 1 }
    }

    /// The same, moving by `stride`.
    pub const fn stride(self, stride: usize) -> Window2d {
        Window2d { stride, ..self }
    }

    /// The same over an image with a border.
    pub const fn padding(self, padding: usize) -> Window2d {
        Window2d { padding, ..self }
    }

    /// The same with gaps.
    pub const fn dilation(self, dilation: usize) -> Window2d {
        Window2d { dilation, ..self }
    }

    /// Elements of the image from the window's first to its last, both counted.
    pub const fn reach(self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// Positions along an extent of an image; 0 where the padded image is smaller than the window.
    pub const fn positions(self, extent: usize) -> usize {
        match (extent + 2 * self.padding).checked_sub(self.reach()) {
            Some(free) => free / self.stride + 1,
            None => 0,
        }
    }

    /// The least extent with so many positions; those up to `stride - 1` more have as many.
    pub const fn least_extent(self, positions: usize) -> usize {
        ((positions - 1) * self.stride + self.reach()).saturating_sub(2 * self.padding)
    }

    /// `[height, width]` of the positions in images `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// [`crate::Error::Graph`] where `x` is no batch of images, or [`Window2d::over_image`] refuses them.
    pub fn over(self, name: &str, x: Shape) -> Result<[usize; 2]> {
        let [_, height, width, _] = images_of(name, "x", x)?;
        self.over_image([height, width]).or_else(|reason| graph_error(format!("{name}: x is {x}; {reason}")))
    }

    /// `[height, width]` of the positions in an image of this height and width.
    ///
    /// # Errors
    /// The reason, where a number is out of its range, or the window does not fit into the padded image.
    pub fn over_image(self, size: [usize; 2]) -> Result<[usize; 2], String> {
        let Window2d { kernel, stride, padding, dilation } = self;
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(format!("kernel is {kernel}, stride {stride}, dilation {dilation}: each must be at least 1"));
        }
        if size.iter().any(|&extent| extent > Window2d::LARGEST_SIDE) {
            return Err(format!("the image is {size:?}: a side has at most {} pixels", Window2d::LARGEST_SIDE));
        }
        if padding >= self.reach() {
            return Err(format!(
                "padding is {padding}, the kernel reaches over {}: padding must be less, or windows lie beside the image",
                self.reach()
            ));
        }
        let counts = size.map(|extent| self.positions(extent));
        if counts.contains(&0) {
            let padded = size.map(|extent| extent + 2 * padding);
            return Err(format!(
                "with its padding the image is {padded:?}, the kernel reaches over {}: the kernel must fit in",
                self.reach()
            ));
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_pytorch() {
        let halving = Window2d::new(4).stride(2).padding(1);
        assert_eq!([64, 33, 7, 2].map(|extent| halving.positions(extent)), [32, 16, 3, 1]);
        assert_eq!(halving.least_extent(16), 32);
        assert_eq!(Window2d::new(3).dilation(2).padding(2).positions(9), 9);
        assert_eq!(Window2d::new(5).positions(4), 0);
        let images = |height, width| Shape::of([2, height, width, 3]);
        assert_eq!(halving.over("conv2d", images(96, 7)).unwrap(), [48, 3]);
        let errors = [
            (halving, Shape::new(2, 3), "it must be images"),
            (Window2d::new(5), images(9, 4), "the image is [9, 4]"),
            (Window2d::new(3).stride(0), images(9, 9), "at least 1"),
            (Window2d::new(3).padding(3), images(9, 9), "padding must be less"),
            (Window2d::new(3), images(40_000, 9), "a side has at most 32767 pixels"),
        ];
        for (window, x, rule) in errors {
            let error = window.over("conv2d", x).unwrap_err().to_string();
            assert!(error.contains(rule), "{error}");
        }
    }
}
