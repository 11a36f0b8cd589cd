//! sshwhy: says why. Parses what was typed, runs the verb, turns its end into an exit code.

mod carrier;
mod cli;
mod client;
mod cmd;
mod collect;
mod evidence;
mod exit;
mod feed;
mod filter;
mod fix;
mod guard;
#[allow(dead_code)] // until bans and guard use all of it
mod host;
mod image;
#[allow(dead_code)] // until bans and guard use all of it
mod ledger;
mod login;
mod monitor;
mod net;
mod pipeline;
mod settings;
mod sink;
mod source;
mod state;
mod sys;
mod watch;
mod world;
mod zone;

use clap::Parser;
use cli::{Cli, Verb};
use exit::{Exit, FAILED};
use sshwhy_core::render::escape;
use std::process::ExitCode;

fn run(cli: Cli) -> Result<Exit, String> {
    match cli.verb {
        Verb::Report(args) => cmd::report::run(args),
        Verb::Events(args) => cmd::events::run(args),
        Verb::Explain(args) => cmd::explain::run(args),
        Verb::Guard(args) => cmd::guard::run(args),
        Verb::Doctor(args) => cmd::doctor::run(args),
        Verb::Config(args) => cmd::config::run(args),
        Verb::Trace(args) => cmd::trace::run(args),
        Verb::Bans(args) => cmd::bans::run(args),
        Verb::Probe(args) => cmd::probe::run(args),
        Verb::Monitor(args) => cmd::monitor::run(args),
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(message) => {
            // What was typed or read may stand in it.
            let lines = message.lines().map(escape::terminal);
            eprintln!("sshwhy: {}", lines.collect::<Vec<_>>().join("\n"));
            ExitCode::from(FAILED)
        }
    }
}
