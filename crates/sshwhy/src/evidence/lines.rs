//! The lines of one log, each to whom it counts for: the log's owner, or somebody of whom it speaks.

use super::Wanted;
use crate::source::Blocks;
use memchr::memchr;
use sshwhy_core::line::{LineParser, Program, Years};
use sshwhy_core::time::Zone;
use sshwhy_core::trace::digest::{Digest, Digested, container_line};
use sshwhy_core::trace::evidence::Owner;
use sshwhy_core::trace::relay::{self, Who};
use std::collections::BTreeMap;

/// Whom one log speaks of at most; a node has fewer containers.
const MAX_OTHERS: usize = 4096;

/// Those of whom logs speak that are not theirs.
#[derive(Default)]
pub struct Others(BTreeMap<Who, Digest>);

impl Others {
    fn of(&mut self, who: Who, wanted: &Wanted) -> Option<&mut Digest> {
        if self.0.len() >= MAX_OTHERS && !self.0.contains_key(&who) {
            return None;
        }
        Some(self.0.entry(who).or_insert_with(|| wanted.digest()))
    }

    pub fn finish(self) -> impl Iterator<Item = (Who, Digested)> {
        self.0.into_iter().map(|(who, d)| (who, d.finish()))
    }
}

/// Reads a log; `zone` is that of its machine. What it says of others goes to `others`.
pub fn digest_blocks(
    blocks: &mut Blocks,
    digest: &mut Digest,
    owner: &Owner,
    (wanted, zone): (&Wanted, &Zone),
    others: &mut Others,
) {
    let mut parser = LineParser::new(zone, Years::starting(wanted.year()));
    let mut spare = Vec::new();
    let mut scratch = Vec::new();
    let mut text = Vec::new();
    while let Some(block) = blocks.next(std::mem::take(&mut spare)) {
        let mut rest = block.bytes.as_slice();
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                continue;
            }
            if *owner != Owner::Node
                && let Some((time, text)) = container_line(line)
            {
                digest.line(Some(time), text);
                continue;
            }
            if *owner == Owner::Node
                && let Some(said) = relay::relayed(line, wanted.port)
            {
                if let Some(d) = others.of(said.who, wanted) {
                    d.line(Some(said.at), said.text.as_bytes());
                }
                continue;
            }
            let parsed = parser.parse(line, &mut scratch);
            if *owner != Owner::Node {
                let said = if parsed.message.is_empty() {
                    line
                } else {
                    parsed.message
                };
                digest.line(parsed.time, said);
                continue;
            }
            let told = match parsed.program {
                // Who logs in to the node itself is another question, unless it is to go on from here.
                Program::Sshd | Program::Dropbear => {
                    let message = String::from_utf8_lossy(parsed.message);
                    if let Some((who, text)) = relay::came_in(&message)
                        && let Some(d) = others.of(who, wanted)
                    {
                        d.line(parsed.time, text.as_bytes());
                    }
                    continue;
                }
                _ if parsed.ident == b"kernel" => {
                    relay::filtered(&String::from_utf8_lossy(parsed.message), wanted.port)
                }
                _ => relay::named_by_id(parsed.ident)
                    .or_else(|| relay::unit_of(line))
                    .map(|who| (who, String::from_utf8_lossy(parsed.message).into_owned())),
            };
            if let Some((who, said)) = told {
                if let Some(d) = others.of(who, wanted) {
                    d.line(parsed.time, said.as_bytes());
                }
                continue;
            }
            text.clear();
            text.extend_from_slice(parsed.ident);
            text.extend_from_slice(b": ");
            text.extend_from_slice(parsed.message);
            digest.line(parsed.time, &text);
        }
        spare = block.bytes;
    }
}
