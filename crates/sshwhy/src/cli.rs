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
    /// Keep them out. Follows the log, bans who attacks, proves that the bans hold, and says loudly when it is blind.
    Guard(Guard),
    /// Why can't I get in? Walks the way from here to that server, gate by gate.
    Probe(Probe),
    /// Is SSH up, well and unchanged over there? Checks endpoints quietly, once or for ever.
    Monitor(Monitor),
    /// What on that host did it? Finds the odd logins in a target's log, and who on the source node made them.
    Trace(Trace),
    /// Why can't they get in? Looks at this machine's sshd, accounts, keys, PAM, firewall and log.
    Doctor(Doctor),
    /// Who is kept out, until when, why, and does the ban really work?
    Bans(Bans),
    /// What will this sshd_config do? Checks it, evaluates it for one connection, compares, simulates, hardens.
    Config(Config),
}

#[derive(Args, Debug)]
pub struct Guard {
    #[command(subcommand)]
    pub verb: Option<GuardVerb>,
    /// Settings [default: /etc/sshwhy/guard.toml, where it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Ban nobody: replay these logs, and show who would have been banned when, beside fail2ban's defaults
    #[arg(long, value_name = "LOG", num_args = 1..)]
    pub dry_run: Vec<OsString>,
    /// Year of the first line, where the log writes no years
    #[arg(long, value_name = "YEAR", requires = "dry_run", value_parser = clap::value_parser!(i32).range(1970..2200))]
    pub year: Option<i32>,
    #[arg(long, value_enum, default_value = "text", requires = "dry_run")]
    pub format: TextOrJson,
    /// Lift every ban now, and ban nobody until the panic file is removed
    #[arg(long, conflicts_with = "dry_run")]
    pub panic: bool,
    /// The half without rights; started by guard
    #[arg(long, hide = true)]
    pub worker: bool,
}

#[derive(Debug, Subcommand)]
pub enum GuardVerb {
    /// Does it see, does it keep out? Exit status 1 when something is wrong, 2 when no guard is running
    Status {
        #[arg(long, value_enum, default_value = "text")]
        format: TextOrJson,
    },
    /// Makes a failing login over loopback, and waits for it to come through
    Test {
        /// Port of sshd
        #[arg(long, value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Seconds to wait for
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        wait: u64,
    },
    /// Says what is wrong with the settings, with line and column
    CheckConfig,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// Who cannot get in
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// From which address
    #[arg(long, value_name = "ADDR")]
    pub from: Option<String>,
    /// The port that the client calls [default: what its probe says, else 22]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The key the client has: a public key file, or SHA256:…; may be given again
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    pub key: Vec<String>,
    /// What `sshwhy probe --format json` printed on the client; - for standard input
    #[arg(long, value_name = "FILE")]
    pub client_json: Option<PathBuf>,
    /// Another machine's file system: a mounted disk, an unpacked image
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// A container image instead: an OCI layout, or what `docker save` wrote, packed or not
    #[arg(long, value_name = "PATH", conflicts_with_all = ["root", "client_json"])]
    pub image: Option<PathBuf>,
    /// A Dockerfile instead: would a container from it take logins? With --fix: prints a patch
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root", "image", "client_json"])]
    pub dockerfile: Option<PathBuf>,
    /// Mend what can be mended safely: shown as a diff first, and taken back unless confirmed from a new login
    #[arg(long, conflicts_with_all = ["image", "redact"])]
    pub fix: bool,
    /// Only show what --fix would do
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// How long --fix waits for the confirmation: 90, 2m, 1h
    #[arg(long, value_name = "TIME", default_value = "2m", requires = "fix", value_parser = wait)]
    pub confirm_within: u64,
    /// Keep the changes of that fix; from another login than the one that made them
    #[arg(long, value_name = "ID", conflicts_with_all = ["fix", "recover"])]
    pub confirm: Option<String>,
    /// Take back what an earlier --fix left unconfirmed when it or the machine was stopped
    #[arg(long, conflicts_with = "fix")]
    pub recover: bool,
    /// Where fixes keep what stood there before
    #[arg(long, value_name = "DIR", default_value = crate::fix::STATE)]
    pub fix_state: PathBuf,
    #[arg(long, value_name = "ID", hide = true)]
    pub fix_watch: Option<String>,
    /// Ends the program at that step, for tests
    #[arg(long, value_name = "N", hide = true)]
    pub stop_at: Option<u32>,
    #[arg(long, value_enum, default_value = "text")]
    pub format: TextOrJson,
    /// Replace the user's name and the addresses in the output
    #[arg(long)]
    pub redact: bool,
}

/// Seconds of `90`, `2m`, `1h30m`, as sshd writes times.
fn wait(text: &str) -> Result<u64, String> {
    match sshwhy_core::config::value::seconds(text) {
        Some(s @ 1..=86_400) => Ok(s),
        _ => Err("a time from 1 second to 1 day is wanted: 90, 2m, 1h".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub struct Config {
    #[command(subcommand)]
    pub verb: ConfigVerb,
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub format: TextOrJson,
    /// Another machine's file system, in which the file and its Includes lie
    #[arg(long, value_name = "DIR", global = true)]
    pub root: Option<PathBuf>,
    /// The release whose rules and defaults count: 9.2 [default: this machine's sshd, else 9.2]
    #[arg(long, value_name = "VERSION", global = true)]
    pub openssh: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Every value for one connection, with the line that won and those that lost
    Effective(ConfigEffective),
    /// Errors and surprises
    Check(ConfigFile),
    /// Every account: could it log in, from where, by which methods?
    Who(ConfigWho),
    /// Two configurations, compared in effect
    Diff(ConfigDiff),
    /// MaxStartups and its like under a load
    Simulate(ConfigSimulate),
    /// A stricter configuration that keeps nobody out who has to get in
    Harden(ConfigHarden),
}

#[derive(Args, Clone, Debug, Default)]
pub struct ConnectionArgs {
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The client's address
    #[arg(long, value_name = "ADDR")]
    pub addr: Option<String>,
    /// The client's name, as sshd sees it (the address, unless UseDNS is on)
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The address that was called
    #[arg(long, value_name = "ADDR")]
    pub laddr: Option<String>,
    #[arg(long, value_name = "PORT")]
    pub lport: Option<u16>,
    #[arg(long, value_name = "NAME")]
    pub rdomain: Option<String>,
    /// Groups of the user, comma-separated [default: as the machine's group file says]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub groups: Vec<String>,
}

#[derive(Args, Debug)]
pub struct ConfigEffective {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Only these keywords
    #[arg(long, value_name = "KEYWORD")]
    pub only: Vec<String>,
    /// As `sshd -T` prints it
    #[arg(long)]
    pub plain: bool,
    #[arg(default_value = "/etc/ssh/sshd_config")]
    pub file: String,
}

#[derive(Args, Debug)]
pub struct ConfigFile {
    #[arg(default_value = "/etc/ssh/sshd_config")]
    pub file: String,
}

#[derive(Args, Debug)]
pub struct ConfigWho {
    /// From this address [default: from every place that the configuration tells apart]
    #[arg(long, value_name = "ADDR")]
    pub addr: Option<String>,
    /// Accounts without a login shell too, one by one
    #[arg(long)]
    pub all: bool,
    #[arg(default_value = "/etc/ssh/sshd_config")]
    pub file: String,
}

#[derive(Args, Debug)]
pub struct ConfigDiff {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    pub before: String,
    pub after: String,
}

#[derive(Args, Debug)]
pub struct ConfigSimulate {
    /// Logins a second, of people who are meant to get in
    #[arg(long, value_name = "N", default_value_t = 1.0, conflicts_with = "log")]
    pub rate: f64,
    /// Seconds that a login takes, on average
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub hold: f64,
    /// From how many addresses they come
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "log")]
    pub sources: u32,
    /// Connections a second of others, who never get in
    #[arg(long, value_name = "N", default_value_t = 0.0, conflicts_with = "log")]
    pub attack_rate: f64,
    /// What those others do: try passwords, leave at once, or say nothing until they are thrown out
    #[arg(long, value_enum, default_value = "fail", conflicts_with = "log")]
    pub attack: Attack,
    /// From how many addresses those others come
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "log")]
    pub attack_sources: u32,
    /// Half-open connections that are there all the time
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "log")]
    pub held: u32,
    /// How long to simulate: 1h, 30m
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = wait, conflicts_with = "log")]
    pub duration: u64,
    /// Connections as a log has them, instead of rates: files, folders, or - for standard input; may be given again
    #[arg(long, value_name = "LOG", num_args = 1..)]
    pub log: Vec<OsString>,
    /// The log's connections come so many times as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "log")]
    pub speed: f64,
    /// Zone of times that say none
    #[arg(long, value_name = "ZONE", default_value = "local")]
    pub tz: String,
    /// Year of the first line, where the log writes no years
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i32).range(1970..2200))]
    pub year: Option<i32>,
    /// Seconds until somebody who was turned away tries again
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub retry: f64,
    /// How often somebody tries
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub tries: u32,
    /// Keys that a client offers before it asks for a password
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keys: u32,
    /// Wrong passwords after which PAM takes no more [default: deny= of pam_faillock, where sshd's stack has it]
    #[arg(long, value_name = "N")]
    pub pam_tries: Option<u32>,
    /// start:rate:full instead of the file's
    #[arg(long, value_name = "START:RATE:FULL")]
    pub max_startups: Option<String>,
    /// Also find settings that turn away at most this share of logins at the first try
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub target: f64,
    /// Another number gives other chances
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Also draw it
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    #[arg(default_value = "/etc/ssh/sshd_config")]
    pub file: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    Fail,
    Leave,
    Hang,
}

#[derive(Args, Debug)]
pub struct ConfigHarden {
    #[arg(long, value_enum, default_value = "modern")]
    pub policy: HardenPolicy,
    /// Who must still get in, besides who is logged in now; may be given again
    #[arg(long, value_name = "NAME")]
    pub keep: Vec<String>,
    /// Whoever logs in there must still get in, in the way they did; may be given again
    #[arg(long, value_name = "LOG", num_args = 1..)]
    pub log: Vec<OsString>,
    /// Zone of times that say none
    #[arg(long, value_name = "ZONE", default_value = "local")]
    pub tz: String,
    /// Year of the first line, where the log writes no years
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i32).range(1970..2200))]
    pub year: Option<i32>,
    #[arg(default_value = "/etc/ssh/sshd_config")]
    pub file: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HardenPolicy {
    Compatible,
    Modern,
    Strict,
}

#[derive(Args, Debug)]
pub struct Bans {
    #[command(subcommand)]
    pub verb: BansVerb,
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub format: TextOrJson,
    /// Settings of guard, for the state file, the firewall and the allow-list [default: /etc/sshwhy/guard.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where bans are remembered [default: as the settings say, else /var/lib/sshwhy/guard.db]
    #[arg(long, value_name = "FILE", global = true)]
    pub state: Option<PathBuf>,
    /// Which firewall: auto, nftables, ipset, firewalld, ufw, hosts.deny, command, null
    #[arg(long, value_name = "NAME", global = true)]
    pub firewall: Option<String>,
    /// What is kept from banned addresses [default: everything]
    #[arg(long, value_name = "PORTS", value_delimiter = ',', global = true)]
    pub port: Vec<u16>,
    /// With --firewall command: "/path/to/program <ip> <bantime>"
    #[arg(long, value_name = "COMMAND", global = true)]
    pub ban_command: Option<String>,
    #[arg(long, value_name = "COMMAND", global = true)]
    pub unban_command: Option<String>,
    /// With --firewall hosts.deny: another file than /etc/hosts.deny
    #[arg(long, value_name = "FILE", global = true)]
    pub hosts_deny: Option<PathBuf>,
    /// Never ban this: an address, a network, a name, or a file of them; may be given again
    #[arg(long, value_name = "WHO", global = true)]
    pub allow: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum BansVerb {
    /// Everybody who is kept out, and where state and firewall differ
    List(BansList),
    /// Keep somebody out
    Add(BansAdd),
    /// Let somebody in again: every ban that covers the address
    Remove(BansRemove),
    /// Does it work? Evaluates the live rules for packets from banned addresses
    Check(BansCheck),
    /// What led to the ban of an address, its history, and who else keeps it out
    Why(BansWhy),
    /// Take over fail2ban's bans and jails, or sshguard's blacklist
    Import(BansImport),
    /// Everybody who is kept out, for other programs
    Export(BansExport),
    /// Make the firewall hold what the state says, after a reboot or a flush
    Restore(BansRestore),
}

#[derive(Args, Debug)]
pub struct BansList {
    /// Show all of them
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct BansAdd {
    /// Addresses or networks
    #[arg(required = true, value_name = "ADDR")]
    pub nets: Vec<String>,
    /// For how long: 10m, 1h, 7d, or forever
    #[arg(long, value_name = "TIME", default_value = "1d")]
    pub time: String,
    /// Why; it is shown by list and why
    #[arg(long, value_name = "TEXT", default_value = "by hand")]
    pub reason: String,
}

#[derive(Args, Debug)]
pub struct BansRemove {
    /// Addresses or networks
    #[arg(required_unless_present = "all", value_name = "ADDR")]
    pub nets: Vec<String>,
    /// Everybody
    #[arg(long, conflicts_with = "nets")]
    pub all: bool,
    #[arg(long, value_name = "TEXT", default_value = "by hand")]
    pub reason: String,
}

#[derive(Args, Debug)]
pub struct BansCheck {
    /// Only these; otherwise all of them are looked for, and some of each kind are proven
    #[arg(value_name = "ADDR")]
    pub addrs: Vec<String>,
}

#[derive(Args, Debug)]
pub struct BansWhy {
    #[arg(value_name = "ADDR")]
    pub addr: String,
}

#[derive(Args, Debug)]
pub struct BansImport {
    /// fail2ban's folder or database, sshguard's blacklist [default: where they usually lie]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only say what would be taken over
    #[arg(long)]
    pub dry_run: bool,
    /// Where to write the settings, as guard's TOML; it must not exist yet
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct BansExport {
    /// As what
    #[arg(long = "as", value_enum, default_value = "plain")]
    pub form: ExportForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// Everything that is known of each
    Json,
    /// One network a line
    Plain,
    /// A file for nft -f, with sets of its own
    Nft,
    /// Commands that ban them in fail2ban's jail sshd
    Fail2ban,
}

#[derive(Args, Debug)]
pub struct BansRestore {
    /// Make our sets and rules anew, in front of everything
    #[arg(long)]
    pub rebuild: bool,
}

/// What to read, shared by the verbs that read logs.
#[derive(Args, Debug)]
pub struct Reading {
    /// Files, folders, globs, or - for standard input. Without any: what is piped in, otherwise this machine's own logs.
    pub logs: Vec<OsString>,
    /// Zone of times that say none, and of the times shown: +08:00, Europe/Berlin, UTC, local
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "local",
        allow_hyphen_values = true
    )]
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

/// What `--evidence` may hold; nothing depends on one tool's layout. No line is longer than help is wide.
const EVIDENCE: &str = "\
Evidence is what `sshwhy trace collect` packs, or a folder of any of these under any names (of
several nodes: a folder each):
  containers  inspect of docker, podman or crictl; crictl ps -a -o json; kubectl get pods -o json
  their logs  json-file and CRI logs, docker logs -t NAME > NAME.log, docker compose logs -t
  events      of docker, podman and Kubernetes; the API server's audit log; Falco's alerts
  the node    syslog, the journal in any form, auth.log, audit.log, logs of supervisors
  network     what the packet filter logged, conntrack -E -o timestamp
  schedules   crontabs, systemd units, the scripts that they run, shell histories
  itself      etc/timezone, timedatectl, etc/passwd
  file times  files.tsv, from find / -printf '%p\\t%T@\\t%s\\n'";

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_long_help = EVIDENCE)]
pub struct Trace {
    #[command(subcommand)]
    pub verb: Option<TraceVerb>,
    /// Log of the host that is logged in to; may be given again (rotated copies are taken as one log)
    #[arg(long, value_name = "FILE", required = true)]
    pub log: Vec<OsString>,
    /// What was collected on the source node: a folder, a tar archive of it, or a file (see below); may be given again
    #[arg(long, value_name = "PATH")]
    pub evidence: Vec<PathBuf>,
    /// Zone of times that say none, and of the times shown: +08:00, Europe/Berlin, UTC, local
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "local",
        allow_hyphen_values = true
    )]
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
    /// Address that the logins come from [default: the oddest one]
    #[arg(long, value_name = "ADDR")]
    pub source: Option<String>,
    /// Address of the host that is logged in to, where it is known; may be given again
    #[arg(long, value_name = "ADDR")]
    pub target: Vec<String>,
    /// Port of its sshd
    #[arg(long, value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    #[arg(long, value_enum, default_value = "text")]
    pub format: TraceFormat,
    /// Where to write instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Threads to read with [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
pub enum TraceVerb {
    /// On the source node: everything it still knows, in one archive
    Collect(TraceCollect),
    /// On the source node: record who connects to that host from now on
    Arm(TraceArm),
    /// Take away what arm put there
    Disarm(TraceDisarm),
}

#[derive(Args, Debug)]
pub struct TraceCollect {
    /// Only from then on: 2026-03-28, "2026-03-28 16:00", 2h, 7d
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub since: String,
    /// Only until then
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub until: String,
    /// The archive; - for standard output [default: sshwhy-HOST-TIME.tar.zst here]
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Another machine's file system: a mounted disk
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Socket of a container engine instead of the usual ones; may be given again
    #[arg(long, value_name = "PATH")]
    pub socket: Vec<PathBuf>,
    /// MiB, unpacked, in all
    #[arg(long, value_name = "MIB", default_value_t = 8192)]
    pub max_size: u64,
    /// MiB of one log
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub max_log: u64,
    /// Rows of file times
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    pub max_files: usize,
    /// Seconds in all
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub time_limit: u64,
    /// Zone of the times above
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "local",
        allow_hyphen_values = true
    )]
    pub tz: String,
    #[arg(long, value_enum, default_value = "text")]
    pub format: TextOrJson,
}

#[derive(Args, Debug)]
pub struct TraceArm {
    /// The host that is logged in to
    #[arg(value_name = "ADDR[:PORT]")]
    pub target: String,
    /// Hours of the day: 16:00-20:00
    #[arg(long, value_name = "FROM-UNTIL")]
    pub window: Option<String>,
    /// When to end: 2026-03-28, "2026-03-28 16:00", 04:00
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Zone of the times above
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "local",
        allow_hyphen_values = true
    )]
    pub tz: String,
    /// Do it; without this it only says what it would do
    #[arg(long)]
    pub apply: bool,
    /// auditd, or this program's own watcher [default: auditd where it runs]
    #[arg(long, value_enum, value_name = "WHO")]
    pub with: Option<ArmWith>,
    /// Where the watcher writes
    #[arg(long, short, value_name = "FILE", default_value = crate::watch::DEFAULT_OUT)]
    pub out: PathBuf,
    /// MiB that it writes at most
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub max_size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArmWith {
    Auditd,
    Watch,
}

#[derive(Args, Debug)]
pub struct TraceDisarm {
    /// Where the watcher writes
    #[arg(long, short, value_name = "FILE", default_value = crate::watch::DEFAULT_OUT)]
    pub out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    Text,
    Json,
    Html,
    Md,
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
    /// Ask the server too: run `sshwhy doctor` there, over ssh as somebody who may log in
    #[arg(
        long,
        value_name = "ssh://[USER@]HOST[:PORT]",
        conflicts_with = "offline"
    )]
    pub server: Option<String>,
    /// Only read: no connection to anywhere
    #[arg(long, conflicts_with_all = ["run", "via"])]
    pub offline: bool,
    /// How far to go: to the server's host key; to what it says about every key (nothing is signed); into a session, where
    /// a key lets us in without a prompt (nothing is run there but `exit 0`)
    #[arg(long, value_enum, default_value = "session", value_name = "DEPTH")]
    pub depth: ProbeDepth,
    /// Ask for a password where the server wants one, and try it once
    #[arg(long, conflicts_with = "offline")]
    pub password: bool,
    /// Fetch the host key of every type that the server has (a connection for each)
    #[arg(long, conflicts_with = "offline")]
    pub host_keys: bool,
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
pub enum ProbeDepth {
    Hostkey,
    Auth,
    Session,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeFormat {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub struct Monitor {
    /// Endpoints, intervals, alert channels (TOML); watches until it is ended, SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check once, say what is so, and end
    #[arg(long)]
    pub once: bool,
    /// As a Nagios or Icinga plugin: one line, performance data, exit code 0 to 3
    #[arg(long)]
    pub nagios: bool,
    /// Only see whether the file is good
    #[arg(long)]
    pub check: bool,
    /// Forget the keys, ident and algorithms remembered of this endpoint
    #[arg(long, value_name = "NAME")]
    pub forget: Option<String>,
    /// History, and what is remembered [default: the file's, /var/lib/sshwhy/monitor.db or ~/.local/state/sshwhy/monitor.db]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// How far to go: ping, half-open, tcp, ident, kex, hostkey, auth, session
    #[arg(long, value_name = "DEPTH", default_value = "hostkey", value_parser = depth)]
    pub depth: sshwhy_core::monitor::Depth,
    /// For the whole check of one host
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub timeout: crate::settings::Span,
    /// Warn when a check takes longer
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub warning: Option<crate::settings::Span>,
    /// Critical when it takes longer than that
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub critical: Option<crate::settings::Span>,
    #[arg(long, short, value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Whom to log in as (depths auth and session)
    #[arg(long, short = 'l', value_name = "NAME")]
    pub user: Option<String>,
    /// Private key without a passphrase
    #[arg(long, short, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// What to run at depth session
    #[arg(long, value_name = "COMMAND", default_value = "true")]
    pub command: String,
    /// The host key's fingerprint, SHA256:…; may be given again
    #[arg(long, value_name = "FINGERPRINT", value_parser = crate::monitor::settings::fingerprint)]
    pub host_key: Vec<String>,
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// What the ident should be like: 'SSH-2.0-OpenSSH_9.*'
    #[arg(long, value_name = "PATTERN")]
    pub expect_ident: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub format: TextOrJson,
    /// [user@]host[:port], or a name from the file
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
}

fn depth(text: &str) -> Result<sshwhy_core::monitor::Depth, String> {
    sshwhy_core::monitor::Depth::parse(text).ok_or_else(|| {
        let all = sshwhy_core::monitor::Depth::ALL.map(sshwhy_core::monitor::Depth::name);
        format!("one of {}", all.join(", "))
    })
}

fn span(text: &str) -> Result<crate::settings::Span, String> {
    crate::settings::Span::parse(text)
        .ok_or_else(|| "a length of time is 10, 500ms, 30s, 10m or the like".to_owned())
}
