//! firewalld: two ipsets of its own and two policies that drop what is in them, before any zone is asked.
//!
//! A policy with a negative priority comes before the zones (firewalld 0.9, firewalld.policies(5)); one goes to this machine, one
//! through it, which covers containers. firewalld's sets take no timeouts, so whoever uses this lifts bans when they are over.

use super::{Backend, Held, Order, Proof, Runner, Trouble};
use sshwhy_core::addr::Cidr;
use sshwhy_core::server::{Fate, Packet, nft};

const SETS: [(&str, &str); 2] = [("sshwhy-ban4", "inet"), ("sshwhy-ban6", "inet6")];
const POLICIES: [(&str, &str); 2] = [("sshwhy-in", "HOST"), ("sshwhy-through", "ANY")];
/// Entries handed over in one call: a command line holds 128 KiB of them at least.
const MOST: usize = 1000;

pub struct Firewalld {
    run: Runner,
}

impl Firewalld {
    pub fn new(run: Runner) -> Firewalld {
        Firewalld { run }
    }

    fn ask(&self, args: &[&str]) -> Result<String, Trouble> {
        self.run.run("firewall-cmd", args, None).map(|s| s.text())
    }

    fn has(&self, what: &[&str], name: &str) -> Result<bool, Trouble> {
        Ok(self.ask(what)?.split_ascii_whitespace().any(|w| w == name))
    }
}

impl Backend for Firewalld {
    fn name(&self) -> &'static str {
        "firewalld"
    }

    fn ensure(&mut self, rebuild: bool) -> Result<bool, Trouble> {
        let mut changed = false;
        for (set, family) in SETS {
            if !self.has(&["--permanent", "--get-ipsets"], set)? {
                let (name, family) = (format!("--new-ipset={set}"), format!("--family={family}"));
                self.ask(&[
                    "--permanent",
                    &name,
                    "--type=hash:net",
                    &family,
                    "--option=maxelem=2000000",
                ])?;
                changed = true;
            }
        }
        for (policy, to) in POLICIES {
            let there = self.has(&["--permanent", "--get-policies"], policy)?;
            if there && !rebuild {
                continue;
            }
            let at = format!("--policy={policy}");
            if there {
                self.ask(&["--permanent", &format!("--delete-policy={policy}")])?;
            }
            self.ask(&["--permanent", &format!("--new-policy={policy}")])?;
            self.ask(&["--permanent", &at, "--set-priority=-32000"])?;
            self.ask(&["--permanent", &at, "--add-ingress-zone=ANY"])?;
            self.ask(&["--permanent", &at, &format!("--add-egress-zone={to}")])?;
            for (set, _) in SETS {
                let rule = format!("--add-rich-rule=rule source ipset=\"{set}\" drop");
                self.ask(&["--permanent", &at, &rule])?;
            }
            changed = true;
        }
        // What is permanent counts from the next reload on; that empties sets whose entries are not permanent.
        if changed || !self.stands()? {
            self.ask(&["--reload"])?;
            changed = true;
        }
        Ok(changed)
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        let sets = self.ask(&["--get-ipsets"])?;
        let policies = self.ask(&["--get-policies"])?;
        let has = |text: &str, name: &str| text.split_ascii_whitespace().any(|w| w == name);
        Ok(SETS.iter().all(|(s, _)| has(&sets, s))
            && POLICIES.iter().all(|(p, _)| has(&policies, p)))
    }

    fn apply(&mut self, orders: &[Order], _: bool) -> Result<(), Trouble> {
        for (set, family) in SETS {
            let of_family = |o: &&Order| o.net().ip.is_ipv4() == (family == "inet");
            for (verb, wanted) in [("--remove-entry", false), ("--add-entry", true)] {
                let entries: Vec<String> = orders
                    .iter()
                    .filter(of_family)
                    .filter(|o| matches!(o, Order::Ban(..)) == wanted)
                    .map(|o| format!("{verb}={}", o.net()))
                    .collect();
                for some in entries.chunks(MOST) {
                    let set = format!("--ipset={set}");
                    let mut args = vec![set.as_str()];
                    args.extend(some.iter().map(String::as_str));
                    let said = self.run.ask("firewall-cmd", &args, None)?;
                    // An entry that is there already, or gone already, is what was wanted.
                    let harmless =
                        said.err.contains("ALREADY_ENABLED") || said.err.contains("NOT_ENABLED");
                    if !said.ok && !harmless {
                        self.run.run("firewall-cmd", &args, None)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        let mut out = Vec::new();
        for (set, _) in SETS {
            let text = self.ask(&[&format!("--ipset={set}"), "--get-entries"])?;
            let nets = text.split_ascii_whitespace().filter_map(Cidr::parse);
            out.extend(nets.map(|net| Held { net, left: None }));
        }
        Ok(out)
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        for (policy, _) in POLICIES {
            if self.has(&["--permanent", "--get-policies"], policy)? {
                self.ask(&["--permanent", &format!("--delete-policy={policy}")])?;
            }
        }
        for (set, _) in SETS {
            if self.has(&["--permanent", "--get-ipsets"], set)? {
                self.ask(&["--permanent", &format!("--delete-ipset={set}")])?;
            }
        }
        self.ask(&["--reload"]).map(drop)
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let unknown = |why: String| vec![Proof::Unproven { why }; packets.len()];
        let said = match self.run.run("nft", &["-j", "list", "ruleset"], None) {
            Ok(said) => said,
            Err(e) => return Ok(unknown(e.to_string())),
        };
        let Ok(json) = serde_json::from_slice(&said.out) else {
            return Ok(unknown("nft's JSON was not understood".to_owned()));
        };
        let rules = nft::Ruleset::new(&json);
        let one = |p: &Packet| {
            let r = rules.evaluate(p);
            match r.fate {
                Fate::Drops | Fate::Rejects => Proof::Effective {
                    place: r.place,
                    rule: r.rule,
                },
                Fate::Passes if r.uncertain && r.rule.is_empty() => Proof::Unproven {
                    why: "a rule before ours is not understood".to_owned(),
                },
                Fate::Passes => Proof::Ineffective {
                    why: match r.rule.is_empty() {
                        true => format!("no rule drops {}", p.from),
                        false => format!("\"{}\" in {} accepts before it", r.rule, r.place),
                    },
                    place: r.place,
                    rule: r.rule,
                },
            }
        };
        Ok(packets.iter().map(one).collect())
    }

    fn expires(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::{Fakes, net};
    use super::*;

    /// Answers `--get-…` from what was made, as firewalld does.
    const FAKE: &str = r#"
d=${0%/*}
case "$*" in
  *--get-ipsets*) cat "$d/sets" 2>/dev/null; :;;
  *--get-policies*) cat "$d/policies" 2>/dev/null; :;;
  *--new-ipset=*) for a; do case $a in --new-ipset=*) echo "${a#*=}" >> "$d/sets";; esac; done;;
  *--new-policy=*) for a; do case $a in --new-policy=*) echo "${a#*=}" >> "$d/policies";; esac; done;;
  *--get-entries*) case $1 in *4) echo 192.0.2.7; echo 198.51.100.0/24;; esac;;
  *203.0.113.9*) echo 'Error: COMMAND_FAILED: python exploded' >&2; exit 1;;
  *203.0.113.8*) echo "Warning: ALREADY_ENABLED: '203.0.113.8' already is in 'sshwhy-ban4'" >&2; exit 11;;
esac
"#;

    #[test]
    fn it_is_set_up_once_and_entries_go_in_one_call() {
        let fakes = Fakes::new("firewalld", &[("firewall-cmd", FAKE)]);
        let mut b = Firewalld::new(fakes.runner());
        assert!(b.ensure(false).unwrap());
        let calls = fakes.calls().join("\n");
        for part in [
            "[--permanent] [--new-ipset=sshwhy-ban6] [--type=hash:net] [--family=inet6]",
            "[--permanent] [--policy=sshwhy-in] [--set-priority=-32000]",
            "[--permanent] [--policy=sshwhy-through] [--add-egress-zone=ANY]",
            "[--add-rich-rule=rule source ipset=\"sshwhy-ban4\" drop]",
            "firewall-cmd [--reload]",
        ] {
            assert!(calls.contains(part), "{part}: {calls}");
        }
        assert!(!b.ensure(false).unwrap(), "nothing was missing");
        assert!(!fakes.calls().join("\n").contains("--reload"));
        b.apply(
            &[
                Order::Ban(net("192.0.2.7"), Some(60)),
                Order::Ban(net("192.0.2.8"), None),
                Order::Ban(net("2001:db8::/64"), None),
                Order::Unban(net("192.0.2.9")),
                Order::Ban(net("203.0.113.8"), None),
            ],
            false,
        )
        .unwrap();
        assert_eq!(
            fakes.calls(),
            [
                "firewall-cmd [--ipset=sshwhy-ban4] [--remove-entry=192.0.2.9]",
                "firewall-cmd [--ipset=sshwhy-ban4] [--add-entry=192.0.2.7] [--add-entry=192.0.2.8] [--add-entry=203.0.113.8]",
                "firewall-cmd [--ipset=sshwhy-ban6] [--add-entry=2001:db8::/64]",
            ]
        );
        let held: Vec<String> = b
            .list()
            .unwrap()
            .iter()
            .map(|h| h.net.to_string())
            .collect();
        assert_eq!(
            held,
            [
                net("192.0.2.7").to_string(),
                net("198.51.100.0/24").to_string()
            ]
        );
        assert!(!b.expires());
    }

    #[test]
    fn what_fails_is_told() {
        let fakes = Fakes::new("firewalld-fails", &[("firewall-cmd", FAKE)]);
        let mut b = Firewalld::new(fakes.runner());
        let e = b
            .apply(&[Order::Ban(net("203.0.113.9"), None)], false)
            .unwrap_err();
        assert!(e.to_string().contains("python exploded"), "{e}");
        let none = Fakes::new("firewalld-none", &[]);
        let e = Firewalld::new(none.runner()).ensure(false).unwrap_err();
        assert!(e.to_string().contains("no program firewall-cmd"), "{e}");
    }
}
