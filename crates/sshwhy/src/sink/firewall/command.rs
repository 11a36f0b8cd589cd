//! A command of the operator's own: `/usr/local/bin/edge-block add <net> <bantime>`.
//!
//! The template is split at blanks once, when it is read. A word may be `<ip>`, `<net>`, `<prefix>`, `<family>` or `<bantime>`, or
//! hold them; what stands for them is an address or a number that we wrote, and it never becomes two words. No shell is
//! involved, so there is nothing to quote. A reason is never handed over: it may hold an attacker's text.

use super::{Backend, Held, Order, Proof, Runner, Trouble};
use sshwhy_core::server::Packet;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    words: Vec<String>,
}

const PLACES: [&str; 5] = ["<ip>", "<net>", "<prefix>", "<family>", "<bantime>"];

impl Template {
    pub fn parse(text: &str) -> Result<Template, String> {
        let words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
        let Some(program) = words.first() else {
            return Err("the command is empty".to_owned());
        };
        if !program.starts_with('/') {
            return Err(format!("{program:?}: give the program with its whole path"));
        }
        if !words
            .iter()
            .any(|w| w.contains("<ip>") || w.contains("<net>"))
        {
            return Err(
                "the command names nobody: put <ip> or <net> where the address goes".to_owned(),
            );
        }
        for word in &words {
            let mut rest = word.as_str();
            while let Some(at) = rest.find('<') {
                rest = rest.get(at..).unwrap_or_default();
                let Some(place) = PLACES.iter().find(|p| rest.starts_with(**p)) else {
                    return Err(format!("{word:?}: known are {}", PLACES.join(", ")));
                };
                rest = rest.get(place.len()..).unwrap_or_default();
            }
            if word.contains(['"', '\'', '$', '`', ';', '|', '&']) {
                return Err(format!(
                    "{word:?}: no shell reads this, so quotes and the like mean nothing; put it into a script"
                ));
            }
        }
        Ok(Template { words })
    }

    fn fill(&self, order: &Order) -> Vec<String> {
        let net = order.net();
        let seconds = match order {
            Order::Ban(_, Some(secs)) => secs.to_string(),
            // fail2ban's word for a ban without an end.
            Order::Ban(_, None) => "-1".to_owned(),
            Order::Unban(_) => "0".to_owned(),
        };
        let values = [
            net.ip.to_string(),
            format!("{}/{}", net.ip, net.len),
            net.len.to_string(),
            if net.ip.is_ipv4() { "ipv4" } else { "ipv6" }.to_owned(),
            seconds,
        ];
        let one = |word: &String| {
            PLACES
                .iter()
                .zip(&values)
                .fold(word.clone(), |w, (place, value)| w.replace(place, value))
        };
        self.words.iter().map(one).collect()
    }
}

pub struct CommandTemplate {
    ban: Template,
    unban: Option<Template>,
    run: Runner,
}

impl CommandTemplate {
    pub fn new(ban: Template, unban: Option<Template>, run: Runner) -> CommandTemplate {
        CommandTemplate { ban, unban, run }
    }
}

impl Backend for CommandTemplate {
    fn name(&self) -> &'static str {
        "command"
    }

    fn ensure(&mut self, _: bool) -> Result<bool, Trouble> {
        // Nobody can ask it what it holds: everything is handed to it again.
        Ok(true)
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        Ok(true)
    }

    fn apply(&mut self, orders: &[Order], _: bool) -> Result<(), Trouble> {
        let mut failed: Option<Trouble> = None;
        let mut failures = 0;
        for order in orders {
            let template = match order {
                Order::Ban(..) => Some(&self.ban),
                Order::Unban(_) => self.unban.as_ref(),
            };
            let Some(template) = template else { continue };
            let words = template.fill(order);
            let Some((program, args)) = words.split_first() else {
                continue;
            };
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            // One that fails does not keep the others from being banned.
            if let Err(e) = self.run.run(program, &args, None) {
                failures += 1;
                failed.get_or_insert(e);
            }
        }
        match failed {
            None => Ok(()),
            Some(mut e) => {
                if failures > 1 {
                    e.said = format!("{} (and {} more failed)", e.said, failures - 1);
                }
                Err(e)
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        Err(Trouble::new(
            "the command",
            "it cannot be asked whom it keeps out",
            "look where it puts them",
        ))
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        Err(Trouble::new(
            "the command",
            "it cannot lift everything at once",
            "lift the bans one by one: sshwhy bans remove ADDR",
        ))
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let why = "bans go to a command of yours: what it does cannot be looked at".to_owned();
        Ok(vec![Proof::Unproven { why }; packets.len()])
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

    #[test]
    fn places_are_filled_and_nothing_becomes_two_words() {
        let fakes = Fakes::new(
            "template",
            &[(
                "block",
                "[ \"$2\" != 192.0.2.9/32 ] || { echo 'edge is down' >&2; exit 3; }",
            )],
        );
        let at = fakes.folder.join("block");
        let t = |rest: &str| Template::parse(&format!("{} {rest}", at.display())).unwrap();
        let mut b = CommandTemplate::new(
            t("add <net> --for=<bantime>s <family>"),
            Some(t("del <ip> <prefix>")),
            fakes.runner(),
        );
        b.apply(
            &[
                Order::Ban(net("192.0.2.7"), Some(600)),
                Order::Ban(net("2001:db8::/64"), None),
                Order::Unban(net("192.0.2.7")),
            ],
            false,
        )
        .unwrap();
        assert_eq!(
            fakes.calls(),
            [
                "block [add] [192.0.2.7/32] [--for=600s] [ipv4]",
                "block [add] [2001:db8::/64] [--for=-1s] [ipv6]",
                "block [del] [192.0.2.7] [32]"
            ]
        );
        let e = b
            .apply(
                &[
                    Order::Ban(net("192.0.2.9"), None),
                    Order::Ban(net("192.0.2.10"), None),
                ],
                false,
            )
            .unwrap_err();
        assert!(e.to_string().contains("edge is down"), "{e}");
        assert_eq!(
            fakes.calls().len(),
            2,
            "the second one was tried all the same"
        );
    }

    #[test]
    fn templates_that_would_surprise_are_refused() {
        for bad in [
            "",
            "block <ip>",
            "/bin/block",
            "/bin/sh -c 'block <ip>'",
            "/bin/block <ip>;reboot",
            "/bin/block <ip> <reason>",
            "/bin/block $(id) <ip>",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
