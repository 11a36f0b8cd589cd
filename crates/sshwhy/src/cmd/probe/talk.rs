//! What the server says before anything is encrypted: greeting, proposal, host key; and whether large packets arrive.

use super::hops::Way;
use super::{Probe, millis};
use crate::carrier::Stream;
use crate::client;
use crate::net::{self, Waits};
use crate::sys::Dial;
use sshwhy_core::catalog::causes::Gate;
use sshwhy_core::observation::Observation;
use sshwhy_core::probe::exchange::{Depth, Exchange, Phase};
use sshwhy_core::probe::keyfile::fingerprint;
use sshwhy_core::probe::known_hosts::{self, Check, Marker};
use sshwhy_core::wire::ident;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

impl Probe<'_> {
    /// Speaks with whoever is there, up to what a library can go on with.
    pub(super) fn speak(&self, stream: Stream, waits: Waits) -> net::Talk {
        let want = self.wanted_host_keys();
        let library = self.library(&want);
        let exchange = Exchange::new(Depth::HostKey, &want, 0).hand_over(library);
        net::talk(stream, exchange, waits)
    }

    /// Whoever answers at an address of the server.
    pub(super) fn talk(
        &mut self,
        stream: std::net::TcpStream,
        addr: SocketAddr,
        log: &[Observation],
    ) {
        let talk = self.speak(stream.into(), Waits::of(self.stage));
        self.manners(&talk, addr);
        self.heard(talk, &Way::Direct(addr), log);
    }

    /// Who spoke first, and what that brought: only a socket of our own tells.
    fn manners(&mut self, talk: &net::Talk, addr: SocketAddr) {
        let quiet_text = match talk.quiet {
            "silent" => "the server kept still until we greeted".to_owned(),
            other => format!("before we said anything: {other}"),
        };
        self.see(Gate::Ident, "ident.quiet", talk.quiet, "", quiet_text);
        if let Some(spoken) = talk.spoken {
            let text = format!("after we had greeted: {spoken}");
            self.see(Gate::Ident, "ident.spoken", spoken, "", text);
        }
        if talk.quiet == "silent" && talk.spoken == Some("reset") {
            // A server that is slow to refuse resets what it has not read; one in between only minds what is said.
            if let Some(word) = net::mute(addr, self.stage.min(Duration::from_secs(8))) {
                let text = format!("on a connection on which nothing was said: {word}");
                self.see(Gate::Ident, "ident.mute", word, "", text);
            }
        }
    }

    /// What the conversation showed, and what follows from it.
    pub(super) fn heard(&mut self, talk: net::Talk, way: &Way, log: &[Observation]) {
        let first = String::from_utf8_lossy(&talk.seen.first_bytes);
        let first: String = first.chars().take(80).collect();
        for line in &talk.seen.prelude {
            if line.contains("Exceeded MaxStartups") {
                self.see(
                    Gate::Ident,
                    "ident.reason",
                    "max-startups",
                    "",
                    line.clone(),
                );
            } else if line.contains("Not allowed at this time") {
                self.see(Gate::Ident, "ident.reason", "not-allowed", "", line.clone());
            }
        }
        let took = millis(talk.took);
        let Some(greeting) = talk.seen.greeting.clone() else {
            let end = match (talk.seen.protocol, talk.end) {
                (Some(_), _) => "other-protocol",
                (None, "done") => "other-protocol",
                (None, end) => end,
            };
            let text = format!("no SSH greeting came in {took} ms; the connection ended: {end}");
            self.timed(Gate::Ident, "ident.end", end, "", text, took);
            if let Some(protocol) = talk.seen.protocol {
                let text = format!("{protocol} speaks there: {first}");
                self.see(Gate::Ident, "ident.protocol", protocol, "", text);
            } else if talk.seen.flood {
                self.see(Gate::Ident, "ident.prelude", "flood", "", first);
            } else if talk.end == "timeout" && talk.dripped() {
                let text = format!(
                    "{} lines ({} bytes) in {took} ms, and no greeting: {first}",
                    talk.seen.prelude_lines,
                    talk.seen.first_bytes.len()
                );
                self.see(Gate::Ident, "ident.prelude", "dripping", "", text);
            }
            self.state(Gate::Ident, false);
            if let (Way::Direct(addr), true) = (way, self.port != 22) {
                self.default_port(addr.ip());
            }
            return;
        };
        let ms = talk.greeting_ms.unwrap_or(took);
        self.timed(
            Gate::Ident,
            "ident.server",
            &greeting,
            "",
            greeting.clone(),
            ms,
        );
        self.see(Gate::Ident, "ident.end", "ok", "", String::new());
        self.state(Gate::Ident, true);
        let speaks = ident::parse(&greeting).is_some_and(|g| g.speaks_2());
        if !speaks {
            return;
        }
        self.kex(talk, way, log);
    }

    fn kex(&mut self, mut talk: net::Talk, way: &Way, log: &[Observation]) {
        let took = millis(talk.took);
        let Some(theirs) = talk.seen.proposal.clone() else {
            let text = format!("after the greetings: {} in {took} ms", talk.end);
            let end = if talk.seen.broken {
                "protocol-error"
            } else {
                talk.end
            };
            self.timed(Gate::Kex, "kex.end", end, "", text, took);
            self.state(Gate::Kex, false);
            if let (Way::Direct(addr), "timeout") = (way, talk.end) {
                self.small_segments(*addr);
            }
            return;
        };
        let ms = talk.proposal_ms.unwrap_or(took);
        let text = format!(
            "the server offers {} / {} / {}",
            theirs.kex.first().map_or("", String::as_str),
            theirs.host_key.first().map_or("", String::as_str),
            theirs.cipher_in.first().map_or("", String::as_str)
        );
        self.timed(Gate::Kex, "kex.offer", &theirs.kex.join(","), "", text, ms);
        let types = theirs.host_key.join(",");
        let text = format!("the server has host keys for {types}");
        self.see(Gate::HostKey, "hostkey.types", &types, "", text);
        if let Some(m) = self.config.proposal().mismatch(&theirs) {
            let text = format!(
                "{}: this client takes {}, the server offers {}",
                m.class,
                m.ours.join(","),
                m.theirs.join(",")
            );
            self.see(
                Gate::Kex,
                "kex.mismatch",
                m.class,
                &m.theirs.join(","),
                text,
            );
            self.state(Gate::Kex, false);
            return;
        }
        if let Some((stream, replay)) = talk.onward.take() {
            let want = self.wanted_host_keys();
            let mut library = crate::login::proposal(&self.config.proposal(), &want, false);
            if library.mismatch(&theirs).is_some() {
                library = crate::login::proposal(&self.config.proposal(), &want, true);
            }
            if self.go_on(stream, replay, &library).is_some() {
                self.every_host_key(way, &theirs.host_key);
                return;
            }
            // The library could not: once more, with the little that own code can do.
            let Some(again) = way.talk(
                self.dialling(),
                self.stage,
                Exchange::new(Depth::HostKey, &want, 0),
            ) else {
                return;
            };
            talk = again;
        }
        let stalled = log
            .iter()
            .any(|o| o.key == "kex.end" && o.value == "timeout");
        let lost = talk.phase == Phase::HostKey && talk.end == "timeout";
        if let (Way::Direct(addr), true) = (way, stalled || lost) {
            self.small_segments(*addr);
        }
        if lost {
            let text = format!("the key exchange stopped for {took} ms");
            self.timed(Gate::Kex, "kex.end", "timeout", "", text, took);
            self.state(Gate::Kex, false);
            return;
        }
        if talk.phase == Phase::HostKey && talk.end != "done" {
            let text = format!("in the key exchange, after both proposals: {}", talk.end);
            self.timed(Gate::Kex, "kex.end", talk.end, "", text, took);
            self.state(Gate::Kex, false);
            return;
        }
        self.state(Gate::Kex, true);
        if let Some((kind, blob)) = talk.seen.host_key.clone() {
            let ms = talk.host_key_ms.unwrap_or(took);
            self.shown(&kind, &blob, ms);
        }
        self.every_host_key(way, &theirs.host_key);
    }

    /// The keys of the other types, a connection for each (`--host-keys`).
    fn every_host_key(&mut self, way: &Way, types: &[String]) {
        if !self.args.host_keys {
            return;
        }
        let base = |name: &str| {
            if name.starts_with("rsa-sha2-") {
                "ssh-rsa".to_owned()
            } else {
                name.to_owned()
            }
        };
        let mut known: Vec<String> = self
            .out
            .iter()
            .filter(|o| o.key == "hostkey.offered" || o.key == "hostkey.also")
            .map(|o| o.about.clone())
            .collect();
        for name in types.iter().take(12) {
            if known.contains(&base(name)) || name.contains("-cert-v01@") {
                continue;
            }
            known.push(base(name));
            let exchange = Exchange::new(Depth::HostKey, std::slice::from_ref(name), 0);
            let Some(talk) = way.talk(self.dialling(), self.stage, exchange) else {
                return;
            };
            if let Some((kind, blob)) = talk.seen.host_key {
                let print = fingerprint(&blob);
                let word = self.check(&kind, &blob).0;
                let text = format!("{kind} {print}, in known_hosts: {word}");
                self.see(Gate::HostKey, "hostkey.also", &print, &kind, text);
            }
        }
    }

    /// The key that the server showed; the word of `hostkey.check`.
    pub(super) fn shown(&mut self, kind: &str, blob: &[u8], ms: u64) -> &'static str {
        let print = fingerprint(blob);
        let text = format!("{kind} {print}");
        self.timed(Gate::HostKey, "hostkey.offered", &print, kind, text, ms);
        self.host_key(kind, blob)
    }

    /// The host key algorithms in the order in which ssh asks for them: those first of which a key is known
    /// (sshconnect2.c order_hostkeyalgs()), and certificates only where their authority is known.
    pub(super) fn wanted_host_keys(&self) -> Vec<String> {
        let mut want = self.config.list("hostkeyalgorithms");
        let name = self.known_name();
        let mut known: Vec<String> = Vec::new();
        let mut authority = false;
        for (_, entry) in client::known_hosts(&self.config) {
            if !entry.covers(&name) {
                continue;
            }
            match entry.marker {
                Marker::None => known.push(entry.kind),
                Marker::Authority => authority = true,
                Marker::Revoked => {}
            }
        }
        let is_certificate = |name: &str| name.contains("-cert-v01@");
        let base = |name: &str| {
            if name.starts_with("rsa-sha2-") {
                "ssh-rsa".to_owned()
            } else {
                name.to_owned()
            }
        };
        want.sort_by_key(|name| {
            if is_certificate(name) {
                if authority { 0 } else { 3 }
            } else if known.contains(&base(name)) {
                1
            } else {
                2
            }
        });
        if !authority {
            want.retain(|name| !is_certificate(name));
        }
        want
    }

    /// A certificate that the authority named in it did not sign: whoever shows it has made it up.
    pub(super) fn forged(&mut self, kind: &str) -> &'static str {
        let word = "certificate-invalid";
        let text = format!("the server shows a {kind} that its authority did not sign");
        self.see(Gate::HostKey, "hostkey.check", word, "", text);
        self.state(Gate::HostKey, false);
        word
    }

    /// How known_hosts calls the server.
    fn known_name(&self) -> String {
        match self.config.first("hostkeyalias") {
            Some(alias) => alias.to_ascii_lowercase(),
            None => known_hosts::name(&self.host, self.port),
        }
    }

    /// A key against RevokedHostKeys and known_hosts: the word of `hostkey.check`, and where that stands.
    pub(super) fn check(&self, kind: &str, blob: &[u8]) -> (&'static str, String) {
        if let Some(place) = client::revoked(&self.config, blob) {
            return ("revoked", place);
        }
        let name = self.known_name();
        let entries = client::known_hosts(&self.config);
        let now = u64::try_from(super::now().secs()).unwrap_or(0);
        let files: BTreeSet<String> = entries.iter().map(|(f, _)| f.clone()).collect();
        let mut verdict = (Check::Unknown, String::new());
        for file in &files {
            let of_file: Vec<_> = entries
                .iter()
                .filter(|(f, _)| f == file)
                .map(|(_, e)| e.clone())
                .collect();
            let check = known_hosts::check(&of_file, &name, kind, blob, now);
            if check.rank() > verdict.0.rank() {
                verdict = (check, file.clone());
            }
        }
        let about = match verdict.0.line() {
            0 => String::new(),
            line => format!("{}:{line}", verdict.1),
        };
        (verdict.0.word(), about)
    }

    /// The server's key against known_hosts.
    fn host_key(&mut self, kind: &str, blob: &[u8]) -> &'static str {
        let (word, about) = self.check(kind, blob);
        let accepts = self.config.is(
            "stricthostkeychecking",
            &["no", "off", "false", "accept-new"],
        );
        let refuses = self.config.is("stricthostkeychecking", &["yes", "true"])
            || self.config.is("batchmode", &["yes", "true"]);
        let then = match word {
            "unknown" if accepts => ", and taken (StrictHostKeyChecking)",
            "unknown" if refuses => ", and not taken without somebody who is asked",
            "unknown" => ": ssh would ask whether to trust it",
            _ => "",
        };
        let mut text = format!(
            "the key that the server shows, for {}: {word}{then}",
            self.known_name()
        );
        let files = client::looked_for_hosts(&self.config);
        if word == "unknown" && !files.is_empty() {
            text.push_str(&format!("; looked for in {files}"));
        }
        self.see(Gate::HostKey, "hostkey.check", word, &about, text);
        match word {
            "match" => self.state(Gate::HostKey, true),
            "unknown" if accepts => self.state(Gate::HostKey, true),
            "unknown" if !refuses => {}
            _ => self.state(Gate::HostKey, false),
        }
        word
    }

    /// The same again with small segments: what gets through now and did not before was too large for the way.
    pub(super) fn small_segments(&mut self, addr: SocketAddr) {
        let how = Dial {
            segment: Some(480),
            ..self.dialling()
        };
        let d = crate::sys::dial(addr, how, self.stage);
        let Ok(stream) = d.result else { return };
        let want = self.wanted_host_keys();
        let exchange = Exchange::new(Depth::HostKey, &want, 0);
        let talk = net::talk(stream, exchange, Waits::of(self.stage));
        if talk.seen.proposal.is_none() {
            let text = "with small segments it stops too".to_owned();
            self.see(Gate::Kex, "kex.large", "lost", "", text);
            return;
        }
        // It works with small ones; do large ones of ours arrive?
        let d = crate::sys::dial(addr, self.dialling(), self.stage);
        let Ok(stream) = d.result else { return };
        let exchange = Exchange::new(Depth::HostKey, &want, 6000);
        let wait = self.stage.min(Duration::from_secs(4));
        let large = net::talk(stream, exchange, Waits::of(wait));
        if large.end == "timeout" && large.phase != Phase::Greeting {
            let text =
                "with segments of 480 bytes the key exchange goes on, with full ones it stops"
                    .to_owned();
            self.see(
                Gate::Kex,
                "kex.large",
                "lost-unless-small-segments",
                "",
                text,
            );
        } else {
            self.see(
                Gate::Kex,
                "kex.large",
                "passes",
                "",
                "large packets arrive".to_owned(),
            );
        }
    }
}
