//! Fusion: a product takes over what follows it, where nothing else reads the product.
//!
//! A fused kernel links another `finish` fragment; no text is generated. The unfused plan stays available and must agree.

use crate::graph::{Graph, NodeId, Source};
use crate::ops::{ActivationGradient, BiasActivation, Finish, Matmul, Op};

/// Joins `BiasActivation(matmul, bias)` and `ActivationGradient(y, matmul)` into one product each.
pub(super) fn fuse(graph: &mut Graph) {
    let mut readers = vec![0_usize; graph.nodes().len()];
    for id in graph.ids() {
        for input in &graph.node(id).inputs {
            readers[input.0] += 1;
        }
    }
    for (_, id) in graph.outputs() {
        readers[id.0] += 1;
    }
    for (_, id) in graph.gradients() {
        readers[id.0] += 1;
    }
    for id in graph.ids() {
        let node = graph.node(id).clone();
        let (product, third, finish) = match (&node.source, node.inputs.as_slice()) {
            (Source::Op(Op::BiasActivation(BiasActivation { activation })), &[x, bias]) => {
                (x, bias, Finish::BiasActivation(*activation))
            }
            (Source::Op(Op::ActivationGradient(ActivationGradient { activation })), &[y, d_y]) => {
                (d_y, y, Finish::ActivationGradient(*activation))
            }
            _ => continue,
        };
        if readers[product.0] != 1 {
            continue;
        }
        if let Some((matmul, [a, b])) = plain_product(graph, product) {
            graph.replace(id, Matmul { finish, ..matmul }.into(), vec![a, b, third]);
        }
    }
}

fn plain_product(graph: &Graph, id: NodeId) -> Option<(Matmul, [NodeId; 2])> {
    let node = graph.node(id);
    match (&node.source, node.inputs.as_slice()) {
        (Source::Op(Op::Matmul(matmul)), &[a, b]) if matmul.finish == Finish::Store => Some((*matmul, [a, b])),
        _ => None,
    }
}
