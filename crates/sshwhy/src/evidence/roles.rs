//! What a file of the evidence is for: by its name, and by its first bytes.

use memchr::memmem;
use sshwhy_core::trace::happening;

/// What a file of the evidence is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Document,
    FileTimes,
    Schedule,
    /// A shell script or the like.
    Script,
    /// What somebody typed into a shell.
    Typed,
    /// What tells of the node itself: its zone, its accounts.
    Node,
    Audit,
    Log,
    /// The manifest of an archive and what else is not evidence.
    Other,
}

/// By name; `head` are the first bytes, for what the name does not tell.
pub(super) fn role(name: &str, head: &[u8]) -> Role {
    let lower = name.to_ascii_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    let plain = file
        .trim_end_matches(".gz")
        .trim_end_matches(".zst")
        .trim_end_matches(".xz")
        .trim_end_matches(".bz2");
    let state = lower.starts_with("state/") || lower.contains("/state/");
    if state || matches!(plain, "manifest.json" | "sha256sums" | "truth.json") {
        return Role::Other;
    }
    let begins = |text: &[u8]| head.starts_with(text);
    if begins(b"{\"log\":") || begins(b"{\"log\" ") {
        return Role::Log;
    }
    if plain.ends_with(".tsv") {
        return Role::FileTimes;
    }
    if matches!(plain, "timezone" | "passwd") || plain.starts_with("timedatectl") {
        return Role::Node;
    }
    if matches!(
        plain,
        ".bash_history" | ".zsh_history" | ".ash_history" | ".sh_history"
    ) || plain.ends_with("bash_history.txt")
        || plain.ends_with("bash_history")
    {
        return Role::Typed;
    }
    if begins(b"type=") || begins(b"node=") || begins(b"----") {
        return Role::Audit;
    }
    if lower.contains("cron") && !plain.contains(".log") && !plain.ends_with("cron")
        || lower.contains("schedules/")
        || plain == "crontab"
        || plain.ends_with(".timer")
        || plain.ends_with(".service")
    {
        return Role::Schedule;
    }
    if begins(b"#!") {
        return Role::Script;
    }
    // Lines of JSON that say what happened, one after the other, whatever their file is called.
    if begins(b"{")
        && [
            &b"\"__REALTIME_TIMESTAMP\""[..],
            b"\"__CURSOR\"",
            b"\"audit.k8s.io/",
            b"\"output_fields\"",
        ]
        .iter()
        .any(|key| memmem::find(head, key).is_some())
    {
        return Role::Log;
    }
    if happening::line(head.split(|b| *b == b'\n').next().unwrap_or_default()).is_some() {
        return Role::Document;
    }
    let json_log =
        lower.contains("-json.log") || plain.ends_with(".log") || lower.contains(".log.");
    if plain.ends_with(".json") && !json_log {
        return Role::Document;
    }
    if plain.contains("audit")
        && (plain.ends_with(".log") || plain.ends_with(".txt"))
        && head.is_empty()
    {
        return Role::Audit;
    }
    Role::Log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_name_and_by_what_stands_in_them() {
        for (name, head, want) in [
            ("containers.json", &b"[{\"Id\""[..], Role::Document),
            ("logs/abc-json.log", b"{\"log\":\"x\"", Role::Log),
            ("logs/abc.json", b"{\"log\":\"x\"", Role::Log),
            ("audit.log", b"type=SYSCALL msg=", Role::Audit),
            ("ausearch.txt", b"----\ntime->", Role::Audit),
            ("audit/audit.log.3", b"node=a type=", Role::Audit),
            ("files.tsv", b"/etc", Role::FileTimes),
            ("schedules/etc/cron.d/x", b"* * *", Role::Schedule),
            ("var/log/cron", b"Mar 28", Role::Log),
            ("syslog", b"Mar 28", Role::Log),
            ("pods/a_b_c/x/0.log", b"2023-", Role::Log),
            ("MANIFEST.json", b"{", Role::Other),
            (
                "journal.json",
                b"{\"__CURSOR\":\"s=1\",\"MESSAGE\":\"x\"}",
                Role::Log,
            ),
            (
                "kube-audit.json",
                b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\"}",
                Role::Log,
            ),
            (
                "docker-events.log",
                b"2023-03-28T16:00:00.5Z container start 5c1b0c2d3e4f (image=x)\n",
                Role::Document,
            ),
            ("opt/x.sh", b"#!/bin/sh\n", Role::Script),
            ("schedules/etc/cron.daily/x", b"#!/bin/sh\n", Role::Schedule),
            ("home/a/.bash_history", b"ls\n", Role::Typed),
            ("etc/timezone", b"Etc/UTC\n", Role::Node),
            ("timedatectl.txt", b"Local time", Role::Node),
        ] {
            assert_eq!(role(name, head), want, "{name}");
        }
    }
}
