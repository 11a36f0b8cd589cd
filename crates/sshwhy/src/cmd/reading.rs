//! What `report` and `events` have in common: from typed arguments to a feed, a zone and a filter.

use crate::cli::Reading;
use crate::feed::Feed;
use crate::source::stdin::{self, Standing};
use crate::source::{Expanded, expand, own};
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
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        return Err(format!("--since ({since}) is not before --until ({until})"));
    }
    let threads = args
        .threads
        .map(usize::from)
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let mut logs = if args.logs.is_empty() {
        unnamed()?
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

/// The log where none is named: what somebody put on standard input, otherwise this machine's own.
fn unnamed() -> Result<Expanded, String> {
    let standing = stdin::standing();
    match standing {
        Standing::Given => {
            let mut piped = expand(&["-".into()]);
            piped.notes.push(
                "read from standard input; `sshwhy report < /dev/null` reads this machine's own logs".to_owned(),
            );
            return Ok(piped);
        }
        Standing::Silent => {
            return Err("standard input is a pipe, and nothing came on it for a minute; where a log is still to come, say `-`; for this machine's own logs add `< /dev/null`".to_owned());
        }
        Standing::Nothing | Standing::Empty => {}
    }
    let mut logs = own(Path::new("/"));
    if standing == Standing::Empty {
        logs.notes
            .push("standard input was an empty pipe: these are this machine's own logs".to_owned());
    }
    Ok(logs)
}
