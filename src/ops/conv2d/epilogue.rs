//! What a convolution does to its sums, on the CPU.

use super::*;

/// The value's shape, where that of the sums is `output`, or why the epilogue or its inputs do not fit.
pub(super) fn shape(name: &str, epilogue: Epilogue, output: Shape, more: &[Shape]) -> Result<Shape> {
    match epilogue {
        Epilogue::Store | Epilogue::BiasActivation(_) | Epilogue::ActivationGradient(_) => {
            epilogue.shape(name, output, more)
        }
        Epilogue::Likelihood { .. } | Epilogue::Posterior { .. } => {
            graph_error(format!("{name}: {epilogue:?} is an epilogue of a matmul alone"))
        }
    }
}

/// What an epilogue does to sums of one pixel, those of the value's element `at` on, of channel `col`.
#[inline(always)]
pub(super) fn finish<T: Real>(epilogue: Epilogue, more: &[View<'_, T>], at: usize, col: usize, sums: &mut [T]) {
    match epilogue {
        Epilogue::BiasActivation(activation) => activation.apply_in_place(sums, &more[0].values[col..]),
        Epilogue::ActivationGradient(activation) => activation.slope_in_place(sums, &more[0].values[at..]),
        _ => {}
    }
}

/// [`finish`] for all pixels, a line of so many elements at a time: channels are too few to fill a vector.
pub(super) fn finish_lines<T: Real>(epilogue: Epilogue, more: &[View<'_, T>], line: usize, values: &mut [T]) {
    scratch(line, |biases| {
        if let Epilogue::BiasActivation(_) = epilogue {
            biases.chunks_exact_mut(more[0].values.len()).for_each(|pixel| pixel.copy_from_slice(more[0].values));
        }
        let each = |(number, values): (usize, &mut [T])| {
            vectorised(#[inline(always)] || match epilogue {
                Epilogue::BiasActivation(activation) => activation.apply_in_place(values, biases),
                _ => finish(epilogue, more, number * line, 0, values),
            });
        };
        if epilogue != Epilogue::Store {
            parallel_for(values.chunks_mut(line).enumerate(), each);
        }
    });
}
