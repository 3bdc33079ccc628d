//! Operators of images, which ONNX has with their channels first.

use super::super::proto::Attribute;
use super::Translator;
use crate::error::{Result, graph_error};
use crate::graph::{NodeId, Source};
use crate::ops::{
    Conv2d, ConvTranspose2d, Epilogue, Interpolation, Normalise, Op, Over, Pool, Pooling, Resize, Window2d,
};

impl Translator<'_> {
    /// A convolution of what lies before it, with a bias where there is a third input.
    pub(super) fn convolution(&mut self, op: &Op, inputs: &[NodeId], name: Option<String>) -> Result<String> {
        let (operator, window, more) = match op {
            Op::Conv2d(Conv2d { window, epilogue: Epilogue::Store }) => ("Conv", window, None),
            Op::ConvTranspose2d(ConvTranspose2d { window, size, epilogue: Epilogue::Store }) => {
                let positions = size.map(|extent| window.positions(extent));
                let padding = [0, 1].map(|axis| size[axis] - window.least_extent(positions[axis]));
                ("ConvTranspose", window, Some(Attribute::integers("output_padding", &padding)))
            }
            other => return graph_error(format!("fused {} has no translation to ONNX", other.name())),
        };
        let Window2d { kernel, stride, padding, dilation } = *window;
        let mut attributes = vec![
            Attribute::integers("kernel_shape", &[kernel; 2]),
            Attribute::integers("strides", &[stride; 2]),
            Attribute::integers("pads", &[padding; 4]),
            Attribute::integers("dilations", &[dilation; 2]),
        ];
        attributes.extend(more);
        let inputs = inputs.iter().map(|&input| self.value(input)).collect::<Result<Vec<_>>>()?;
        Ok(self.emit(operator, &inputs, attributes, name))
    }

    /// Images from vectors, or the reverse. ONNX's images have their channels first, and so have the weights of dense layers
    /// beside them; what comes from outside or goes there has them last.
    pub(super) fn view(&mut self, id: NodeId, root: NodeId, name: Option<String>) -> Result<String> {
        let (of, from) = (self.value(root)?, self.graph.shape(root));
        let outside = matches!(self.graph.node(root).source, Source::Input(_));
        // As it is, or as the mean of a distribution, pixel by pixel.
        let goes_out = self.graph.outputs().iter().any(|(_, output)| match self.op_of(*output) {
            Some((Op::ContinuousBernoulliMean(_), of)) => of[0] == id,
            _ => *output == id,
        });
        match (from.extents(), self.graph.shape(id).extents()) {
            (&[_, _], &[_, height, width, channels]) if outside && channels > 1 => {
                let images = self.reshape(of, &[height, width, channels], None);
                Ok(self.emit("Transpose", &[images], vec![Attribute::integers("perm", &[0, 3, 1, 2])], name))
            }
            (&[_, _], &[_, height, width, channels]) => Ok(self.reshape(of, &[channels, height, width], name)),
            (&[_, height, width, channels], &[_, features]) if goes_out && channels > 1 && height * width > 1 => {
                let images = self.emit("Transpose", &[of], vec![Attribute::integers("perm", &[0, 2, 3, 1])], None);
                Ok(self.reshape(images, &[features], name))
            }
            (&[_, ..], &[_, features]) => Ok(self.reshape(of, &[features], name)),
            (from, to) => graph_error(format!("a view of {from:?} as {to:?} has no translation to ONNX")),
        }
    }

    /// Conditions behind the examples' values, or as planes behind the channels of images.
    pub(super) fn concat(&mut self, inputs: &[NodeId], name: Option<String>) -> Result<String> {
        let [x, mut given] = [self.value(inputs[0])?, self.value(inputs[1])?];
        if let &[_, height, width, _] = self.graph.shape(inputs[0]).extents() {
            let points = self.reshape(given, &[self.graph.shape(inputs[1]).cols(), 1, 1], None);
            let name = format!("expand_{}.shape", self.nodes.len());
            let plane = self.constant(name, &[1, 1, height as i64, width as i64]);
            given = self.emit("Expand", &[points, plane], Vec::new(), None);
        }
        Ok(self.emit("Concat", &[x, given], vec![Attribute::integer("axis", 1)], name))
    }

    /// A batch of examples in this shape.
    fn reshape(&mut self, of: String, example: &[usize], name: Option<String>) -> String {
        let shape: Vec<i64> = std::iter::once(-1).chain(example.iter().map(|&extent| extent as i64)).collect();
        let shape = self.constant(format!("reshape_{}.shape", self.nodes.len()), &shape);
        self.emit("Reshape", &[of, shape], Vec::new(), name)
    }

    /// Batch norm by running statistics as `BatchNormalization`; group norm as opset 17 has it, `InstanceNormalization` of each
    /// group as one channel, then scale and shift.
    pub(super) fn normalise(&mut self, op: Normalise, inputs: &[NodeId], name: Option<String>) -> Result<String> {
        let Normalise { over, epsilon } = op;
        let (x, shape) = (self.value(inputs[0])?, self.graph.shape(inputs[0]));
        let [scale, shift] = [self.value(inputs[2])?, self.value(inputs[3])?];
        let epsilon = Attribute::real("epsilon", epsilon as f32);
        match (over, self.op_of(inputs[1])) {
            (Over::Running, Some((Op::RunningStatistics(_), running))) => {
                let [mean, variance] = [self.value(running[0])?, self.value(running[1])?];
                Ok(self.emit("BatchNormalization", &[x, scale, shift, mean, variance], vec![epsilon], name))
            }
            (Over::Group(groups), _) => {
                let (channels, pixels) = (shape.cols(), shape.extents()[1..shape.rank() - 1].to_vec());
                let members = channels / groups * pixels.iter().product::<usize>();
                let [ones, zeros] = [1.0, 0.0].map(|value| self.reals(&[groups], &vec![value; groups]));
                let grouped = self.reshape(x, &[groups, members], None);
                let normed = self.emit("InstanceNormalization", &[grouped, ones, zeros], vec![epsilon], None);
                let whole = self.reshape(normed, &[&[channels], pixels.as_slice()].concat(), None);
                // Of each channel, for all pixels.
                let axes: Vec<i64> = (1..=pixels.len() as i64).collect();
                let [scale, shift] = [scale, shift].map(|of| match axes.as_slice() {
                    [] => of,
                    axes => {
                        let axes = self.constant(format!("unsqueeze_{}.axes", self.nodes.len()), axes);
                        self.emit("Unsqueeze", &[of, axes], Vec::new(), None)
                    }
                });
                let scaled = self.emit("Mul", &[whole, scale], Vec::new(), None);
                Ok(self.emit("Add", &[scaled, shift], Vec::new(), name))
            }
            (over, _) => graph_error(format!("normalisation over {over:?} has no translation to ONNX")),
        }
    }

    pub(super) fn pool(&mut self, Pool { kind, window }: Pool, x: NodeId, name: Option<String>) -> Result<String> {
        let Window2d { kernel, stride, padding, .. } = window;
        let mut attributes = vec![
            Attribute::integers("kernel_shape", &[kernel; 2]),
            Attribute::integers("strides", &[stride; 2]),
            Attribute::integers("pads", &[padding; 4]),
        ];
        let operator = match kind {
            Pooling::Max => "MaxPool",
            Pooling::Average => {
                attributes.push(Attribute::integer("count_include_pad", 1));
                "AveragePool"
            }
        };
        let x = self.value(x)?;
        Ok(self.emit(operator, &[x], attributes, name))
    }

    pub(super) fn resize(&mut self, Resize { mode, size }: Resize, x: NodeId, name: Option<String>) -> Result<String> {
        let x = self.value(x)?;
        // The batch's size is known when the model runs.
        let shape = self.emit("Shape", std::slice::from_ref(&x), vec![Attribute::integer("end", 2)], None);
        let size = self.constant(format!("resize_{}.size", self.nodes.len()), &size.map(|extent| extent as i64));
        let sizes = self.emit("Concat", &[shape, size], vec![Attribute::integer("axis", 0)], None);
        let attributes = match mode {
            Interpolation::Nearest => vec![
                Attribute::text("mode", "nearest"),
                Attribute::text("coordinate_transformation_mode", "asymmetric"),
                Attribute::text("nearest_mode", "floor"),
            ],
            Interpolation::Bilinear => {
                vec![Attribute::text("mode", "linear"), Attribute::text("coordinate_transformation_mode", "half_pixel")]
            }
        };
        Ok(self.emit("Resize", &[x, String::new(), String::new(), sizes], attributes, name))
    }
}
