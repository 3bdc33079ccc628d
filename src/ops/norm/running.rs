//! Running statistics of batch norm: kept from step to step beside the trained parameters, read in evaluation.

use super::*;

/// The statistics `[c, 2]` of running means `[c]` and running variances `[c]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningStatistics;

impl Operation for RunningStatistics {
    const NAME: &'static str = "running_statistics";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [mean, variance] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["running variance", "running mean"], variance, mean)?;
        same(Self::NAME, ["running mean", "a number a channel"], mean, Shape::of([mean.cols()]))?;
        Ok(Shape::new(mean.cols(), 2))
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let pairs = inputs[0].values.iter().zip(inputs[1].values);
        for (out, (&mean, &variance)) in outputs[0].chunks_exact_mut(2).zip(pairs) {
            out.copy_from_slice(&[mean, variance]);
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "running statistics are not trained")
    }

    fn kernel(&self, inputs: &[Shape], _: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("norm/running_statistics.wgsl"), inputs[0].cols())
    }

    fn cases() -> Vec<Case> {
        [1, 127, 129].map(|c| Case::new(RunningStatistics, 1, &[([c], Fill::Normal); 2])).to_vec()
    }
}

/// `running = (1 - momentum) running + momentum value`: inputs running means `[c]`, running variances `[c]`, and one to three
/// [`Statistics`] `[c, 2]` over the batch, which are applied in turn.
///
/// Variances are made unbiased, times `m / (m - 1)`, m being the elements behind each, `rows samples pixels` with the step's
/// rows; that of one element stays as it is. It updates its first two inputs in place ([`Effect::Update`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateRunning {
    /// The weight of the new value; PyTorch's default is 0.1.
    pub momentum: f64,
    /// Images of one example, as in [`Over::Batch`].
    pub samples: usize,
    /// Pixels of an image.
    pub pixels: usize,
}

impl UpdateRunning {
    /// The most statistics that one update takes.
    pub const MOST: usize = 3;
}

impl Operation for UpdateRunning {
    const NAME: &'static str = "update_running";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let (running, statistics) = inputs.split_at(inputs.len().min(2));
        let [mean, variance] = arity(Self::NAME, running)?;
        same(Self::NAME, ["running variance", "running mean"], variance, mean)?;
        same(Self::NAME, ["running mean", "a number a channel"], mean, Shape::of([mean.cols()]))?;
        if statistics.is_empty() || statistics.len() > UpdateRunning::MOST {
            return graph_error(format!(
                "update_running: takes one to {} statistics, got {}",
                UpdateRunning::MOST,
                statistics.len()
            ));
        }
        for &statistics in statistics {
            same(Self::NAME, ["statistics", "a mean and a variance a channel"], statistics, Shape::new(mean.cols(), 2))?;
        }
        Ok(mean)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let [means, variances] = outputs else { unreachable!("it updates two values") };
        let elements = f64::from(step.rows) * (self.samples * self.pixels) as f64;
        let unbiased = T::from_f64(elements / (elements - 1.0).max(1.0));
        let (momentum, kept) = (T::from_f64(self.momentum), T::from_f64(1.0 - self.momentum));
        for statistics in inputs {
            let running = means.iter_mut().zip(variances.iter_mut());
            for ((mean, variance), value) in running.zip(statistics.values.as_chunks::<2>().0) {
                *mean = kept * *mean + momentum * value[0];
                *variance = kept * *variance + momentum * (unbiased * value[1]);
            }
        }
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        back.none(Self::NAME, "it updates in place")
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        let mut kernel = Kernel::elementwise(fragment!("norm/update_running.wgsl"), output.cols())
            .link(fragment!("common/step.wgsl"))
            .link(match inputs.len() {
                1 => fragment!("norm/update_running_1.wgsl"),
                2 => fragment!("norm/update_running_2.wgsl"),
                _ => fragment!("norm/update_running_3.wgsl"),
            })
            .binding("RUNNING_MEAN", inputs.len() + 1)
            .binding("RUNNING_VARIANCE", inputs.len() + 2)
            .constant("PIXELS", self.samples * self.pixels);
        kernel.constants.extend([("MOMENTUM", self.momentum), ("KEPT", 1.0 - self.momentum)]);
        kernel
    }

    fn cases() -> Vec<Case> {
        // It updates two values, and a case reads one: tests/norm.rs runs it on both back-ends.
        Vec::new()
    }

    fn effect(&self) -> Effect {
        Effect::Update(2)
    }
}
