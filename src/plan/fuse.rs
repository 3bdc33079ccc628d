//! Fusion: epilogues into GEMMs and, with [`Fusion::All`], gathers into their operand loaders.
//!
//! A fused kernel links other fragments; no text is generated. The unfused plan stays available and must agree. Two
//! codebases were read for this part: tinygrad (every chain of elementwise work becomes one generated kernel) and cuDNN's
//! front end (a list of patterns around a product, each with its own kernel). The second was taken: there are few products
//! and few things around them, each file can be read and tested alone, and what is not in the list runs unfused.
//!
//! In the order below, of which each builds on those before:
//! 1. an epilogue of a product or a convolution: bias and activation, the slope of an activation;
//! 2. a likelihood: the last layer's bias, loss and gradient, the loss left in parts;
//! 3. a posterior: the gradient of a draw and of the KL, added;
//! 4. the record of a VAE's bound: each row's terms, then their means and the sum of these;
//! 5. with [`Fusion::All`], operands: a batch read from the data set. Not a draw: a tile's loop over k would compute each
//!    normal again for every tile, a thousand instructions beside a hundred multiply-adds.

use super::Fusion;
use crate::graph::{Graph, NodeId, Source};
use crate::ops::{
    Activation, ActivationGradient, AddScaled, BatchMean, BatchMeanGradient, BiasActivation, Constant, Conv2d,
    ConvTranspose2d, ElboTerms, Epilogue, Factor, Likelihood, Matmul, Op, Operand, PartialMean, Record, RecordElbo,
    Scale, Transpose,
};

/// Joins what can be joined.
pub(super) fn fuse(graph: &mut Graph, fusion: Fusion) {
    if fusion == Fusion::None {
        return;
    }
    let ids: Vec<NodeId> = graph.ids().collect();
    for pass in [likelihood, epilogue, posterior, bound] {
        for &id in &ids {
            // `None`: the pattern does not match here.
            let _ = pass(graph, id);
        }
    }
    if fusion == Fusion::All {
        for &id in &ids {
            let _ = operand(graph, id);
        }
    }
}

/// The op behind a value, and its inputs.
fn op(graph: &Graph, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
    match &graph.node(id).source {
        Source::Op(op) => Some((op.clone(), graph.node(id).inputs.clone())),
        _ => None,
    }
}

/// Nodes that read a value, of those that are needed; none where it is an output or a gradient, which others read too.
fn readers(graph: &Graph, id: NodeId) -> Option<Vec<NodeId>> {
    let named = graph.outputs().iter().any(|(_, output)| *output == id);
    (!named && !is_gradient(graph, id)).then(|| needed_readers(graph, id))
}

fn needed_readers(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let live = super::live(graph);
    graph.ids().filter(|reader| live[reader.0] && graph.node(*reader).inputs.contains(&id)).collect()
}

fn is_gradient(graph: &Graph, id: NodeId) -> bool {
    graph.gradients().iter().any(|(_, gradient)| *gradient == id)
}

fn only_reader(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match readers(graph, id)?.as_slice() {
        &[reader] => Some(reader),
        _ => None,
    }
}

/// An unfused matmul with one reader.
fn free_product(graph: &Graph, id: NodeId) -> Option<(Matmul, [NodeId; 2])> {
    let (Op::Matmul(matmul), inputs) = op(graph, id)? else { return None };
    only_reader(graph, id)?;
    (matmul == Matmul::new(matmul.transpose)).then_some(())?;
    Some((matmul, inputs.try_into().ok()?))
}

/// `BiasActivation(product, bias)` and `ActivationGradient(kept, product)`.
fn epilogue(graph: &mut Graph, id: NodeId) -> Option<()> {
    let (product, third, epilogue) = match op(graph, id)? {
        (Op::BiasActivation(BiasActivation { activation }), inputs) => {
            (inputs[0], inputs[1], Epilogue::BiasActivation(activation))
        }
        (Op::ActivationGradient(ActivationGradient { activation }), inputs) => {
            (inputs[1], inputs[0], Epilogue::ActivationGradient(activation))
        }
        _ => return None,
    };
    only_reader(graph, product)?;
    let (op, mut inputs) = op(graph, product)?;
    let fused: Op = match op {
        Op::Matmul(matmul) if matmul == Matmul::new(matmul.transpose) => Matmul { epilogue, ..matmul }.into(),
        Op::Conv2d(conv) if conv == Conv2d::new(conv.window) => Conv2d { epilogue, ..conv }.into(),
        Op::ConvTranspose2d(conv) if conv == ConvTranspose2d::new(conv.window, conv.size) => {
            ConvTranspose2d { epilogue, ..conv }.into()
        }
        _ => return None,
    };
    inputs.push(third);
    graph.replace(id, fused, inputs);
    Some(())
}

/// `y = activation(product + bias)` that only a loss, its gradient and the activation's slope read, where that loss is only
/// averaged: the value becomes the gradient of the activation's argument, the loss its parts.
fn likelihood(graph: &mut Graph, id: NodeId) -> Option<()> {
    let (Op::BiasActivation(BiasActivation { activation }), inputs) = op(graph, id)? else { return None };
    // The epilogue has the value alone, not the argument that some slopes need.
    (!activation.keeps_argument()).then_some(())?;
    let (matmul, [a, b]) = free_product(graph, inputs[0])?;
    let readers_of_y = readers(graph, id)?;
    let &[loss, gradient, ..] = readers_of_y.as_slice() else { return None };
    let (score, target) = match (op(graph, loss)?, op(graph, gradient)?) {
        ((Op::BceLogits(_), of), (Op::BceLogitsGradient(_), _)) => (Likelihood::BceLogits, of[1]),
        ((Op::ContinuousBernoulli(_), of), (Op::ContinuousBernoulliGradient(_), _)) => {
            (Likelihood::ContinuousBernoulli, of[1])
        }
        ((Op::SquaredError(_), of), (Op::SquaredErrorGradient(_), _)) => (Likelihood::SquaredError, of[1]),
        _ => return None,
    };
    let last = match readers_of_y[2..] {
        [] if activation == Activation::Identity => gradient,
        [slope] if op(graph, slope)?.1 == [id, gradient] && only_reader(graph, gradient) == Some(slope) => {
            let (Op::ActivationGradient(ActivationGradient { activation: of }), _) = op(graph, slope)? else {
                return None;
            };
            (of == activation).then_some(slope)?
        }
        _ => return None,
    };
    let (_, of) = op(graph, gradient)?;
    let averaged = readers(graph, loss)?;
    let is_mean = |reader: &NodeId| matches!(op(graph, *reader), Some((Op::BatchMean(_), _)));
    let fits = averaged.iter().all(is_mean)
        && of[..2] == [id, target]
        && target < id
        && readers(graph, last).is_some()
        && mean_weight(graph, of[2])? == Factor::Constant(1.0);
    fits.then_some(())?;
    let shape = graph.shape(id);
    let (rows, cols) = (shape.rows(), shape.cols());
    let epilogue = Epilogue::Likelihood { score, activation, target: Operand::Stored };
    graph.replace(id, Matmul { epilogue, ..matmul }, vec![a, b, inputs[1], target]);
    graph.redirect(last, id);
    graph.make_secondary(loss, id, epilogue.second([rows, cols])?);
    for mean in averaged {
        graph.replace(mean, PartialMean, vec![loss]);
    }
    Some(())
}

/// Of `BatchMeanGradient` of a number: that number, the weight of a mean in what is minimised.
fn mean_weight(graph: &Graph, id: NodeId) -> Option<Factor> {
    let (Op::BatchMeanGradient(BatchMeanGradient { .. }), inputs) = op(graph, id)? else { return None };
    let one = |id: NodeId| matches!(op(graph, id), Some((Op::Constant(Constant { value, .. }), _)) if value == 1.0);
    match op(graph, inputs[0])? {
        (Op::Constant(Constant { value, .. }), _) => Some(Factor::Constant(value)),
        (Op::Scale(Scale { factor }), of) if one(of[0]) => Some(factor),
        _ => None,
    }
}

/// `KlGradient(posterior, weight) + ReparameteriseGradient(posterior, product)`, in either order.
fn posterior(graph: &mut Graph, id: NodeId) -> Option<()> {
    let (Op::AddScaled(AddScaled { factor: Factor::Constant(1.0) }), inputs) = op(graph, id)? else { return None };
    let sides = [op(graph, inputs[0])?, op(graph, inputs[1])?];
    let ((_, kl), (draw, drawn)) = match sides {
        [kl @ (Op::KlGradient(_), _), draw @ (Op::ReparameteriseGradient(_), _)]
        | [draw @ (Op::ReparameteriseGradient(_), _), kl @ (Op::KlGradient(_), _)] => (kl, draw),
        _ => return None,
    };
    let Op::ReparameteriseGradient(draw) = draw else { return None };
    (kl[0] == drawn[0] && only_reader(graph, inputs[0]) == Some(id) && only_reader(graph, inputs[1]) == Some(id))
        .then_some(())?;
    let (matmul, [a, b]) = free_product(graph, drawn[1])?;
    let weight = mean_weight(graph, kl[1])?;
    let epilogue = Epilogue::Posterior { stream: draw.stream, samples: draw.samples, weight };
    graph.replace(id, Matmul { epilogue, ..matmul }, vec![a, b, kl[0]]);
    Some(())
}

/// `Record(recon + weight kl, recon, kl)` of parts and a posterior.
fn bound(graph: &mut Graph, id: NodeId) -> Option<()> {
    let (Op::Record(Record { first }), scalars) = op(graph, id)? else { return None };
    let [loss, recon, kl] = scalars.try_into().ok()?;
    let (Op::AddScaled(AddScaled { factor: weight }), terms) = op(graph, loss)? else { return None };
    let (Op::PartialMean(_), parts) = op(graph, recon)? else { return None };
    let (Op::BatchMean(BatchMean), kls) = op(graph, kl)? else { return None };
    let (Op::Kl(_), posterior) = op(graph, kls[0])? else { return None };
    let rows = |id: NodeId| graph.shape(id).rows();
    (terms == [recon, kl] && only_reader(graph, loss) == Some(id) && rows(parts[0]) == rows(posterior[0]))
        .then_some(())?;
    graph.replace(loss, ElboTerms, vec![parts[0], posterior[0]]);
    graph.replace(id, RecordElbo { weight, first }, vec![loss]);
    Some(())
}

/// A batch that only products read, as an operand or a target: they compute it as they read it.
fn operand(graph: &mut Graph, id: NodeId) -> Option<()> {
    let (Op::Gather(gather), stored) = op(graph, id)? else { return None };
    if !gather.is_cheap() {
        return None;
    }
    let (load, stored) = (Operand::Gathered(gather), stored[0]);
    let readers = readers(graph, id)?;
    let joined: Option<Vec<Matmul>> = readers
        .iter()
        .map(|&reader| {
            let (Op::Matmul(matmul), inputs) = op(graph, reader)? else { return None };
            let places: Vec<usize> = (0..inputs.len()).filter(|&place| inputs[place] == id).collect();
            match (places.as_slice(), matmul.transpose, matmul.epilogue) {
                ([0], Transpose::B | Transpose::Neither, _) => Some(Matmul { a: load, ..matmul }),
                ([1], Transpose::A | Transpose::Neither, _) => Some(Matmul { b: load, ..matmul }),
                ([3], _, Epilogue::Likelihood { score, activation, .. }) => {
                    Some(Matmul { epilogue: Epilogue::Likelihood { score, activation, target: load }, ..matmul })
                }
                _ => None,
            }
            .filter(one_source)
        })
        .collect();
    for (reader, matmul) in readers.into_iter().zip(joined?) {
        let inputs = &graph.node(reader).inputs;
        let inputs = inputs.iter().map(|&input| if input == id { stored } else { input }).collect();
        graph.replace(reader, matmul, inputs);
    }
    Some(())
}

/// A kernel has at most one gathered operand.
fn one_source(matmul: &Matmul) -> bool {
    let target = match matmul.epilogue {
        Epilogue::Likelihood { target, .. } => target,
        _ => Operand::Stored,
    };
    [matmul.a, matmul.b, target].iter().filter(|operand| **operand != Operand::Stored).count() <= 1
}
