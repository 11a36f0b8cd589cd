//! The limits of a configuration that decide who is let in, and what they leave to one login.

use super::MaxStartups;
use crate::config::effective::Effective;

/// PerSourcePenalties, in seconds (srclimit.c, since 9.8).
#[derive(Clone, PartialEq, Debug)]
pub struct Penalties {
    pub authfail: f64,
    pub noauth: f64,
    pub grace_exceeded: f64,
    /// A penalty counts once it is longer than this.
    pub min: f64,
    pub max: f64,
    /// As many addresses are remembered.
    pub max_sources: usize,
    /// What happens beyond: everybody is refused, or the shortest penalty is forgotten.
    pub deny_all: bool,
    /// PerSourcePenaltyExemptList; empty: nobody.
    pub exempt: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    pub startups: MaxStartups,
    /// LoginGraceTime; `None`: no end.
    pub grace: Option<f64>,
    pub per_source: Option<u32>,
    /// PerSourceNetBlockSize.
    pub bits: (u8, u8),
    pub penalties: Option<Penalties>,
}

impl Limits {
    /// As the configuration says; `None` where MaxStartups is nothing that can be.
    pub fn of(e: &Effective) -> Option<Limits> {
        let mut bits = e.value("PerSourceNetBlockSize").split(':');
        let mut size = |most: u8| {
            let n = bits.next().and_then(|b| b.parse().ok());
            n.map_or(most, |n: u8| n.min(most))
        };
        Some(Limits {
            startups: MaxStartups::parse(e.value("MaxStartups"))?,
            grace: Some(e.number("LoginGraceTime") as f64).filter(|s| *s > 0.0),
            per_source: e.value("PerSourceMaxStartups").parse().ok(),
            bits: (size(32), size(128)),
            penalties: penalties(e),
        })
    }
}

fn penalties(e: &Effective) -> Option<Penalties> {
    let said = e.value("PerSourcePenalties");
    if said.is_empty() || said == "no" {
        return None;
    }
    let word = |key: &str| {
        let part = said.split(' ').filter_map(|w| w.split_once(':'));
        part.filter(|(k, _)| *k == key).map(|(_, v)| v).next()
    };
    let seconds = |key: &str| word(key).and_then(|v| v.parse().ok()).unwrap_or(0.0);
    let exempt = e.value("PerSourcePenaltyExemptList");
    Some(Penalties {
        authfail: seconds("authfail"),
        noauth: seconds("noauth"),
        grace_exceeded: seconds("grace-exceeded"),
        min: seconds("min"),
        max: seconds("max"),
        max_sources: seconds("max-sources4") as usize,
        deny_all: word("overflow") == Some("deny-all"),
        exempt: if exempt == "none" { "" } else { exempt }.to_owned(),
    })
}

/// How a try is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Key,
    Password,
    /// keyboard-interactive, through PAM.
    Dialogue,
}

/// One refused try on one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Try {
    pub method: Method,
    /// It stands in a log of LogLevel INFO; else only in one of VERBOSE.
    pub logged: bool,
    /// sshd ends the connection after it.
    pub last: bool,
}

/// The refused tries that one connection can make, in the order offered (auth.c auth_log(), auth2.c userauth_finish(), monitor.c).
///
/// Every refused key, password or dialogue uses up a try, the first `none` does not. A refused password is always logged, anything
/// else only once half of MaxAuthTries (rounded down) has failed before it; and there only passwords and dialogues are counted:
/// the half of sshd that writes the log never hears of a refused key as of a failure.
pub fn tries(max_auth_tries: u32, offers: &[Method]) -> Vec<Try> {
    let most = max_auth_tries.max(1);
    let (mut out, mut counted) = (Vec::new(), 0u32);
    for (failed, method) in (0u32..).zip(offers) {
        let last = failed + 1 >= most;
        out.push(Try {
            method: *method,
            logged: counted >= max_auth_tries / 2 || *method == Method::Password,
            last,
        });
        counted += u32::from(*method != Method::Key);
        if last {
            break;
        }
    }
    out
}

/// Password prompts that are worth something after `keys` refused keys: what MaxAuthTries leaves, and what PAM takes. `pam`: after
/// so many wrong ones PAM takes none any more (faillock's `deny`), whatever sshd still asks.
pub fn password_tries(max_auth_tries: u32, keys: u32, pam: Option<u32>) -> u32 {
    let left = max_auth_tries.saturating_sub(keys);
    pam.map_or(left, |p| p.min(left))
}

/// Seconds after which a peer that has gone is noticed (serverloop.c client_alive_check()): the first message goes out after one
/// interval of silence, and the session ends one interval after the last that may stay without an answer. `None`: never.
pub fn notices_after(e: &Effective) -> Option<u64> {
    let (interval, count) = (
        e.number("ClientAliveInterval"),
        e.number("ClientAliveCountMax"),
    );
    (interval > 0 && count > 0).then(|| interval.saturating_mul(count.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::super::super::{Memory, effective::effective, parse::parse};
    use super::*;

    fn limits(text: &str, release: (u16, u16)) -> Limits {
        let files = Memory::default().with("/c", text);
        Limits::of(&effective(&parse(&files, "/c", release, "/"), None)).unwrap()
    }

    #[test]
    fn limits_are_those_of_the_release() {
        let old = limits("", (9, 2));
        assert_eq!(
            (old.grace, old.per_source, old.bits),
            (Some(120.0), None, (32, 128))
        );
        assert_eq!(old.penalties, None);
        let new = limits("", (10, 0)).penalties.unwrap();
        assert_eq!(
            (new.authfail, new.min, new.max, new.max_sources),
            (5.0, 15.0, 600.0, 65_536)
        );
        assert_eq!(limits("PerSourcePenalties no\n", (10, 0)).penalties, None);
        let set = limits(
            "LoginGraceTime 0\nPerSourceMaxStartups 3\nPerSourceNetBlockSize 24:56\nPerSourcePenalties authfail:1m overflow:deny-all\n",
            (10, 0),
        );
        assert_eq!(
            (set.grace, set.per_source, set.bits),
            (None, Some(3), (24, 56))
        );
        assert!(
            set.penalties
                .is_some_and(|p| p.authfail == 60.0 && p.deny_all)
        );
    }

    #[test]
    fn keys_use_up_tries_and_show_only_behind_passwords() {
        use Method::{Dialogue, Key, Password};
        let logged = |most, offers: &[Method]| -> Vec<bool> {
            tries(most, offers).iter().map(|t| t.logged).collect()
        };
        let six = tries(6, &[Key, Key, Key, Key, Password, Dialogue, Password]);
        assert!(six.len() == 6 && six[5].last && !six[4].last);
        assert_eq!(logged(6, &[Key; 8]), [false; 6]);
        assert_eq!(logged(6, &[Password, Password, Password, Key]), [true; 4]);
        assert_eq!(
            logged(6, &[Dialogue, Dialogue, Dialogue, Dialogue]),
            [false, false, false, true]
        );
        assert_eq!(logged(3, &[Password, Key]), [true, true]);
        assert_eq!(logged(1, &[Key]), [true]);
        assert_eq!(password_tries(6, 4, None), 2);
        assert_eq!(password_tries(6, 0, Some(3)), 3);
        assert_eq!(password_tries(3, 5, Some(3)), 0);
    }

    #[test]
    fn a_peer_that_has_gone_is_noticed_one_interval_after_the_last_question() {
        let after = |text: &str| {
            let files = Memory::default().with("/c", text);
            notices_after(&effective(&parse(&files, "/c", (9, 2), "/"), None))
        };
        assert_eq!(after("ClientAliveInterval 15\n"), Some(60));
        assert_eq!(
            after("ClientAliveInterval 1m\nClientAliveCountMax 1\n"),
            Some(120)
        );
        assert_eq!(
            after("ClientAliveInterval 15\nClientAliveCountMax 0\n"),
            None
        );
        assert_eq!(after(""), None);
    }
}
