//! The door for ops of other crates: what implements [`Operation`] becomes an [`Op`] through [`Custom::new`].
//!
//! Such an op keeps the contract of those here: shape rule, reference in f32 and f64, gradient or the explicit lack of one,
//! kernel, test cases. Two things set it apart. Fusion leaves it alone, since it only joins ops that it knows. And its kernels
//! keep wgpu's bounds checks: that ours need none is shown by this crate's tests, which another crate's ops are not in.
//!
//! `examples/custom_op.rs` has one from its WGSL to its gradient.

use super::*;
use std::any::Any;
use std::sync::Arc;

/// An op of another crate.
#[derive(Clone, Debug)]
pub struct Custom(Arc<dyn Erased>);

impl Custom {
    /// Takes the op in; equal ops share a kernel.
    pub fn new(op: impl Operation + PartialEq + Send + Sync + 'static) -> Custom {
        Custom(Arc::new(op))
    }

    pub(super) fn reference_f32(&self, step: &Step, inputs: &[View<'_, f32>], outputs: &mut [&mut [f32]]) {
        self.0.reference_f32(step, inputs, outputs);
    }

    pub(super) fn reference_f64(&self, step: &Step, inputs: &[View<'_, f64>], outputs: &mut [&mut [f64]]) {
        self.0.reference_f64(step, inputs, outputs);
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Operation for Custom {
    const NAME: &'static str = "custom";

    fn name(&self) -> &'static str {
        self.0.name_of()
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        self.0.shape_of(inputs)
    }

    fn reference<T: Real>(&self, step: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        T::reference_of(self, step, inputs, outputs);
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        self.0.gradient_of(back)
    }

    fn kernel(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        self.0.kernel_of(inputs, output, profile)
    }

    /// None: they are the other crate's to test.
    fn cases() -> Vec<Case> {
        Vec::new()
    }

    fn effect(&self) -> Effect {
        self.0.effect_of()
    }

    fn scalars(&self) -> Vec<&'static str> {
        self.0.scalars_of()
    }

    fn reads(&self) -> DType {
        self.0.reads_of()
    }
}

/// [`Operation`] as a trait object: each of its generic parts once for each type.
trait Erased: Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
    fn name_of(&self) -> &'static str;
    fn effect_of(&self) -> Effect;
    fn scalars_of(&self) -> Vec<&'static str>;
    fn reads_of(&self) -> DType;
    fn shape_of(&self, inputs: &[Shape]) -> Result<Shape>;
    fn reference_f32(&self, step: &Step, inputs: &[View<'_, f32>], outputs: &mut [&mut [f32]]);
    fn reference_f64(&self, step: &Step, inputs: &[View<'_, f64>], outputs: &mut [&mut [f64]]);
    fn gradient_of(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>>;
    fn kernel_of(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel;
}

impl<O: Operation + PartialEq + Send + Sync + 'static> Erased for O {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<O>() == Some(self)
    }
    fn name_of(&self) -> &'static str {
        self.name()
    }
    fn effect_of(&self) -> Effect {
        self.effect()
    }
    fn scalars_of(&self) -> Vec<&'static str> {
        self.scalars()
    }
    fn reads_of(&self) -> DType {
        self.reads()
    }
    fn shape_of(&self, inputs: &[Shape]) -> Result<Shape> {
        self.shape(inputs)
    }
    fn reference_f32(&self, step: &Step, inputs: &[View<'_, f32>], outputs: &mut [&mut [f32]]) {
        self.reference(step, inputs, outputs);
    }
    fn reference_f64(&self, step: &Step, inputs: &[View<'_, f64>], outputs: &mut [&mut [f64]]) {
        self.reference(step, inputs, outputs);
    }
    fn gradient_of(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        self.gradient(back)
    }
    fn kernel_of(&self, inputs: &[Shape], output: Shape, profile: &DeviceProfile) -> Kernel {
        self.kernel(inputs, output, profile)
    }
}
