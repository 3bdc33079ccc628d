//! Weights of networks that keep an order among variables: what is said of one depends on those before it alone (Germain et al.
//! 2015, "MADE: masked autoencoder for distribution estimation", section 4).

use super::*;

/// What the columns on one side of a layer stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Units {
    /// So many variables, in their order or in the reverse of it; columns beyond them begin anew, so that several may stand for one.
    Variables(usize, Direction),
    /// Hidden units of a network of so many variables: unit `h` knows the first `h mod (variables - 1) + 1` of them.
    Hidden(usize),
}

/// The order of variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Direction {
    /// From the first to the last.
    Forward,
    /// From the last to the first.
    Reverse,
}

impl Units {
    /// How many columns there are before they begin anew.
    fn period(self) -> usize {
        match self {
            Units::Variables(count, _) => count,
            Units::Hidden(variables) => (variables - 1).max(1),
        }
    }

    /// Whether the columns stand in the reverse of their order.
    fn is_reversed(self) -> bool {
        matches!(self, Units::Variables(_, Direction::Reverse))
    }

    /// How many variables it takes to know column 0, of an input, or that may be known, of an output.
    fn least(self, is_input: bool) -> usize {
        match self {
            Units::Variables(..) => usize::from(is_input),
            Units::Hidden(_) => 1,
        }
    }

    /// The degree of a column: an input has a weight where its own is not above that of the output.
    fn degree(self, column: usize, is_input: bool) -> usize {
        let (at, period) = (column % self.period(), self.period());
        self.least(is_input) + if self.is_reversed() { period - 1 - at } else { at }
    }
}

/// `y[i, j] = w[i, j]` where output `i` may know input `j`, else 0: w and y are the weights `[out, in]` of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoregressiveMask {
    /// What the layer reads, its columns.
    pub inputs: Units,
    /// What the layer gives, its rows.
    pub outputs: Units,
}

impl Operation for AutoregressiveMask {
    const NAME: &'static str = "autoregressive_mask";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [w] = arity(Self::NAME, inputs)?;
        if [self.inputs, self.outputs].iter().any(|units| matches!(units, Units::Variables(0, _) | Units::Hidden(0))) {
            return graph_error(format!("{}: {self:?}: there must be a variable", Self::NAME));
        }
        Ok(w)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let w = inputs[0];
        let degrees: Vec<usize> = (0..w.shape.cols()).map(|column| self.inputs.degree(column, true)).collect();
        parallel_rows(outputs[0], w.shape.cols(), #[inline(always)] |row, y| {
            let known = self.outputs.degree(row, false);
            for ((y, &w), &degree) in y.iter_mut().zip(w.row(row)).zip(&degrees) {
                *y = if degree <= known { w } else { T::zero() };
            }
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(back.apply(*self, &[back.d_output])?)])
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/autoregressive_mask.wgsl"), output.len())
            .constant("IN", inputs[0].cols())
            .constant("IN_PERIOD", self.inputs.period())
            .constant("IN_REVERSED", usize::from(self.inputs.is_reversed()))
            .constant("IN_LEAST", self.inputs.least(true))
            .constant("OUT_PERIOD", self.outputs.period())
            .constant("OUT_REVERSED", usize::from(self.outputs.is_reversed()))
            .constant("OUT_LEAST", self.outputs.least(false))
    }

    fn cases() -> Vec<Case> {
        let of = |inputs, outputs, size: [usize; 2]| {
            Case::new(AutoregressiveMask { inputs, outputs }, 1, &[(size, Fill::Normal)])
        };
        let variables = |count| Units::Variables(count, Direction::Forward);
        vec![
            of(variables(1), Units::Hidden(1), [3, 1]),
            of(variables(5), Units::Hidden(5), [63, 5]),
            of(Units::Variables(7, Direction::Reverse), Units::Hidden(7), [65, 7]),
            of(Units::Hidden(9), Units::Hidden(9), [64, 33]),
            of(Units::Hidden(4), variables(4), [8, 65]),
            of(Units::Hidden(6), Units::Variables(6, Direction::Reverse), [12, 128]),
        ]
    }
}
