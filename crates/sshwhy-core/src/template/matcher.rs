//! Finds the wording that a message is, among all of them.

use super::reading::{extent, stop_of, valid};
use super::{BadTemplate, Fields, Slot, Span, Template, Token};
use memchr::memmem;
use std::sync::OnceLock;

/// A set of wordings, each with the caller's number.
///
/// A trie over literals and bounded slots: wordings share the work as far as they are alike. At each place literal text is
/// tried first, then slots, then the wordings that go on with free text.
#[derive(Debug, Default)]
pub struct Matcher {
    entries: Vec<Entry>,
    nodes: Vec<Node>,
    /// Text of the edges.
    labels: Vec<u8>,
    /// Wordings that begin with a slot, best first.
    floating: Vec<(u32, memmem::Finder<'static>)>,
    /// The others, in the order in which the walk comes to them; filled at first use.
    order: OnceLock<Vec<u32>>,
}

#[derive(Debug)]
struct Entry {
    template: Template,
    number: u32,
    /// How many of its tokens the way to its node covers.
    covered: usize,
    /// What a message must end with, where that is not covered.
    suffix: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    first: u8,
    /// In [`Matcher::labels`].
    start: u32,
    end: u32,
    child: u32,
}

/// A bounded slot, with the literal behind it as far as that decides where it ends.
#[derive(Debug)]
struct SlotEdge {
    slot: Slot,
    optional: bool,
    stop: Box<[u8]>,
    child: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// First bytes are distinct.
    edges: Vec<Edge>,
    /// Where there are many edges: by first byte, the edge's place plus one.
    table: Option<Box<[u16; 256]>>,
    slots: Vec<SlotEdge>,
    /// Best first.
    here: Vec<u32>,
}

impl Node {
    #[inline]
    fn edge(&self, first: u8) -> Option<&Edge> {
        match &self.table {
            Some(table) => {
                let place = usize::from(*table.get(usize::from(first))?);
                self.edges.get(place.wrapping_sub(1))
            }
            None => self.edges.iter().find(|e| e.first == first),
        }
    }
}

/// From so many edges on a node has a table.
const TABLE_FROM: usize = 6;

impl Matcher {
    pub fn new(
        wordings: impl IntoIterator<Item = (&'static str, u32)>,
    ) -> Result<Matcher, BadTemplate> {
        let mut m = Matcher {
            nodes: vec![Node::default()],
            ..Matcher::default()
        };
        for (text, number) in wordings {
            for template in Template::compile(text)? {
                let entry = m.entries.len() as u32;
                let covered = match template.tokens.first() {
                    Some(Token::Literal(_)) => m.insert(&template.tokens, entry),
                    _ => {
                        m.floating
                            .push((entry, memmem::Finder::new(&*template.anchor).into_owned()));
                        0
                    }
                };
                let suffix = match template.tokens.get(covered..).and_then(|t| t.last()) {
                    Some(Token::Literal(l)) => l.clone(),
                    _ => Box::default(),
                };
                m.entries.push(Entry {
                    template,
                    number,
                    covered,
                    suffix,
                });
            }
        }
        let Matcher {
            entries,
            nodes,
            floating,
            ..
        } = &mut m;
        let rank = |e: u32| {
            entries
                .get(e as usize)
                .map_or((true, std::cmp::Reverse(0)), |e| {
                    (
                        e.template.open_ended(),
                        std::cmp::Reverse(e.template.weight),
                    )
                })
        };
        for node in nodes.iter_mut() {
            node.here.sort_by_key(|e| (rank(*e), *e));
            if node.edges.len() >= TABLE_FROM {
                let mut table = Box::new([0u16; 256]);
                for (i, edge) in node.edges.iter().enumerate() {
                    if let Some(place) = table.get_mut(usize::from(edge.first)) {
                        *place = i as u16 + 1;
                    }
                }
                node.table = Some(table);
            }
        }
        floating.sort_by_key(|(e, _)| (rank(*e), *e));
        Ok(m)
    }

    /// Lays the way to a wording, up to its first free text; returns how many tokens that covers.
    fn insert(&mut self, tokens: &[Token], entry: u32) -> usize {
        let mut at = 0u32;
        let mut covered = 0;
        for (i, token) in tokens.iter().enumerate() {
            at = match token {
                Token::Literal(text) => self.along(at, text),
                Token::Slot(slot, optional) if slot.bounded() => {
                    self.through(at, *slot, *optional, stop_of(tokens.get(i + 1)))
                }
                Token::Slot(..) | Token::Words(_) => break,
            };
            covered = i + 1;
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.here.push(entry);
        }
        covered
    }

    fn fresh(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }

    /// The node that literal text leads to.
    fn along(&mut self, mut at: u32, mut key: &[u8]) -> u32 {
        while let Some(first) = key.first().copied() {
            let known = self
                .nodes
                .get(at as usize)
                .and_then(|n| n.edges.iter().position(|e| e.first == first));
            let Some(place) = known else {
                let child = self.fresh();
                let start = self.labels.len() as u32;
                self.labels.extend_from_slice(key);
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    node.edges.push(Edge {
                        first,
                        start,
                        end: start + key.len() as u32,
                        child,
                    });
                }
                return child;
            };
            let Some(edge) = self
                .nodes
                .get(at as usize)
                .and_then(|n| n.edges.get(place))
                .copied()
            else {
                return at;
            };
            let label = self
                .labels
                .get(edge.start as usize..edge.end as usize)
                .unwrap_or_default();
            let common = label.iter().zip(key).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                let first_of_tail = label.get(common).copied().unwrap_or_default();
                let middle = self.fresh();
                if let Some(node) = self.nodes.get_mut(middle as usize) {
                    node.edges.push(Edge {
                        first: first_of_tail,
                        start: edge.start + common as u32,
                        ..edge
                    });
                }
                if let Some(e) = self
                    .nodes
                    .get_mut(at as usize)
                    .and_then(|n| n.edges.get_mut(place))
                {
                    e.end = edge.start + common as u32;
                    e.child = middle;
                }
                at = middle;
            } else {
                at = edge.child;
            }
            key = key.get(common..).unwrap_or_default();
        }
        at
    }

    /// The node that a slot leads to.
    fn through(&mut self, at: u32, slot: Slot, optional: bool, stop: &[u8]) -> u32 {
        let stop = slot.stop(stop);
        let known = self.nodes.get(at as usize).and_then(|n| {
            n.slots
                .iter()
                .find(|s| s.slot == slot && s.optional == optional && &*s.stop == stop)
        });
        if let Some(known) = known {
            return known.child;
        }
        let child = self.fresh();
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.slots.push(SlotEdge {
                slot,
                optional,
                stop: stop.into(),
                child,
            });
        }
        child
    }

    /// The best wording for a body: its number and the fields.
    pub fn find(&self, body: &[u8]) -> Option<(u32, Fields)> {
        let (entry, fields) = self.find_entry(body)?;
        Some((self.number(entry), fields))
    }

    /// As [`Matcher::find`], with the reading in place of the caller's number.
    pub(crate) fn find_entry(&self, body: &[u8]) -> Option<(u32, Fields)> {
        self.walk(0, body, 0, &Fields::default()).or_else(|| {
            self.floating.iter().find_map(|(e, anchor)| {
                anchor.find(body)?;
                let entry = self.entries.get(*e as usize)?;
                entry.template.matches(body).map(|f| (*e, f))
            })
        })
    }

    /// The caller's number of a reading.
    pub(crate) fn number(&self, entry: u32) -> u32 {
        self.entries.get(entry as usize).map_or(0, |e| e.number)
    }

    pub(crate) fn template(&self, entry: u32) -> Option<&Template> {
        Some(&self.entries.get(entry as usize)?.template)
    }

    /// Calls `each` for the readings that win over `entry` where both match, until it returns false. `None` for a reading that
    /// the walk does not come to.
    pub(crate) fn preferred(
        &self,
        entry: u32,
        mut each: impl FnMut(&Template) -> bool,
    ) -> Option<()> {
        let order = self.order.get_or_init(|| {
            let mut order = Vec::with_capacity(self.entries.len());
            self.order_from(0, &mut order);
            order
        });
        let place = order.iter().position(|e| *e == entry)?;
        for e in order.get(..place)? {
            if !each(self.template(*e)?) {
                break;
            }
        }
        Some(())
    }

    fn order_from(&self, node: u32, order: &mut Vec<u32>) {
        let Some(node) = self.nodes.get(node as usize) else {
            return;
        };
        // As the walk goes: literals, slots, free text.
        for edge in &node.edges {
            self.order_from(edge.child, order);
        }
        for slot in &node.slots {
            self.order_from(slot.child, order);
        }
        order.extend(&node.here);
    }

    /// From a node on, with everything before `at` laid. As deep as the longest wording has tokens.
    fn walk(&self, node: u32, body: &[u8], at: usize, fields: &Fields) -> Option<(u32, Fields)> {
        let node = self.nodes.get(node as usize)?;
        let rest = body.get(at..)?;
        if let Some(edge) = rest.first().and_then(|b| node.edge(*b)) {
            let label = self
                .labels
                .get(edge.start as usize..edge.end as usize)
                .unwrap_or_default();
            if rest.starts_with(label) {
                let hit = self.walk(edge.child, body, at + label.len(), fields);
                if hit.is_some() {
                    return hit;
                }
            }
        }
        for edge in &node.slots {
            let len = extent(edge.slot, rest, &edge.stop);
            let found = rest.get(..len).unwrap_or_default();
            if valid(edge.slot, edge.optional, found) {
                let mut with = *fields;
                with.set(edge.slot, Span::new(at, at + len), body);
                let hit = self.walk(edge.child, body, at + len, &with);
                if hit.is_some() {
                    return hit;
                }
            }
        }
        for e in &node.here {
            let Some(entry) = self.entries.get(*e as usize) else {
                continue;
            };
            // Most candidates end otherwise: told apart before anything is parsed.
            if rest.ends_with(&entry.suffix)
                && let Some(found) = entry
                    .template
                    .matches_beyond(body, entry.covered, at, *fields)
            {
                return Some((*e, found));
            }
        }
        None
    }
}
