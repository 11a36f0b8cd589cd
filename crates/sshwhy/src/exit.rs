//! How a run ended, for scripts. Part of the contract.

use sshwhy_core::finding::{Finding, Severity};
use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Nothing wrong.
    Ok,
    /// Findings of medium severity or higher.
    Findings,
    /// Some of what was asked for could not be read; what could be was.
    Partial,
    /// Another contract's number: a plugin's 0 to 3.
    Status(u8),
}

impl Exit {
    /// Partial wins: who acts on findings must know that some may be missing.
    pub fn of(findings: &[Finding], partial: bool) -> Exit {
        if partial {
            Exit::Partial
        } else if findings.iter().any(|f| f.severity >= Severity::Medium) {
            Exit::Findings
        } else {
            Exit::Ok
        }
    }
}

/// `could not do it`
pub const FAILED: u8 = 2;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Findings => 1,
            Exit::Partial => 3,
            Exit::Status(n) => n,
        })
    }
}
