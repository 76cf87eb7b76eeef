//! The threader against the algorithms as RFC 5256 tells them: slow, recursive and obvious.

use std::collections::BTreeMap;

use super::*;
use crate::base::Rng;

/// One message as a person would write it down.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub id: u32,
    pub references: Vec<u32>,
    pub sent: u64,
    pub arrival: u64,
    pub subject: u32,
    pub reply: bool,
}

impl Letters for Vec<Mail> {
    fn uid(&self, place: u32) -> Uid {
        Uid(place)
    }
    fn sent(&self, place: u32) -> u64 {
        self[place as usize].sent
    }
    fn arrival(&self, place: u32) -> u64 {
        self[place as usize].arrival
    }
    fn letter(&self, place: u32) -> Letter<'_> {
        let mail = &self[place as usize];
        Letter { id: mail.id, references: &mail.references }
    }
    fn subject(&self, place: u32) -> u32 {
        self[place as usize].subject
    }
    fn is_reply(&self, place: u32) -> bool {
        self[place as usize].reply
    }
}

/// Threads as IMAP writes them, and how many slices it took.
fn thread(by: ThreadBy, mails: &Vec<Mail>, places: Vec<u32>, steps: usize) -> (String, usize) {
    let ids = mails.iter().flat_map(|mail| mail.references.iter().copied().chain([mail.id])).max();
    let subjects = mails.iter().map(|mail| mail.subject).max().unwrap_or(0) as usize + 1;
    let mut threader = Threader::new(by, places, ids.unwrap_or(0) as usize + 1, subjects, mails);
    let mut slices = 1;
    while !threader.advance(mails, &mut Work::of(steps)) {
        slices += 1;
        assert!(slices < 10_000_000, "no progress");
    }
    (written(&threader.into_tokens()), slices)
}

fn written(tokens: &[Thread]) -> String {
    let mut text = String::new();
    for token in tokens {
        let behind_number = text.ends_with(|c: char| c.is_ascii_digit());
        match token {
            Thread::End => text.push(')'),
            _ if behind_number => text.push(' '),
            _ => {}
        }
        match token {
            Thread::Begin => text.push('('),
            Thread::Message(uid) => text.push_str(&uid.to_string()),
            Thread::End => {}
        }
    }
    text
}

// --- the model ---

#[derive(Clone, Debug, Default)]
struct Container {
    mail: Option<u32>,
    parent: Option<usize>,
    children: Vec<usize>,
}

struct Model<'m> {
    mails: &'m [Mail],
    all: Vec<Container>,
    roots: Vec<usize>,
}

impl Model<'_> {
    fn is_above(&self, above: usize, mut node: usize) -> bool {
        loop {
            if node == above {
                return true;
            }
            match self.all[node].parent {
                Some(parent) => node = parent,
                None => return false,
            }
        }
    }

    fn cut(&mut self, node: usize) {
        if let Some(parent) = self.all[node].parent.take() {
            self.all[parent].children.retain(|child| *child != node);
        }
    }

    fn put(&mut self, node: usize, parent: usize) {
        if !self.is_above(node, parent) {
            self.all[node].parent = Some(parent);
            self.all[parent].children.push(node);
        }
    }

    fn step_1(&mut self, places: &[u32]) {
        let mut by_id: BTreeMap<u32, usize> = BTreeMap::new();
        for place in places {
            self.all.push(Container { mail: Some(*place), ..Container::default() });
            let id = self.mails[*place as usize].id;
            if id != 0 {
                by_id.entry(id).or_insert(self.all.len() - 1);
            }
        }
        for (node, place) in places.iter().enumerate() {
            let mut last = None;
            for id in self.mails[*place as usize].references.clone() {
                let next = *by_id.entry(id).or_insert_with(|| {
                    self.all.push(Container::default());
                    self.all.len() - 1
                });
                if let Some(last) = last
                    && self.all[next].parent.is_none()
                {
                    self.put(next, last);
                }
                last = Some(next);
            }
            if self.all[node].parent != last {
                self.cut(node);
                if let Some(last) = last {
                    self.put(node, last);
                }
            }
        }
    }

    /// Step (3): what stands in a node's place.
    fn pruned(&mut self, node: usize, at_root: bool) -> Vec<usize> {
        let children = std::mem::take(&mut self.all[node].children);
        let children: Vec<usize> = children.into_iter().flat_map(|child| self.pruned(child, false)).collect();
        if self.all[node].mail.is_none() && (!at_root || children.len() < 2) {
            return children;
        }
        self.all[node].children = children;
        vec![node]
    }

    fn date(&self, node: usize) -> (u64, usize) {
        match self.all[node].mail {
            Some(place) => (self.mails[place as usize].sent, node),
            None => self.all[node].children.iter().map(|child| self.date(*child)).min().expect("has some"),
        }
    }

    fn sort(&mut self, nodes: &mut [usize]) {
        for node in nodes.iter() {
            let mut children = std::mem::take(&mut self.all[*node].children);
            self.sort(&mut children);
            self.all[*node].children = children;
        }
        nodes.sort_by_key(|node| self.date(*node));
    }

    fn first_mail(&self, node: usize) -> &Mail {
        let node = if self.all[node].mail.is_some() { node } else { self.date(node).1 };
        &self.mails[self.all[node].mail.expect("a message") as usize]
    }

    /// Step (5).
    fn gather(&mut self) {
        let mut table: BTreeMap<u32, usize> = BTreeMap::new();
        let is_dummy = |model: &Model<'_>, node: usize| model.all[node].mail.is_none();
        for root in self.roots.clone() {
            let mail = self.first_mail(root);
            if mail.subject == 0 {
                continue;
            }
            match table.get(&mail.subject) {
                None => {
                    table.insert(mail.subject, root);
                }
                Some(known) if !is_dummy(self, *known) => {
                    let known_mail = self.first_mail(*known);
                    if is_dummy(self, root) || known_mail.reply && !mail.reply {
                        table.insert(mail.subject, root);
                    }
                }
                Some(_) => {}
            }
        }
        for root in self.roots.clone() {
            if !self.roots.contains(&root) {
                continue;
            }
            let subject = self.first_mail(root).subject;
            let Some(&known) = table.get(&subject).filter(|known| **known != root) else { continue };
            self.roots.retain(|other| *other != root);
            match (is_dummy(self, root), is_dummy(self, known)) {
                (true, true) => {
                    let children = std::mem::take(&mut self.all[root].children);
                    self.all[known].children.extend(children);
                }
                (false, true) => self.all[known].children.push(root),
                _ if self.first_mail(root).reply && !self.first_mail(known).reply => {
                    self.all[known].children.push(root);
                }
                _ => {
                    self.all.push(Container { children: vec![root, known], ..Container::default() });
                    self.roots.retain(|other| *other != known);
                    self.roots.push(self.all.len() - 1);
                    table.insert(subject, self.all.len() - 1);
                }
            }
        }
    }

    fn newest(&self, node: usize) -> (u64, u32) {
        let own = self.all[node].mail.map(|place| (self.mails[place as usize].arrival, place));
        let below = self.all[node].children.iter().map(|child| self.newest(*child));
        below.chain(own).max().expect("a message")
    }

    fn write(&self, node: usize, text: &mut String) {
        let Container { mail, children, .. } = &self.all[node];
        if let Some(place) = mail {
            text.push_str(&place.to_string());
            text.push_str(if children.is_empty() { "" } else { " " });
        }
        if let ([only], Some(_)) = (children.as_slice(), mail) {
            return self.write(*only, text);
        }
        for child in children {
            text.push('(');
            self.write(*child, text);
            text.push(')');
        }
    }
}

pub fn model(by: ThreadBy, mails: &[Mail], places: &[u32]) -> String {
    let mut model = Model { mails, all: Vec::new(), roots: Vec::new() };
    if by == ThreadBy::OrderedSubject {
        let mut sorted = places.to_vec();
        sorted.sort_by_key(|place| (mails[*place as usize].subject, mails[*place as usize].sent, *place));
        let mut threads: Vec<Vec<u32>> = Vec::new();
        for place in sorted {
            let subject = |place: u32| mails[place as usize].subject;
            match threads.last_mut().filter(|thread| subject(thread[0]) == subject(place)) {
                Some(thread) => thread.push(place),
                None => threads.push(vec![place]),
            }
        }
        threads.sort_by_key(|thread| (mails[thread[0] as usize].sent, thread[0]));
        let written = threads.iter().map(|thread| match thread.as_slice() {
            [one] => format!("({one})"),
            [one, two] => format!("({one} {two})"),
            [one, rest @ ..] => {
                format!("({one} {})", rest.iter().map(|place| format!("({place})")).collect::<String>())
            }
            [] => String::new(),
        });
        return written.collect();
    }
    model.step_1(places);
    let tops: Vec<usize> = (0..model.all.len()).filter(|node| model.all[*node].parent.is_none()).collect();
    model.roots = tops.into_iter().flat_map(|node| model.pruned(node, true)).collect();
    let mut roots = std::mem::take(&mut model.roots);
    model.sort(&mut roots);
    if by == ThreadBy::Refs {
        roots.sort_by_key(|root| model.newest(*root));
    } else {
        model.roots = roots;
        model.gather();
        roots = std::mem::take(&mut model.roots);
        model.sort(&mut roots);
    }
    let mut text = String::new();
    for root in roots {
        text.push('(');
        model.write(root, &mut text);
        text.push(')');
    }
    text
}

const ALL: [ThreadBy; 3] = [ThreadBy::OrderedSubject, ThreadBy::References, ThreadBy::Refs];

#[test]
fn threads_are_what_the_rfc_says() {
    let mut rng = Rng::new(&[6; 32]);
    for round in 0..4_000 {
        let count = 1 + rng.below(14);
        let (ids, subjects, days) = (1 + rng.below(16), 1 + rng.below(6), 1 + rng.below(9));
        let mails: Vec<Mail> = (0..count)
            .map(|_| Mail {
                id: rng.below(ids + 1) as u32,
                references: (0..rng.below(5)).map(|_| 1 + rng.below(ids) as u32).collect(),
                sent: rng.below(days),
                arrival: rng.below(days),
                subject: rng.below(subjects + 1) as u32,
                reply: rng.below(2) == 0,
            })
            .collect();
        let places: Vec<u32> = (0..count as u32).filter(|_| rng.below(6) > 0).collect();
        for by in ALL {
            let steps = 1 + rng.below(40) as usize;
            let (text, _) = thread(by, &mails, places.clone(), steps);
            assert_eq!(text, model(by, &mails, &places), "round {round}: {by:?} of {places:?} in {mails:#?}");
        }
    }
}

/// Ids that each have one number, and messages with nothing else in common.
fn chain(references: impl Fn(u32) -> Vec<u32>, count: u32) -> Vec<Mail> {
    let mail = |n: u32| Mail { id: n + 1, references: references(n), sent: n.into(), ..Mail::default() };
    (0..count).map(mail).collect()
}

#[test]
fn a_thread_may_be_as_deep_as_there_are_messages() {
    let count = 200_000;
    let mails = chain(|n| if n > 0 { vec![n] } else { vec![] }, count);
    for by in [ThreadBy::References, ThreadBy::Refs] {
        let (text, slices) = thread(by, &mails, (0..count).collect(), 100_000);
        assert!(text.starts_with("(0 1 2 3 ") && text.ends_with(" 199998 199999)"));
        assert!(slices > 10, "{slices}");
    }
    // Two answers to each, so that every level is a list in a list.
    let mails = chain(|n| if n > 0 { vec![(n - 1) / 2 * 2 + 1] } else { vec![] }, count);
    let (text, _) = thread(ThreadBy::References, &mails, (0..count).collect(), 100_000);
    assert!(text.starts_with("(0 (1)(2 (3)(4 (5)(6 ") && text.ends_with("))))"));
    assert_eq!(text.matches('(').count(), text.matches(')').count());
}

#[test]
fn references_that_are_lies_cost_little() {
    // Everybody says that everybody else was there first, each in another order.
    let count = 20_000;
    let everyone = |n: u32| (0..50).map(|k| (n * 7 + k * k * 13) % count + 1).collect();
    let mails = chain(everyone, count);
    let (text, slices) = thread(ThreadBy::References, &mails, (0..count).collect(), 100_000);
    let told = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).count();
    assert_eq!(told, count as usize, "each message once");
    assert!(slices < 5_000, "{slices}");
    // A long chain of dummies above one message, and then messages that pull it apart.
    let mails =
        chain(|n| if n < 100 { (n * 90 + 30_000..n * 90 + 30_091).collect() } else { vec![n] }, 1_000);
    let (text, _) = thread(ThreadBy::References, &mails, (0..1_000).collect(), 1_000);
    assert!(text.starts_with("((0)(1)(2)"), "{}", &text[..100]);
}

#[test]
fn the_examples_of_the_rfc_come_out_as_they_stand_there() {
    // RFC 5256, BASE.7.2.THREAD.
    let mut mails = chain(|_| vec![], 100);
    for thread in [&[3, 6, 4, 23][..], &[3, 6, 44, 7, 96]] {
        for place in 1..thread.len() {
            mails[thread[place]].references =
                thread[..place].iter().map(|parent| *parent as u32 + 1).collect();
        }
    }
    let (text, _) = thread(ThreadBy::References, &mails, vec![2, 3, 4, 6, 7, 23, 44, 96], 1_000);
    assert_eq!(text, "(2)(3 6 (4 23)(44 7 96))");
    let (text, _) = thread(ThreadBy::References, &mails, vec![4, 23, 44, 96], 1_000);
    assert_eq!(text, "((4 23)(44 96))");
    // RFC 5256, BASE.6.4.THREAD, the first threads of its example.
    let mut mails = chain(|_| vec![], 200);
    for reply in [175, 176, 178, 180, 181] {
        mails[reply].subject = 174;
    }
    mails
        .iter_mut()
        .enumerate()
        .filter(|(n, mail)| mail.subject == 0 && *n > 0)
        .for_each(|(n, mail)| mail.subject = n as u32);
    mails[180].sent = 999;
    let (text, _) =
        thread(ThreadBy::OrderedSubject, &mails, vec![173, 174, 175, 176, 178, 180, 181, 179], 1_000);
    assert_eq!(text, "(173)(174 (175)(176)(178)(181)(180))(179)");
}
