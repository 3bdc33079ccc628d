//! The order of dispatches, and which of them run as one.
//!
//! Dispatches run one after another: wgpu puts a full barrier before each that writes a buffer, and every one does. On
//! a GPU a dispatch costs its barrier, however small it is, and leaves part of the device idle where it has few
//! workgroups. So what is independent shares one: a layer's weight gradient, bias gradient and input gradient read the
//! same gradient, and a step's record goes with them. Matmuls ([`Operation::is_matmul`](crate::ops::Operation)) and the
//! small ops that may share their dispatch join the first such group after everything they read; all other ops keep the
//! graph's order.

use super::Fusion;
use super::link::MAX_KERNELS;
use crate::graph::{Graph, NodeId, Source};
use crate::ops::Op;

/// Matmuls a dispatch: its use of registers and workgroup memory is the largest of its kernels'.
const MAX_MATMULS: usize = 2;

/// The ops of a graph in groups that run one after another; those of a group are independent of each other.
pub(super) fn groups(graph: &Graph, live: &[bool], fusion: Fusion) -> Vec<Vec<NodeId>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of: Vec<Option<usize>> = vec![None; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.0]) {
        let node = graph.node(id);
        if matches!(node.source, Source::Secondary | Source::View) {
            group_of[id.0] = group_of[node.inputs[0].0];
        }
        let Source::Op(op) = &node.source else { continue };
        let may_join = fusion == Fusion::All && (op.is_matmul() || op.may_share());
        // The first group that comes after all that it reads.
        let first = node.inputs.iter().filter_map(|input| group_of[input.0]).map(|group| group + 1).max().unwrap_or(0);
        let open = (first..groups.len()).find(|&at| may_join && groups[at].takes(op));
        let at = open.unwrap_or_else(|| {
            groups.push(Group { ids: Vec::new(), matmuls: 0, open: may_join });
            groups.len() - 1
        });
        groups[at].ids.push(id);
        groups[at].matmuls += usize::from(op.is_matmul());
        group_of[id.0] = Some(at);
    }
    groups.into_iter().map(|group| group.ids).collect()
}

struct Group {
    ids: Vec<NodeId>,
    matmuls: usize,
    /// Whether others may join.
    open: bool,
}

impl Group {
    /// Whether the op may join.
    fn takes(&self, op: &Op) -> bool {
        self.open && self.ids.len() < MAX_KERNELS && self.matmuls + usize::from(op.is_matmul()) <= MAX_MATMULS
    }
}
