//! Everybody who is kept out, for other programs. Only addresses and numbers leave as commands or rules; reasons only as JSON.

use super::{Desk, row};
use crate::cli::ExportForm;
use crate::exit::Exit;
use serde_json::{Value, json};
use sshwhy_core::ban::Ban;
use sshwhy_core::render::json as view;
use std::fmt::Write;

impl Desk {
    pub(super) fn export(&mut self, form: ExportForm) -> Result<Exit, String> {
        let mut bans: Vec<Ban> = Vec::new();
        self.ledger.each(self.now, |b| bans.push(b))?;
        let mut out = String::new();
        let left = |b: &Ban| {
            b.until
                .map(|u| (u.0.saturating_sub(self.now.0) / 1_000_000).max(1))
        };
        match form {
            ExportForm::Json => {
                let rows: Vec<Value> = bans.iter().map(row).collect();
                out = view::to_string(&json!({"bans": rows}), false);
            }
            ExportForm::Plain => {
                for b in &bans {
                    let _ = writeln!(out, "{}", b.net);
                }
            }
            ExportForm::Nft => {
                out.push_str("# For: nft -f FILE. Sets only; a rule that uses them: ip saddr @banned4 drop\ntable inet sshwhy_export {\n");
                for (name, kind, v4) in [
                    ("banned4", "ipv4_addr", true),
                    ("banned6", "ipv6_addr", false),
                ] {
                    // One inside another is refused by nft: the wider one says it all.
                    let of: Vec<&Ban> = bans
                        .iter()
                        .filter(|b| b.net.ip.is_ipv4() == v4)
                        .filter(|b| {
                            !bans
                                .iter()
                                .any(|w| w.net.len < b.net.len && w.net.overlaps(&b.net))
                        })
                        .collect();
                    let _ = writeln!(
                        out,
                        "\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval, timeout"
                    );
                    if !of.is_empty() {
                        out.push_str("\t\telements = {\n");
                        for b in of {
                            let _ = match left(b) {
                                Some(secs) => writeln!(out, "\t\t\t{} timeout {secs}s,", b.net),
                                None => writeln!(out, "\t\t\t{},", b.net),
                            };
                        }
                        out.push_str("\t\t}\n");
                    }
                    out.push_str("\t}\n");
                }
                out.push_str("}\n");
            }
            ExportForm::Fail2ban => {
                for b in &bans {
                    let _ = writeln!(out, "fail2ban-client set sshd banip {}", b.net);
                }
            }
        }
        crate::cmd::report::print(out.as_bytes())?;
        Ok(Exit::Ok)
    }
}
