//! ufw: rules in front of all others, for this machine and for what it routes (containers).
//!
//! ufw has neither sets nor timeouts: one call a ban, and whoever uses this lifts bans when they are over. Beside ufw the
//! backend nftables is faster, and holds just as well; this one is for people who want to see bans in `ufw status`.

use super::{Backend, Held, Order, Proof, Runner, Trouble};
use sshwhy_core::addr::Cidr;
use sshwhy_core::server::{Fate, Packet, iptables};

const MARK: &str = "sshwhy";

pub struct Ufw {
    run: Runner,
}

impl Ufw {
    pub fn new(run: Runner) -> Ufw {
        Ufw { run }
    }

    fn status(&self) -> Result<String, Trouble> {
        let text = self.run.run("ufw", &["status"], None)?.text();
        if text.contains("Status: inactive") {
            return Err(Trouble::new(
                "ufw status",
                "ufw is installed and not active: its rules keep nobody out",
                "ufw enable (allow ssh first), or choose --firewall nftables",
            ));
        }
        Ok(text)
    }

    fn held(text: &str) -> Vec<Held> {
        // `Anywhere                   DENY        192.0.2.7                  # sshwhy`, `DENY FWD` for routed ones.
        let one = |line: &str| {
            let (rule, comment) = line.split_once('#')?;
            if comment.trim() != MARK || !rule.contains("DENY") || rule.contains("DENY FWD") {
                return None;
            }
            let words = rule.split_ascii_whitespace();
            let net = words.filter_map(Cidr::parse).next_back()?;
            Some(Held { net, left: None })
        };
        text.lines().filter_map(one).collect()
    }
}

impl Backend for Ufw {
    fn name(&self) -> &'static str {
        "ufw"
    }

    fn ensure(&mut self, _: bool) -> Result<bool, Trouble> {
        self.status().map(|_| false)
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        self.status().map(|_| true)
    }

    fn apply(&mut self, orders: &[Order], _: bool) -> Result<(), Trouble> {
        let mut failed = None;
        for order in orders {
            let net = order.net().to_string();
            let calls: [Vec<&str>; 2] = match order {
                Order::Ban(..) => [
                    vec!["prepend", "deny", "from", &net, "comment", MARK],
                    vec!["route", "prepend", "deny", "from", &net, "comment", MARK],
                ],
                Order::Unban(_) => [
                    vec!["--force", "delete", "deny", "from", &net],
                    vec!["--force", "route", "delete", "deny", "from", &net],
                ],
            };
            for args in calls {
                let said = self.run.ask("ufw", &args, None)?;
                let harmless = matches!(order, Order::Unban(_))
                    && (said.err.contains("non-existent") || said.text().contains("non-existent"));
                if !said.ok && !harmless {
                    let text = if said.err.is_empty() {
                        said.text()
                    } else {
                        said.err
                    };
                    failed.get_or_insert_with(|| {
                        Trouble::new(
                            &format!("ufw {}", args.join(" ")),
                            text.trim(),
                            "see ufw status",
                        )
                    });
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        Ok(Ufw::held(&self.status()?))
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let orders: Vec<Order> = self.list()?.iter().map(|h| Order::Unban(h.net)).collect();
        self.apply(&orders, false)
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let mut out = Vec::with_capacity(packets.len());
        for packet in packets {
            let save = if packet.from.is_ipv6() {
                "ip6tables-save"
            } else {
                "iptables-save"
            };
            out.push(match self.run.run(save, &[], None) {
                Err(e) => Proof::Unproven { why: e.to_string() },
                Ok(said) => {
                    match iptables::evaluate(&said.text(), packet, &iptables::Sets::new()) {
                        Some(r) if r.fate != Fate::Passes => Proof::Effective {
                            place: r.place,
                            rule: r.rule,
                        },
                        Some(r) if !r.rule.is_empty() => Proof::Ineffective {
                            why: format!("\"{}\" in {} accepts before it", r.rule, r.place),
                            place: r.place,
                            rule: r.rule,
                        },
                        Some(r) if r.uncertain => Proof::Unproven {
                            why: format!("{save} shows a rule that is not understood"),
                        },
                        _ => Proof::Ineffective {
                            why: format!("{save} shows no rule that drops {}", packet.from),
                            place: String::new(),
                            rule: String::new(),
                        },
                    }
                }
            });
        }
        Ok(out)
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

    const FAKE: &str = r#"
case "$*" in
  status) printf 'Status: active\n\nTo                         Action      From\n--                         ------      ----\n22/tcp                     ALLOW       Anywhere\nAnywhere                   DENY        192.0.2.7                  # sshwhy\nAnywhere                   DENY FWD    192.0.2.7                  # sshwhy\nAnywhere                   DENY        198.51.100.9               # by hand\nAnywhere (v6)              DENY        2001:db8::/64              # sshwhy\n';;
  *delete*) echo 'Could not delete non-existent rule';;
  *203.0.113.9*) echo 'ERROR: Could not acquire lock' >&2; exit 1;;
esac
"#;

    #[test]
    fn rules_go_in_front_and_only_ours_are_listed() {
        let fakes = Fakes::new("ufw", &[("ufw", FAKE)]);
        let mut b = Ufw::new(fakes.runner());
        b.ensure(false).unwrap();
        fakes.calls();
        b.apply(
            &[
                Order::Ban(net("192.0.2.7"), Some(60)),
                Order::Unban(net("2001:db8::/64")),
            ],
            false,
        )
        .unwrap();
        assert_eq!(
            fakes.calls(),
            [
                "ufw [prepend] [deny] [from] [192.0.2.7] [comment] [sshwhy]",
                "ufw [route] [prepend] [deny] [from] [192.0.2.7] [comment] [sshwhy]",
                "ufw [--force] [delete] [deny] [from] [2001:db8::/64]",
                "ufw [--force] [route] [delete] [deny] [from] [2001:db8::/64]",
            ]
        );
        let held: Vec<Cidr> = b.list().unwrap().iter().map(|h| h.net).collect();
        assert_eq!(held, [net("192.0.2.7"), net("2001:db8::/64")]);
        let e = b
            .apply(&[Order::Ban(net("203.0.113.9"), None)], false)
            .unwrap_err();
        assert!(e.to_string().contains("lock"), "{e}");
    }

    #[test]
    fn an_inactive_ufw_is_no_firewall() {
        let fakes = Fakes::new("ufw-off", &[("ufw", "echo 'Status: inactive'")]);
        let e = Ufw::new(fakes.runner()).ensure(false).unwrap_err();
        assert!(e.to_string().contains("not active"), "{e}");
    }
}
