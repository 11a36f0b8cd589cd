//! What is wrong with an sshd_config, as compilers say it: file, line, column, the line itself, a caret, and what to do.

use super::escape;
use crate::config::parse::{Config, Level, Shown};
use crate::finding::{Finding, Severity};
use std::fmt::Write;

/// Everything that was found, errors first, and a last line that says whether sshd starts. `findings` as
/// [`crate::config::lint::lint`] gives them.
pub fn check(config: &Config, findings: &[Finding], colour: bool) -> String {
    let mut out = String::new();
    let paint = |severity: Severity, text: &str| match (colour, severity) {
        (false, _) => text.to_owned(),
        (true, Severity::High | Severity::Critical) => format!("\x1b[1;31m{text}\x1b[0m"),
        (true, Severity::Medium) => format!("\x1b[1;33m{text}\x1b[0m"),
        (true, _) => format!("\x1b[1m{text}\x1b[0m"),
    };
    let errors = config
        .diagnostics
        .iter()
        .filter(|d| d.level == Level::Error);
    let warnings = config
        .diagnostics
        .iter()
        .filter(|d| d.level == Level::Warning);
    let mut count = 0usize;
    for d in errors.clone().chain(warnings) {
        // The first line is the message, then follow the line itself and the caret.
        for (i, line) in Shown(config, d).to_string().lines().enumerate() {
            let text = escape::terminal(line);
            let severity = match d.level {
                Level::Error => Severity::High,
                Level::Warning => Severity::Low,
            };
            let _ = match i {
                0 => writeln!(out, "{}", paint(severity, &text)),
                _ => writeln!(out, "{text}"),
            };
        }
        out.push('\n');
        count += 1;
    }
    let linted = findings
        .iter()
        .filter(|f| !matches!(f.slug, "config-error" | "config-ignored"));
    for f in linted {
        let place = f.evidence.first().map_or("", |e| e.source.as_str());
        let between = if place.is_empty() { "" } else { ": " };
        let head = format!("{place}{between}{}: {}", f.severity.name(), f.headline);
        let _ = writeln!(out, "{}", paint(f.severity, &escape::terminal(&head)));
        for e in &f.evidence {
            let number = e.source.rsplit(':').next().unwrap_or_default();
            let _ = writeln!(
                out,
                "{} | {}",
                escape::terminal(number),
                escape::terminal(&e.text)
            );
        }
        for note in f.notes.iter().chain(f.remedy.iter().map(|s| &s.action)) {
            let _ = writeln!(out, "  = {}", escape::terminal(note));
        }
        out.push('\n');
        count += 1;
    }
    let errors = errors.count();
    let sshd = format!("OpenSSH {}.{}", config.release.0, config.release.1);
    out.push_str(&match (errors, count) {
        (0, 0) => format!("Nothing questionable: {sshd} starts with it.\n"),
        (0, _) => format!("{sshd} starts with it; {} above.\n", super::words::count(count as u64, "thing to look at", "things to look at")),
        _ => format!(
            "{sshd} does NOT start with it: {}. One that runs goes on with what it read at its start: leave it running until this is mended.\n",
            super::words::count(errors as u64, "error", "errors")
        ),
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Memory;
    use crate::config::lint::{Known, lint};
    use crate::config::parse::parse;

    fn said(text: &str) -> String {
        let config = parse(&Memory::default().with("/c", text), "/c", (9, 2), "/");
        check(&config, &lint(&config, &Known::default()), false)
    }

    #[test]
    fn the_caret_stands_under_the_word() {
        let text = said("Subsystem sftp internal-sftp\nMatch User b\n  UsePAM no\nMatch all\n");
        assert!(
            text.starts_with("/c:3:3: error: UsePAM is not allowed within a Match block\n3 |   UsePAM no\n  |   ^^^^^^ a block reaches"),
            "{text}"
        );
        assert!(
            text.ends_with("leave it running until this is mended.\n") && text.contains("1 error"),
            "{text}"
        );
        assert_eq!(text.matches("UsePAM").count(), 2, "{text}");
    }

    #[test]
    fn what_sshd_starts_with_is_said_apart() {
        let text = said("Subsystem sftp internal-sftp\nAllowUsers a,b\n");
        assert!(text.starts_with("/c:2: high: AllowUsers \"a,b\" at /c:2 is one pattern\n2 | AllowUsers a,b\n  = Put blanks"), "{text}");
        assert!(
            text.ends_with("OpenSSH 9.2 starts with it; 1 thing to look at above.\n"),
            "{text}"
        );
        assert_eq!(
            said("Subsystem sftp internal-sftp\n"),
            "Nothing questionable: OpenSSH 9.2 starts with it.\n"
        );
        let hostile = said("Subsystem sftp internal-sftp\nBanner \x1b[2J x\n");
        assert!(!hostile.contains('\x1b'), "{hostile:?}");
    }
}
