//! The threading algorithms of RFC 5256 and of draft-ietf-morg-inthread, over numbers, some steps at a time.
//!
//! A node is a message, or a dummy for a message-id that is only referred to; messages come first, in order of sequence
//! number. All messages are put in order of sent date once; whatever must be sorted by it after that (roots, siblings)
//! is handed out in that order instead. Nothing recurses, so that threads may be as deep as there are messages.

use crate::base::Uid;

use super::threading::{Thread, ThreadBy};
use super::work::{Sorting, Work};

mod links;
#[cfg(test)]
pub mod tests;

use links::Links;

/// What threads are made from. Messages are named by any number.
pub trait Letters {
    /// How the message is called in the end.
    fn uid(&self, place: u32) -> Uid;
    /// A number that ascends with the sent date (RFC 5256 section 2.2), and one that does with INTERNALDATE.
    fn sent(&self, place: u32) -> u64;
    fn arrival(&self, place: u32) -> u64;
    fn letter(&self, place: u32) -> Letter<'_>;
    /// The same number for the same base subject; 0 where it is empty.
    fn subject(&self, place: u32) -> u32;
    fn is_reply(&self, place: u32) -> bool;
}

/// Numbers for message-ids; 0 is none.
pub struct Letter<'a> {
    pub id: u32,
    pub references: &'a [u32],
}

type Node = u32;
const NONE: Node = u32::MAX;

/// Threads in the making.
pub struct Threader {
    by: ThreadBy,
    /// Of each message its name, in order of sequence number.
    places: Vec<u32>,
    phase: Phase,
    /// How far the phase has come.
    cursor: usize,
    by_date: Vec<Node>,
    links: Links,
    /// Of each message, once dummies are pruned: its parent, which is a message or a dummy at the root, or none.
    above: Vec<Node>,
    /// Of each dummy: what is above a message below it.
    memo: Vec<Node>,
    /// Dummies on the way up that will have the same memo.
    path: Vec<Node>,
    dummies: Vec<Dummy>,
    roots: Vec<Node>,
    /// By number of subject: the root that gathers it.
    gatherers: Vec<Node>,
    /// Where the children of each node begin in `children`; they end where the next node's begin.
    begins: Vec<u32>,
    children: Vec<Node>,
    writing: Writing,
}

/// Steps (1) to (6) of RFC 5256's REFERENCES, in smaller ones.
enum Phase {
    ByDate(Sorting<(u64, Node)>),
    /// ORDEREDSUBJECT only.
    Subjects,
    Names,
    Links,
    Prune,
    Roots,
    Gather,
    Merge,
    Count,
    Sum,
    Fill,
    RootsAgain,
    Write,
    /// REFS only.
    ByNewest(Sorting<Written>),
    Assemble,
    Done,
}

/// A dummy at the root.
#[derive(Clone, Copy)]
struct Dummy {
    children: u32,
    /// Its child with the earliest date.
    first: Node,
    /// The dummy that has taken over its children.
    merged_into: Node,
    is_listed: bool,
}

impl Default for Dummy {
    fn default() -> Dummy {
        Dummy { children: 0, first: NONE, merged_into: NONE, is_listed: false }
    }
}

#[derive(Default)]
struct Writing {
    tokens: Vec<Thread>,
    /// The next node of the list that is being written.
    next: Option<Node>,
    /// Children that still have to be written, as a stretch of `children`, the innermost last.
    open: Vec<(u32, u32)>,
    /// Arrival and number of the newest message in this thread.
    newest: (u64, Node),
    threads: Vec<Written>,
    /// REFS: all tokens as they were written.
    unordered: Vec<Thread>,
}

/// One thread: its newest message by arrival, and where it stands in `tokens`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    arrival: u64,
    newest: Node,
    from: u32,
    end: u32,
}

impl Threader {
    /// Message-ids have numbers below `ids`, subjects below `subjects`.
    pub fn new(
        by: ThreadBy,
        places: Vec<u32>,
        ids: usize,
        subjects: usize,
        letters: &impl Letters,
    ) -> Threader {
        let count = places.len();
        let of_id = if by == ThreadBy::OrderedSubject { Vec::new() } else { vec![NONE; ids] };
        let gatherers = if by == ThreadBy::Refs { Vec::new() } else { vec![NONE; subjects] };
        let dated = places.iter().map(|place| letters.sent(*place)).zip(0..).collect();
        Threader {
            by,
            places,
            phase: Phase::ByDate(Sorting::new(dated)),
            cursor: 0,
            by_date: Vec::new(),
            links: Links::new(count, of_id),
            above: vec![NONE; count],
            memo: Vec::new(),
            path: Vec::new(),
            dummies: Vec::new(),
            roots: Vec::new(),
            gatherers,
            begins: Vec::new(),
            children: Vec::new(),
            writing: Writing::default(),
        }
    }

    /// Goes on while there is work to be spent; true when the threads are written. `letters` must say the same each time.
    pub fn advance(&mut self, letters: &impl Letters, work: &mut Work) -> bool {
        loop {
            if matches!(self.phase, Phase::Done) {
                return true;
            }
            if !self.go_on(letters, work) {
                return false;
            }
        }
    }

    pub fn into_tokens(self) -> Vec<Thread> {
        self.writing.tokens
    }

    fn count(&self) -> usize {
        self.places.len()
    }

    /// Works at the phase, and begins the next one when it is through. False when the work is spent.
    fn go_on(&mut self, letters: &impl Letters, work: &mut Work) -> bool {
        let count = self.count();
        let through = match &mut self.phase {
            Phase::ByDate(sorting) => sorting.advance(work, Ord::cmp),
            Phase::ByNewest(sorting) => sorting.advance(work, Ord::cmp),
            Phase::Subjects => self.each(count, work, |it, at| it.gather_subject(letters, at)),
            Phase::Names => self.each(count, work, |it, at| it.name(letters, at)),
            Phase::Links => self.each(count, work, |it, at| it.link(letters, at)),
            Phase::Prune => self.each(count, work, Threader::prune),
            Phase::Roots => self.each(count, work, Threader::find_root),
            Phase::Gather => self.each(self.roots.len(), work, |it, at| it.gather(letters, at)),
            Phase::Merge => self.each(self.roots.len(), work, |it, at| it.merge(letters, at)),
            Phase::Count => self.each(count, work, Threader::count_child),
            Phase::Sum => self.each(self.begins.len(), work, Threader::sum),
            Phase::Fill => self.each(count, work, Threader::fill),
            Phase::RootsAgain => self.each(count, work, Threader::find_root_again),
            Phase::Write => self.write(letters, work),
            Phase::Assemble => self.each(self.writing.threads.len(), work, Threader::assemble),
            Phase::Done => true,
        };
        if through {
            self.cursor = 0;
            self.phase = self.next_phase();
        }
        through
    }

    fn next_phase(&mut self) -> Phase {
        match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::ByDate(sorting) => {
                self.by_date = sorting.into_items().into_iter().map(|(_, node)| node).collect();
                if self.by == ThreadBy::OrderedSubject { Phase::Subjects } else { Phase::Names }
            }
            Phase::Names => Phase::Links,
            Phase::Links => {
                let dummies = self.links.parent.len() - self.count();
                self.memo = vec![NONE; dummies];
                self.dummies = vec![Dummy::default(); dummies];
                Phase::Prune
            }
            Phase::Prune => Phase::Roots,
            Phase::Roots if self.by == ThreadBy::References => Phase::Gather,
            Phase::Gather => Phase::Merge,
            Phase::Subjects | Phase::Roots | Phase::Merge => {
                self.begins = vec![0; self.count() + self.dummies.len() + 1];
                Phase::Count
            }
            Phase::Count => Phase::Sum,
            Phase::Sum => {
                self.children = vec![NONE; self.begins.last().map_or(0, |end| *end as usize)];
                Phase::Fill
            }
            Phase::Fill => {
                self.roots.clear();
                self.dummies.iter_mut().for_each(|dummy| dummy.is_listed = false);
                Phase::RootsAgain
            }
            Phase::RootsAgain => Phase::Write,
            Phase::Write if self.by == ThreadBy::Refs => {
                Phase::ByNewest(Sorting::new(std::mem::take(&mut self.writing.threads)))
            }
            Phase::ByNewest(sorting) => {
                self.writing.threads = sorting.into_items();
                self.writing.unordered = std::mem::take(&mut self.writing.tokens);
                Phase::Assemble
            }
            Phase::Write | Phase::Assemble | Phase::Done => Phase::Done,
        }
    }

    /// Does `step` for every number from the cursor to `end`; it says what that cost, or what it cost not to be through.
    fn each(
        &mut self,
        end: usize,
        work: &mut Work,
        mut step: impl FnMut(&mut Threader, usize) -> Result<usize, usize>,
    ) -> bool {
        while self.cursor < end {
            if work.is_done() {
                return false;
            }
            match step(self, self.cursor) {
                Ok(cost) => {
                    self.cursor += 1;
                    work.spend(cost);
                }
                Err(cost) => work.spend(cost),
            }
        }
        true
    }

    /// ORDEREDSUBJECT: the first message with a subject is the parent of all others.
    fn gather_subject(&mut self, letters: &impl Letters, at: usize) -> Result<usize, usize> {
        let node = self.by_date[at];
        let subject = letters.subject(self.places[node as usize]) as usize;
        match self.gatherers[subject] {
            NONE => self.gatherers[subject] = node,
            first => self.above[node as usize] = first,
        }
        Ok(2)
    }

    // --- REFERENCES, step (1) ---

    /// Of several messages with one id it names the first; the others are named by nothing.
    fn name(&mut self, letters: &impl Letters, at: usize) -> Result<usize, usize> {
        let id = letters.letter(self.places[at]).id as usize;
        if id != 0 && self.links.of_id[id] == NONE {
            self.links.of_id[id] = at as Node;
        }
        Ok(1)
    }

    fn link(&mut self, letters: &impl Letters, at: usize) -> Result<usize, usize> {
        let mut cost = 2;
        let mut last = NONE;
        // (A): each is the parent of the next, unless that has one.
        for id in letters.letter(self.places[at]).references {
            let node = self.links.node_of(*id as usize);
            if last != NONE && self.links.parent[node as usize] == NONE {
                cost += self.links.put_below(node, last);
            }
            last = node;
            cost += 1;
        }
        // (B): the last is the parent of this one, whatever others have said.
        let node = at as Node;
        if self.links.parent[at] != last {
            self.links.parent[at] = NONE;
            if last != NONE {
                cost += self.links.put_below(node, last);
            }
        }
        Ok(cost)
    }

    // --- steps (2) and (3) ---

    /// What is above a message when the dummies are gone: the nearest message, or the dummy at the root, which stays as
    /// long as it has several children.
    fn prune(&mut self, at: usize) -> Result<usize, usize> {
        let count = self.count() as Node;
        let mut cost = 1;
        let mut up =
            self.path.last().map_or(self.links.parent[at], |dummy| self.links.parent[*dummy as usize]);
        let above = loop {
            if up == NONE {
                break self.path.last().copied().unwrap_or(NONE);
            }
            if up < count {
                break up;
            }
            let memo = self.memo[(up - count) as usize];
            if memo != NONE {
                break memo;
            }
            if cost > PATH_AT_ONCE {
                return Err(cost);
            }
            self.path.push(up);
            up = self.links.parent[up as usize];
            cost += 1;
        };
        for dummy in self.path.drain(..) {
            self.memo[(dummy - count) as usize] = above;
        }
        self.above[at] = above;
        if above != NONE && above >= count {
            self.dummies[(above - count) as usize].children += 1;
        }
        Ok(cost)
    }

    // --- step (4) ---

    /// Roots in order of sent date, a dummy's being that of its first child. An only child takes its dummy's place.
    fn find_root(&mut self, at: usize) -> Result<usize, usize> {
        let node = self.by_date[at];
        match self.dummy_above(node) {
            None if self.above[node as usize] == NONE => self.roots.push(node),
            None => {}
            Some((_, dummy)) if dummy.children == 1 => {
                self.above[node as usize] = NONE;
                self.roots.push(node);
            }
            Some((above, dummy)) if dummy.first == NONE => {
                let count = self.count();
                self.dummies[above as usize - count].first = node;
                self.roots.push(above);
            }
            Some(_) => {}
        }
        Ok(2)
    }

    fn dummy_above(&self, node: Node) -> Option<(Node, Dummy)> {
        let above = self.above[node as usize];
        let place = (above as usize).checked_sub(self.count())?;
        self.dummies.get(place).map(|dummy| (above, *dummy))
    }

    fn dummy(&self, node: Node) -> Option<Dummy> {
        self.dummies.get((node as usize).checked_sub(self.count())?).copied()
    }

    // --- step (5) ---

    /// The subject of the thread under a root.
    fn subject(&self, letters: &impl Letters, root: Node) -> usize {
        let first = self.dummy(root).map_or(root, |dummy| dummy.first);
        letters.subject(self.places[first as usize]) as usize
    }

    fn is_reply(&self, letters: &impl Letters, message: Node) -> bool {
        letters.is_reply(self.places[message as usize])
    }

    /// (B): which root gathers the others with its subject.
    fn gather(&mut self, letters: &impl Letters, at: usize) -> Result<usize, usize> {
        let root = self.roots[at];
        let subject = self.subject(letters, root);
        if subject == 0 {
            return Ok(2);
        }
        let known = self.gatherers[subject];
        let better = match (known, self.dummy(known), self.dummy(root)) {
            (NONE, ..) => true,
            (_, Some(_), _) => false,
            (_, None, Some(_)) => true,
            (_, None, None) => self.is_reply(letters, known) && !self.is_reply(letters, root),
        };
        if better {
            self.gatherers[subject] = root;
        }
        Ok(2)
    }

    /// (C): threads with one subject become one.
    fn merge(&mut self, letters: &impl Letters, at: usize) -> Result<usize, usize> {
        let root = self.roots[at];
        let subject = self.subject(letters, root);
        let gatherer = self.gatherers[subject];
        let is_below = self.above.get(root as usize).is_some_and(|above| *above != NONE);
        if subject == 0 || gatherer == root || is_below {
            return Ok(2);
        }
        match (self.dummy(root), self.dummy(gatherer)) {
            (Some(_), _) => {
                let count = self.count();
                self.dummies[root as usize - count].merged_into = gatherer;
            }
            (None, Some(_)) => self.above[root as usize] = gatherer,
            (None, None) if self.is_reply(letters, root) && !self.is_reply(letters, gatherer) => {
                self.above[root as usize] = gatherer;
            }
            (None, None) => {
                let both = (self.count() + self.dummies.len()) as Node;
                self.dummies.push(Dummy::default());
                self.above[root as usize] = both;
                self.above[gatherer as usize] = both;
                self.gatherers[subject] = both;
            }
        }
        Ok(2)
    }

    // --- step (6) ---

    fn parent(&self, node: Node) -> Node {
        match self.dummy_above(node) {
            Some((_, dummy)) if dummy.merged_into != NONE => dummy.merged_into,
            _ => self.above[node as usize],
        }
    }

    fn count_child(&mut self, at: usize) -> Result<usize, usize> {
        let parent = self.parent(at as Node);
        if parent != NONE {
            self.begins[parent as usize] += 1;
        }
        Ok(1)
    }

    /// From how many children each node has to where they end.
    fn sum(&mut self, at: usize) -> Result<usize, usize> {
        if at > 0 {
            self.begins[at] += self.begins[at - 1];
        }
        Ok(1)
    }

    /// Each node's children in order of sent date, put in from the end: what was their end becomes their beginning.
    fn fill(&mut self, at: usize) -> Result<usize, usize> {
        let node = self.by_date[self.count() - 1 - at];
        let parent = self.parent(node);
        if let Some(begin) = self.begins.get_mut(parent as usize) {
            *begin -= 1;
            self.children[*begin as usize] = node;
        }
        Ok(2)
    }

    fn find_root_again(&mut self, at: usize) -> Result<usize, usize> {
        let node = self.by_date[at];
        let parent = self.parent(node);
        let count = self.count();
        if parent == NONE {
            self.roots.push(node);
        } else if let Some(place) = (parent as usize).checked_sub(count)
            && !std::mem::replace(&mut self.dummies[place].is_listed, true)
        {
            self.roots.push(parent);
        }
        Ok(2)
    }

    /// A list for each thread: a message, its only child behind it, and a list for each of several children.
    fn write(&mut self, letters: &impl Letters, work: &mut Work) -> bool {
        while !work.is_done() {
            work.spend(2);
            if let Some(node) = self.writing.next.take() {
                self.write_node(letters, node);
                continue;
            }
            let next = match self.writing.open.last_mut() {
                Some(open) if open.0 < open.1 => {
                    open.0 += 1;
                    self.children[open.0 as usize - 1]
                }
                Some(_) => {
                    self.writing.open.pop();
                    self.writing.end_list();
                    continue;
                }
                None => match self.roots.get(self.cursor) {
                    Some(root) => {
                        self.cursor += 1;
                        self.writing.newest = (0, 0);
                        *root
                    }
                    None => return true,
                },
            };
            self.writing.tokens.push(Thread::Begin);
            self.writing.next = Some(next);
        }
        false
    }

    fn write_node(&mut self, letters: &impl Letters, node: Node) {
        let writing = &mut self.writing;
        let place = self.places.get(node as usize);
        if let Some(place) = place {
            writing.tokens.push(Thread::Message(letters.uid(*place)));
            if self.by == ThreadBy::Refs {
                writing.newest = writing.newest.max((letters.arrival(*place), node));
            }
        }
        let (from, end) = (self.begins[node as usize], self.begins[node as usize + 1]);
        match (end - from, place) {
            (0, _) => writing.end_list(),
            (1, Some(_)) => writing.next = Some(self.children[from as usize]),
            _ => writing.open.push((from, end)),
        }
    }

    /// REFS: the threads in order of their newest message.
    fn assemble(&mut self, at: usize) -> Result<usize, usize> {
        let Written { from, end, .. } = self.writing.threads[at];
        let Writing { tokens, unordered, .. } = &mut self.writing;
        tokens.extend_from_slice(&unordered[from as usize..end as usize]);
        Ok(1 + (end - from) as usize / 8)
    }
}

/// Dummies that are climbed at once.
const PATH_AT_ONCE: usize = 10_000;

impl Writing {
    /// Ends the innermost list; the thread, if it was the outermost.
    fn end_list(&mut self) {
        self.tokens.push(Thread::End);
        if self.open.is_empty() {
            let (arrival, newest) = self.newest;
            let from = self.threads.last().map_or(0, |before| before.end);
            self.threads.push(Written { arrival, newest, from, end: self.tokens.len() as u32 });
        }
    }
}
