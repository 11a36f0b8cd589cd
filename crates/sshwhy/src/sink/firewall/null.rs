//! No firewall: remembers what it was told and keeps nobody out. For a dry run.

use super::{Backend, Held, Order, Proof, Trouble};
use sshwhy_core::addr::Cidr;
use sshwhy_core::server::Packet;

#[derive(Default)]
pub struct Null {
    held: Vec<Held>,
}

impl Backend for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn ensure(&mut self, _: bool) -> Result<bool, Trouble> {
        Ok(self.held.is_empty())
    }

    fn stands(&mut self) -> Result<bool, Trouble> {
        Ok(true)
    }

    fn apply(&mut self, orders: &[Order], _: bool) -> Result<(), Trouble> {
        let gone: std::collections::HashSet<(std::net::IpAddr, u8)> =
            orders.iter().map(|o| (o.net().ip, o.net().len)).collect();
        self.held.retain(|h| !gone.contains(&(h.net.ip, h.net.len)));
        for order in orders {
            if let Order::Ban(net, left) = order {
                self.held.push(Held {
                    net: *net,
                    left: *left,
                });
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<Held>, Trouble> {
        Ok(self.held.clone())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.held.clear();
        Ok(())
    }

    fn prove(&mut self, packets: &[Packet]) -> Result<Vec<Proof>, Trouble> {
        let ineffective = |p: &Packet| Proof::Ineffective {
            why: format!("this is a dry run: nothing keeps {} out", Cidr::one(p.from)),
            place: String::new(),
            rule: String::new(),
        };
        Ok(packets.iter().map(ineffective).collect())
    }
}
