//! What `report` and `events` have in common: from typed arguments to a feed, a zone and a filter.

use crate::cli::Reading;
use crate::feed::Feed;
use crate::source::{expand, own};
use crate::zone;
use sshwhy_core::addr::Cidr;
use sshwhy_core::analysis::Filter;
use sshwhy_core::time::{Time, Zone};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Ready {
    pub feed: Feed,
    pub zone: Zone,
    pub filter: Filter,
    pub threads: usize,
}

pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

pub fn ready(args: &Reading) -> Result<Ready, String> {
    let now = now();
    let zone = zone::named(&args.tz)?;
    let moment = |text: &Option<String>| {
        text.as_deref()
            .map(|t| zone::moment(t, &zone, now))
            .transpose()
    };
    let filter = Filter {
        since: moment(&args.since)?,
        until: moment(&args.until)?,
        addrs: args
            .addr
            .iter()
            .map(|a| Cidr::parse(a).ok_or_else(|| format!("{a:?} is no address or network: give 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")))
            .collect::<Result<_, _>>()?,
        users: args.user.clone(),
        hosts: args.host.clone(),
    };
    let threads = args
        .threads
        .map(usize::from)
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let mut logs = if args.logs.is_empty() {
        let mut own = own(Path::new("/"));
        if input_waits() {
            own.notes
                .push("standard input was not read: `-` in place of a file reads it".to_owned());
        }
        own
    } else {
        expand(&args.logs)
    };
    logs.notes.append(&mut logs.looked_at);
    Ok(Ready {
        feed: Feed::new(logs, zone.clone(), args.year, now),
        zone,
        filter,
        threads,
    })
}

/// Whether a pipe or a file stands on standard input: somebody may have meant that one.
fn input_waits() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata("/dev/stdin").is_ok_and(|m| m.file_type().is_fifo() || m.is_file())
    }
    #[cfg(not(unix))]
    {
        false
    }
}
