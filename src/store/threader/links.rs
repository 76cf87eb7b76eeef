//! Step (1) of REFERENCES: who is whose parent, without a loop at any time.
//!
//! Whether a link would make a loop is nearly always answered by sets of nodes that have ever been linked, which costs
//! next to nothing. Only within one set the way up must be walked.

use crate::base::limits::THREAD_ANCESTORS_MAX;

use super::{NONE, Node};

/// Parents as the references say, free of loops at all times.
pub struct Links {
    /// By number of message-id.
    pub of_id: Vec<Node>,
    pub parent: Vec<Node>,
    /// Sets of nodes that are or were linked: nodes of different sets are not above one another.
    set: Vec<Node>,
    size: Vec<u32>,
}

impl Links {
    /// So many messages, which nothing links yet.
    pub fn new(messages: usize, of_id: Vec<Node>) -> Links {
        let set = (0..messages as Node).collect();
        Links { of_id, parent: vec![NONE; messages], set, size: vec![1; messages] }
    }

    /// The node of a message-id, a dummy if no message has it.
    pub fn node_of(&mut self, id: usize) -> Node {
        if self.of_id[id] == NONE {
            let node = self.parent.len() as Node;
            self.of_id[id] = node;
            self.parent.push(NONE);
            self.set.push(node);
            self.size.push(1);
        }
        self.of_id[id]
    }

    /// Links a node that has no parent, unless that made a loop; what it cost.
    pub fn put_below(&mut self, node: Node, parent: Node) -> usize {
        let (ours, theirs) = (self.set_of(node), self.set_of(parent));
        let mut cost = 2;
        if ours == theirs {
            // They were linked in some way. Only looking shows whether they still are.
            let mut up = parent;
            while up != NONE {
                if up == node || cost > THREAD_ANCESTORS_MAX {
                    return cost;
                }
                up = self.parent[up as usize];
                cost += 1;
            }
        } else {
            let (large, small) = match self.size[ours as usize] < self.size[theirs as usize] {
                true => (theirs, ours),
                false => (ours, theirs),
            };
            self.set[small as usize] = large;
            self.size[large as usize] += self.size[small as usize];
        }
        self.parent[node as usize] = parent;
        cost
    }

    fn set_of(&mut self, node: Node) -> Node {
        let mut at = node;
        while self.set[at as usize] != at {
            let next = self.set[self.set[at as usize] as usize];
            self.set[at as usize] = next;
            at = next;
        }
        at
    }
}
