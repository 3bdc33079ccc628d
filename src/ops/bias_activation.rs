//! `y = activation(x + bias)` and the activation's gradient.
//!
//! The slope of most activations follows from their value, so the backward pass keeps `y` and forgets the sum before it. That
//! of SiLU and GELU does not, as they are not monotonic: for these the sum is kept, or computed anew.

use super::*;

/// The activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `0.01 x` (PyTorch's slope)
    LeakyRelu,
    /// `tanh x`
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `log(1 + exp(x))`
    Softplus,
    /// `x / (1 + exp(-x))`
    Silu,
    /// `x Phi(x)`, Phi the standard normal CDF: PyTorch's default, by erf
    Gelu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 8] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Silu,
        Activation::Gelu,
    ];

    /// Its name, in files and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::LeakyRelu => "leaky-relu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
        }
    }

    /// Whether its gradient needs the argument x; else the value y.
    pub const fn keeps_argument(self) -> bool {
        matches!(self, Activation::Silu | Activation::Gelu)
    }

    /// The value at `x`.
    #[inline(always)]
    pub fn value<T: Real>(self, x: T) -> T {
        match self {
            Activation::Identity => x,
            Activation::Relu => x.max(T::zero()),
            Activation::LeakyRelu => x.max(x * T::from_f64(0.01)),
            Activation::Tanh => x.tangent(),
            Activation::Sigmoid => sigmoid(x),
            Activation::Softplus => x.max(T::zero()) + (-x.abs()).e_to().log1p_unit(),
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => x * x.normal_cdf(),
        }
    }

    /// The slope, from what is [kept](Activation::keeps_argument).
    #[inline(always)]
    pub fn slope<T: Real>(self, kept: T) -> T {
        let (x, y) = (kept, kept);
        match self {
            Activation::Identity => T::one(),
            Activation::Relu => if y > T::zero() { T::one() } else { T::zero() },
            Activation::LeakyRelu => if y > T::zero() { T::one() } else { T::from_f64(0.01) },
            Activation::Tanh => T::one() - y * y,
            Activation::Sigmoid => y * (T::one() - y),
            Activation::Softplus => -((-y).exp_m1()),
            Activation::Silu => {
                let s = sigmoid(x);
                s + s * (x * (T::one() - s))
            }
            Activation::Gelu => x.normal_cdf() + x * normal_density(x),
        }
    }

    /// `y = activation(x)` for consecutive elements.
    #[inline(always)]
    pub(crate) fn values<T: Real>(self, x: &[T], y: &mut [T]) {
        // Chosen outside the loop, so that each loop vectorises on its own.
        macro_rules! each { ($($kind:ident),+) => { match self { $(Activation::$kind => {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = Activation::$kind.value(x);
            }
        })+ } } }
        each!(Identity, Relu, LeakyRelu, Tanh, Sigmoid, Softplus, Silu, Gelu);
    }

    /// `x = activation(x + bias)` for consecutive elements of one row.
    #[inline(always)]
    pub(crate) fn apply_in_place<T: Real>(self, x: &mut [T], bias: &[T]) {
        macro_rules! each { ($($kind:ident),+) => { match self { $(Activation::$kind => {
            for (x, &b) in x.iter_mut().zip(bias) {
                *x = Activation::$kind.value(*x + b);
            }
        })+ } } }
        each!(Identity, Relu, LeakyRelu, Tanh, Sigmoid, Softplus, Silu, Gelu);
    }

    /// `d *= slope(kept)` for consecutive elements of one row.
    #[inline(always)]
    pub(crate) fn slope_in_place<T: Real>(self, d: &mut [T], kept: &[T]) {
        macro_rules! each { ($($kind:ident),+) => { match self { $(Activation::$kind => {
            for (d, &kept) in d.iter_mut().zip(kept) {
                *d = *d * Activation::$kind.slope(kept);
            }
        })+ } } }
        each!(Identity, Relu, LeakyRelu, Tanh, Sigmoid, Softplus, Silu, Gelu);
    }

    /// Scores consecutive elements y of one row against targets x: the sum of their losses; each y becomes its gradient with
    /// respect to the activation's argument. `score(y, x)` is the loss of one and its derivative with respect to y.
    /// The activation must be one whose slope follows from its value.
    #[inline(always)]
    pub(crate) fn score_in_place<T: Real>(self, y: &mut [T], x: &[T], score: impl Fn(T, T) -> (T, T)) -> T {
        macro_rules! each { ($($kind:ident),+) => { match self { $(Activation::$kind => {
            lane_sum_map(y, x, #[inline(always)] |y, x| {
                let (loss, d) = score(y, x);
                (loss, d * Activation::$kind.slope(y))
            })
        })+
            Activation::Silu | Activation::Gelu => unreachable!("fusion scores no activation that keeps its argument"),
        } } }
        each!(Identity, Relu, LeakyRelu, Tanh, Sigmoid, Softplus)
    }

    /// The file that defines `activate(x)`, `slope(kept)` and `curvature(kept)`; it may need `common/math.wgsl`.
    pub(crate) fn fragment(self) -> Fragment {
        match self {
            Activation::Identity => fragment!("elementwise/activation_identity.wgsl"),
            Activation::Relu => fragment!("elementwise/activation_relu.wgsl"),
            Activation::LeakyRelu => fragment!("elementwise/activation_leaky_relu.wgsl"),
            Activation::Tanh => fragment!("elementwise/activation_tanh.wgsl"),
            Activation::Sigmoid => fragment!("elementwise/activation_sigmoid.wgsl"),
            Activation::Softplus => fragment!("elementwise/activation_softplus.wgsl"),
            Activation::Silu => fragment!("elementwise/activation_silu.wgsl"),
            Activation::Gelu => fragment!("elementwise/activation_gelu.wgsl"),
        }
    }

    /// What tests fill the kept values with: softplus's are positive, and arguments have either sign.
    pub(super) const fn kept_fill(self) -> Fill {
        if self.keeps_argument() { Fill::Normal } else { Fill::Unit }
    }
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).e_to())
}

/// The standard normal density, `exp(-x^2 / 2) / sqrt(2 pi)`.
#[inline(always)]
pub(super) fn normal_density<T: Real>(x: T) -> T {
    T::from_f64(0.398_942_280_401_432_7) * (T::from_f64(-0.5) * (x * x)).e_to()
}

/// `y = activation(x + bias)`: x `[rows, cols]`, bias `[cols]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BiasActivation {
    /// The activation.
    pub activation: Activation,
}

impl Operation for BiasActivation {
    const NAME: &'static str = "bias_activation";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x, bias] = arity(Self::NAME, inputs)?;
        if bias != Shape::of([x.cols()]) {
            return graph_error(format!("bias_activation: x is {x}, bias is {bias}: bias must be [{}]", x.cols()));
        }
        Ok(x)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (x, bias) = (inputs[0], inputs[1]);
        parallel_rows(outputs[0], x.shape.cols(), #[inline(always)] |row, out| {
            out.copy_from_slice(x.row(row));
            self.activation.apply_in_place(out, bias.values);
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let d_x = match self.activation {
            Activation::Identity => back.d_output,
            activation if activation.keeps_argument() => {
                let sum = back.apply(BiasActivation { activation: Activation::Identity }, back.inputs)?;
                back.apply(ActivationGradient { activation }, &[sum, back.d_output])?
            }
            activation => back.apply(ActivationGradient { activation }, &[back.output, back.d_output])?,
        };
        let d_bias = if back.wanted[1] { Some(back.apply(SumRows, &[d_x])?) } else { None };
        Ok(vec![Some(d_x), d_bias])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::of_values(fragment!("elementwise/bias_activation.wgsl"), output.len(), 2)
            .loading_x()
            .link(self.activation.fragment())
            .link(fragment!("common/math.wgsl"))
            .constant("COLS", output.cols())
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for activation in Activation::ALL {
            for [rows, cols] in [[1, 1], [63, 65], [128, 400]] {
                let inputs = [(Shape::new(rows, cols), Fill::Normal), (Shape::of([cols]), Fill::Normal)];
                cases.push(Case::new(BiasActivation { activation }, 4, &inputs));
            }
        }
        cases
    }
}

/// `d_x = d_y * slope(kept)`: inputs what is [kept](Activation::keeps_argument), y or x, and d_y; of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationGradient {
    /// The activation.
    pub activation: Activation,
}

impl Operation for ActivationGradient {
    const NAME: &'static str = "activation_gradient";

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [kept, d_y] = arity(Self::NAME, inputs)?;
        same(Self::NAME, ["what is kept", "d_y"], kept, d_y)
    }

    fn reference<T: Real>(&self, _: &Step, inputs: &[View<'_, T>], outputs: &mut [&mut [T]]) {
        let (kept, d_y) = (inputs[0], inputs[1]);
        parallel_rows(outputs[0], kept.shape.cols(), #[inline(always)] |row, out| {
            out.copy_from_slice(d_y.row(row));
            self.activation.slope_in_place(out, kept.row(row));
        });
    }

    fn gradient(&self, back: &mut Backward<'_>) -> Result<Vec<Option<NodeId>>> {
        let (kept, d_y, g) = (back.inputs[0], back.inputs[1], back.d_output);
        let d_for_kept = match self.activation {
            // Piecewise linear: the slope does not change.
            Activation::Identity | Activation::Relu | Activation::LeakyRelu => None,
            activation if back.wanted[0] => Some(back.apply(ActivationCurvature { activation }, &[kept, d_y, g])?),
            _ => None,
        };
        let d_for_d_y = if back.wanted[1] { Some(back.apply(*self, &[kept, g])?) } else { None };
        Ok(vec![d_for_kept, d_for_d_y])
    }

    fn kernel(&self, _: &[Shape], output: Shape, _: &DeviceProfile) -> Kernel {
        Kernel::elementwise(fragment!("elementwise/activation_gradient.wgsl"), output.len())
            .loading_x()
            .link(self.activation.fragment())
            .link(fragment!("common/math.wgsl"))
    }

    fn loads_half(&self, input: usize) -> bool {
        input == 0
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for activation in Activation::ALL {
            for size in [[1, 1], [63, 65], [127, 129], [9, 36]] {
                let inputs = [(size, activation.kept_fill()), (size, Fill::Normal)];
                cases.push(Case::new(ActivationGradient { activation }, 4, &inputs));
            }
        }
        cases
    }
}
