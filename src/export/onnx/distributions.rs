//! Means of distributions, of which ONNX has no operators.

use super::Translator;
use crate::ops::{NEAR, SERIES};

impl Translator<'_> {
    /// The mean of a continuous Bernoulli as [`crate::ops::ContinuousBernoulliMean`] computes it: a series near 0, and elsewhere
    /// `1 / |l| - 1 / (exp(|l|) - 1)`, or 1 less that where l is above 0.
    pub(super) fn continuous_bernoulli_mean(&mut self, logit: &str, name: Option<String>) -> String {
        let [zero, half, one, near] = [0.0, 0.5, 1.0, NEAR as f32].map(|value| self.reals(&[], &[value]));
        let mut apply = |operator: &str, inputs: &[&str]| {
            let inputs: Vec<String> = inputs.iter().map(|&input| input.to_owned()).collect();
            self.emit(operator, &inputs, Vec::new(), None)
        };
        let distance = apply("Abs", &[logit]);
        let size = apply("Max", &[&distance, &near]);
        let negative = apply("Neg", &[&size]);
        let e = apply("Exp", &[&negative]);
        let less = apply("Neg", &[&e]);
        let rest = apply("Add", &[&less, &one]);
        let inverse = apply("Reciprocal", &[&size]);
        let share = apply("Div", &[&e, &rest]);
        let below = apply("Sub", &[&inverse, &share]);
        let less = apply("Neg", &[&below]);
        let above = apply("Add", &[&less, &one]);
        let is_above = apply("Greater", &[logit, &zero]);
        let far = apply("Where", &[&is_above, &above, &below]);
        let square = apply("Mul", &[logit, logit]);
        let is_near = apply("Less", &[&distance, &near]);
        let terms = SERIES.map(|c| self.reals(&[], &[c as f32]));
        let mut apply = |operator: &str, inputs: &[&str]| {
            let inputs: Vec<String> = inputs.iter().map(|&input| input.to_owned()).collect();
            self.emit(operator, &inputs, Vec::new(), None)
        };
        let [first, .., last] = &terms;
        let mut series = apply("Mul", &[&square, last]);
        for term in terms[1..terms.len() - 1].iter().rev() {
            let sum = apply("Add", &[&series, term]);
            series = apply("Mul", &[&sum, &square]);
        }
        let sum = apply("Add", &[&series, first]);
        let slope = apply("Mul", &[&sum, logit]);
        let near = apply("Add", &[&slope, &half]);
        self.emit("Where", &[is_near, near, far], Vec::new(), name)
    }
}
