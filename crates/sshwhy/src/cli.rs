//! What may be typed. Parsing touches nothing: `--help` works on a machine where everything else is broken.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Says why: what happened in an sshd log, why a login fails, and what to do about it.
#[derive(Debug, Parser)]
#[command(name = "sshwhy", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 nothing wrong, 1 findings of medium severity or higher, 2 could not do it, 3 only in part.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// What happened? Reads sshd logs of any kind and says who attacked, who got in, who is locked out.
    Report(Report),
    /// The log as data: one object for each line, in order.
    Events(Events),
    /// What does this message mean? Any message of ssh, sshd or another client, or an id of ours.
    Explain(Explain),
    /// Why can't I get in? Walks the way from here to that server, gate by gate.
    Probe(Probe),
}

/// What to read, shared by the verbs that read logs.
#[derive(Args, Debug)]
pub struct Reading {
    /// Files, folders, globs, or - for standard input. Without any: this machine's own logs.
    pub logs: Vec<OsString>,
    /// Zone of times that say none, and of the times shown: +08:00, Europe/Berlin, UTC, local
    #[arg(long, value_name = "ZONE", default_value = "local")]
    pub tz: String,
    /// Year of the first line, where the log writes no years
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i32).range(1970..2200))]
    pub year: Option<i32>,
    /// Only from then on: 2026-03-28, "2026-03-28 16:00", 2h, 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only this address or network; may be given again
    #[arg(long, value_name = "CIDR")]
    pub addr: Vec<String>,
    /// Only this user; may be given again
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Only lines of this host; may be given again
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Threads to read with [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[derive(Args, Debug)]
pub struct Report {
    #[command(flatten)]
    pub reading: Reading,
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// Where to write instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show every row of every table
    #[arg(long)]
    pub all: bool,
    /// Thresholds of the detectors (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One threshold: brute-force.failures=10; may be given again
    #[arg(long = "set", value_name = "DETECTOR.NAME=VALUE")]
    pub set: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Text,
    Json,
    Html,
}

#[derive(Args, Debug)]
pub struct Events {
    #[command(flatten)]
    pub reading: Reading,
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: EventsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventsFormat {
    Ndjson,
    Csv,
}

#[derive(Args, Debug)]
pub struct Explain {
    /// The message, an id (SW0311) or a slug; without any: standard input
    pub text: Vec<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub format: ExplainFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub struct Probe {
    #[arg(long, value_enum, default_value = "text")]
    pub format: ProbeFormat,
    /// What the failing ssh wrote to standard error (ssh -v … 2> FILE); - for standard input
    #[arg(long, value_name = "FILE")]
    pub ssh_log: Option<PathBuf>,
    /// Run ssh once, with -v, and read what it writes
    #[arg(long, conflicts_with = "ssh_log")]
    pub run: bool,
    /// Look at the server through this host too, to tell a block of this client from a dead server
    #[arg(long, value_name = "HOST")]
    pub via: Option<String>,
    /// Only read: no connection to anywhere
    #[arg(long, conflicts_with_all = ["run", "via"])]
    pub offline: bool,
    /// Seconds for each stage
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub timeout: u16,
    /// Hide names, addresses and fingerprints, to show the answer in public
    #[arg(long)]
    pub redact: bool,
    /// What you typed: [ssh] [options] [user@]host [command], also scp … and sftp …
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "SSH ARGUMENTS"
    )]
    pub words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeFormat {
    Text,
    Json,
}
