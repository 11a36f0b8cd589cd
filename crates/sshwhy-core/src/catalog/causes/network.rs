//! Causes at the gates before SSH itself: name, route and TCP, with all that keeps sshd from listening.

use super::{Blame, Cause, Confirm, Gate, Remedy};
use crate::finding::Severity;

pub(super) const ROWS: &[Cause] = &[
    Cause {
        id: "SW0001",
        slug: "dns-failure",
        title: "The host name does not exist",
        blames: Blame::Client,
        gate: Gate::Name,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The resolver answered, and its answer is that there is no such name. Usual reasons are a \
            typing mistake, a short name without its search domain, a Host alias that lives in another \
            machine's ssh_config, or a record that was deleted. When no name server answers at all the \
            text differs (\"Temporary failure in name resolution\"): that is dns-server-unreachable. When \
            the name resolves but to the wrong machine it is dns-stale-address.",
        confirm: &[
            Confirm {
                command: "getent ahosts HOST",
                place: "client",
                shows: "nothing, exit status 2: the name is unknown to everything in nsswitch.conf",
            },
            Confirm {
                command: "ssh -G HOST | grep -i '^hostname '",
                place: "client",
                shows: "the name ssh really looks up, after ssh_config aliases and canonicalisation",
            },
            Confirm {
                command: "resolvectl query HOST",
                place: "client",
                shows: "which name server said no, where systemd-resolved is in use (elsewhere: dig HOST)",
            },
        ],
        remedy: &[
            Remedy {
                action: "Correct the name, or use the full one with its domain",
                command: Some("ssh USER@HOST.DOMAIN"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If only an alias is missing, add it to ~/.ssh/config: \"Host ALIAS\" and below it \"HostName \
                    HOST.DOMAIN\"",
                command: None,
                place: "client",
                risk: "none",
                undo: Some("delete the two lines"),
            },
            Remedy {
                action: "If the record should exist, restore it in the zone and wait for the negative-cache time to \
                    pass",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "dns-server-unreachable",
            "dns-stale-address",
            "client-destination-invalid",
        ],
        refs: &[
            "getaddrinfo(3) EAI_NONAME",
            "ssh_config(5) HostName",
            "ssh_config(5) CanonicalizeHostname",
        ],
    },
    Cause {
        id: "SW0002",
        slug: "dns-server-unreachable",
        title: "No name server answers",
        blames: Blame::Network,
        gate: Gate::Name,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The resolver asked and got no usable answer: the servers in resolv.conf do not reply, reply \
            with SERVFAIL, or are behind a link or VPN that is down. Every name fails, not only this \
            one; that tells it from dns-failure, where a server says that this one name does not exist. \
            Connecting by address still works, which proves the path and leaves only the resolver.",
        confirm: &[
            Confirm {
                command: "cat /etc/resolv.conf",
                place: "client",
                shows: "the name servers in use; 127.0.0.53 means systemd-resolved, look further with resolvectl \
                    status",
            },
            Confirm {
                command: "getent ahosts example.org",
                place: "client",
                shows: "if another name fails too, the resolver is at fault, not the one record",
            },
            Confirm {
                command: "ssh USER@ADDR",
                place: "client",
                shows: "the address works: only name resolution is broken",
            },
        ],
        remedy: &[
            Remedy {
                action: "Connect by address for now; add -o HostKeyAlias=HOST so that the known host key is still \
                    checked under its name",
                command: Some("ssh -o HostKeyAlias=HOST USER@ADDR"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Bring the link or VPN up that leads to the name servers, or restart the local resolver",
                command: Some("systemctl restart systemd-resolved"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Repair the name server or the firewall in front of it (UDP and TCP port 53)",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["dns-failure", "no-route"],
        refs: &[
            "getaddrinfo(3) EAI_AGAIN",
            "resolv.conf(5)",
            "ssh_config(5) HostKeyAlias",
        ],
    },
    Cause {
        id: "SW0003",
        slug: "dns-stale-address",
        title: "The name leads to another address than the host has",
        blames: Blame::Network,
        gate: Gate::Name,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The name resolves, but the machine moved: DNS, a cache, or a line in /etc/hosts still gives \
            the old address. What happens then depends on who has that address now: nobody (host \
            unreachable or a timeout), another machine without sshd (refused), or another machine with \
            sshd (a host key warning). It differs from host-unreachable in that the host answers well \
            under its real address.",
        confirm: &[
            Confirm {
                command: "getent ahosts HOST",
                place: "client",
                shows: "the addresses used; compare with what the host itself says (ip -br address)",
            },
            Confirm {
                command: "grep -w HOST /etc/hosts",
                place: "client",
                shows: "a line here overrides DNS on this client alone",
            },
            Confirm {
                command: "dig +short HOST @NAMESERVER",
                place: "client",
                shows: "what the authoritative server says; a difference means a stale cache",
            },
        ],
        remedy: &[
            Remedy {
                action: "Check with the right address first; HostKeyAlias keeps the host key check under the known \
                    name",
                command: Some("ssh -o HostKeyAlias=HOST USER@KNOWN_ADDR"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Delete or correct the line in /etc/hosts (Windows: \
                    C:\\Windows\\System32\\drivers\\etc\\hosts)",
                command: None,
                place: "client",
                risk: "other programs on this client use the line too",
                undo: Some("put the line back"),
            },
            Remedy {
                action: "Correct the A or AAAA record; lower its TTL before the next move",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Drop the local cache",
                command: Some("resolvectl flush-caches"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "hosts-file-override",
            "dns-dead-address",
            "host-unreachable",
            "host-key-changed",
        ],
        refs: &["hosts(5)", "nsswitch.conf(5)", "ssh_config(5) HostKeyAlias"],
    },
    Cause {
        id: "SW0004",
        slug: "hosts-file-override",
        title: "A line in /etc/hosts overrides DNS with another address",
        blames: Blame::Client,
        gate: Gate::Name,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "/etc/hosts is read before DNS under the usual nsswitch.conf, so a line that was right once, \
            or that an installer wrote, wins for this client alone. Other clients reach the host without \
            trouble. That is what tells it from dns-stale-address, where everybody who asks the same \
            name server is led astray.",
        confirm: &[
            Confirm {
                command: "grep -nw HOST /etc/hosts",
                place: "client",
                shows: "the line that decides",
            },
            Confirm {
                command: "getent ahosts HOST; dig +short HOST",
                place: "client",
                shows: "getent follows /etc/hosts, dig asks DNS only: they differ",
            },
        ],
        remedy: &[
            Remedy {
                action: "Check with the right address first; HostKeyAlias keeps the host key check under the known \
                    name",
                command: Some("ssh -o HostKeyAlias=HOST USER@RIGHT_ADDR"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Correct or delete the line in /etc/hosts",
                command: None,
                place: "client",
                risk: "other programs on this client use the line too",
                undo: Some("put the line back"),
            },
            Remedy {
                action: "Where a tool writes the file (cloud-init, a VPN client, a container engine), correct its \
                    template, or the line comes back",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["dns-stale-address"],
        refs: &["hosts(5)", "nsswitch.conf(5)"],
    },
    Cause {
        id: "SW0005",
        slug: "dns-dead-address",
        title: "One of several addresses of the name is dead, and it is tried first",
        blames: Blame::Network,
        gate: Gate::Name,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The name has several addresses. ssh tries them in the resolver's order, one after the other, \
            and waits the whole TCP timeout on a dead one (about two minutes on Linux, or \
            ConnectTimeout) before it goes on. So logins are slow or fail by time limit although the \
            host is up. If the dead address is the IPv6 one, see ipv6-unreachable.",
        confirm: &[
            Confirm {
                command: "getent ahosts HOST",
                place: "client",
                shows: "more than one address",
            },
            Confirm {
                command: "ssh -v -o ConnectTimeout=5 USER@HOST true 2>&1 | grep -E 'Connecting to|Connection established|connect to address'",
                place: "client",
                shows: "the first address times out and a later one answers",
            },
        ],
        remedy: &[
            Remedy {
                action: "Go to the live address for now, keeping the host key check under the name",
                command: Some("ssh -o HostKeyAlias=HOST USER@ADDR"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Bound the wait for each address: put \"ConnectTimeout 5\" under the Host in ~/.ssh/config",
                command: None,
                place: "client",
                risk: "none",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "Remove the dead address from DNS, or bring its host back",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["ipv6-unreachable", "dns-stale-address", "connect-timeout"],
        refs: &[
            "sshconnect.c ssh_connect_direct()",
            "ssh_config(5) ConnectTimeout",
        ],
    },
    Cause {
        id: "SW0006",
        slug: "ipv6-unreachable",
        title: "The name has an IPv6 address, and IPv6 does not get through",
        blames: Blame::Network,
        gate: Gate::Route,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The name resolves to both families and IPv6 is preferred, but somewhere on the way IPv6 is \
            dropped: no IPv6 route, a firewall that was only written for IPv4, or an sshd that listens \
            on IPv4 only. The sign is a long pause and then a login over IPv4, or a failure that -4 \
            cures. It differs from dns-dead-address in that every IPv6 destination beyond the same point \
            fails too.",
        confirm: &[
            Confirm {
                command: "ssh -4 USER@HOST",
                place: "client",
                shows: "works at once",
            },
            Confirm {
                command: "ssh -6 -o ConnectTimeout=5 USER@HOST",
                place: "client",
                shows: "times out, or is refused",
            },
            Confirm {
                command: "ip -6 route get ADDR",
                place: "client",
                shows: "whether this client has an IPv6 route at all",
            },
            Confirm {
                command: "ss -Hltn | grep ':22'",
                place: "server",
                shows: "whether sshd listens on [::]:22 too",
            },
        ],
        remedy: &[
            Remedy {
                action: "Use IPv4 to this host: put \"AddressFamily inet\" under the Host in ~/.ssh/config",
                command: Some("ssh -4 USER@HOST"),
                place: "client",
                risk: "none",
                undo: Some("delete the line"),
            },
            Remedy {
                action: "Open TCP port 22 in the IPv6 rules as in the IPv4 ones; ICMPv6 \"packet too big\" must pass as \
                    well",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If IPv6 is not meant to work there, remove the AAAA record",
                command: None,
                place: "network",
                risk: "none",
                undo: Some("put the record back"),
            },
        ],
        look_alikes: &["dns-dead-address", "no-route", "listen-address"],
        refs: &["ssh_config(5) AddressFamily", "RFC 6724", "RFC 8305"],
    },
    Cause {
        id: "SW0007",
        slug: "no-route",
        title: "The client has no usable route to the host",
        blames: Blame::Client,
        gate: Gate::Route,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The kernel of the client refused to send: there is no default route, or a blackhole, \
            prohibit or unreachable route covers the address. The error comes at once, without a packet \
            on the wire: \"Network is unreachable\" (no route), \"No route to host\" (an unreachable route), \
            \"Invalid argument\" (blackhole), \"Permission denied\" on connect (prohibit). A VPN that is \
            down is the common reason. \"No route to host\" that takes about three seconds is something \
            else: host-unreachable.",
        confirm: &[
            Confirm {
                command: "ip route get ADDR",
                place: "client",
                shows: "an error, or a route of type blackhole, prohibit or unreachable",
            },
            Confirm {
                command: "ip -br link",
                place: "client",
                shows: "whether the interface or the VPN is up",
            },
            Confirm {
                command: "ip rule",
                place: "client",
                shows: "policy rules that send this traffic to another table",
            },
        ],
        remedy: &[
            Remedy {
                action: "Bring the interface or the VPN up",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Add the missing route (gone after a reboot, so it is safe to try)",
                command: Some("ip route add ADDR/32 via GATEWAY"),
                place: "client",
                risk: "traffic to this one address goes that way",
                undo: Some("ip route del ADDR/32 via GATEWAY"),
            },
            Remedy {
                action: "Remove a blackhole route that should not be there; find out first what set it (a ban tool, a \
                    VPN kill switch, a routing daemon)",
                command: Some("ip route del blackhole PREFIX"),
                place: "client",
                risk: "traffic that was cut off on purpose flows again",
                undo: Some("ip route add blackhole PREFIX"),
            },
        ],
        look_alikes: &[
            "host-unreachable",
            "firewall-client-outbound",
            "no-return-route",
        ],
        refs: &["connect(2) ENETUNREACH", "ip-route(8)"],
    },
    Cause {
        id: "SW0008",
        slug: "no-return-route",
        title: "The server has no route back to the client",
        blames: Blame::Server,
        gate: Gate::Route,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The client's packets arrive, but the server's answers leave by the wrong interface or not at \
            all: no default route, two interfaces with one default route, a VPN that took over the \
            default, or reverse-path filtering that discards what came in \"wrong\". The client sees a \
            timeout, as with a packet filter. What tells it from firewall-server-drop: a packet capture \
            on the server shows the SYN arriving, and either no SYN-ACK or one that leaves on another \
            interface.",
        confirm: &[
            Confirm {
                command: "ip route get CLIENT_ADDR",
                place: "server",
                shows: "an error, or another interface than the one the client's packets come in on",
            },
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host CLIENT_ADDR'",
                place: "server",
                shows: "SYN in; SYN-ACK missing, or out on the wrong interface",
            },
            Confirm {
                command: "sysctl net.ipv4.conf.all.rp_filter",
                place: "server",
                shows: "1 is strict: an asymmetric path is dropped without a word (nstat -az \
                    TcpExtIPReversePathFilter counts them)",
            },
        ],
        remedy: &[
            Remedy {
                action: "Add a route back to the client's network (console needed; gone after a reboot)",
                command: Some("ip route add CLIENT_NET via GATEWAY dev IFACE"),
                place: "server",
                risk: "traffic to that network goes that way",
                undo: Some("ip route del CLIENT_NET via GATEWAY dev IFACE"),
            },
            Remedy {
                action: "With two uplinks: a routing rule, so that answers leave where the question came in",
                command: Some("ip rule add from SERVER_ADDR table 100"),
                place: "server",
                risk: "table 100 must hold a default route first",
                undo: Some("ip rule del from SERVER_ADDR table 100"),
            },
            Remedy {
                action: "Loose reverse-path filtering on that interface, where the path is asymmetric by design",
                command: Some("sysctl -w net.ipv4.conf.IFACE.rp_filter=2"),
                place: "server",
                risk: "forged source addresses are checked less strictly",
                undo: Some("sysctl -w net.ipv4.conf.IFACE.rp_filter=1"),
            },
        ],
        look_alikes: &[
            "firewall-server-drop",
            "firewall-path-drop",
            "connect-timeout",
        ],
        refs: &["ip-rule(8)", "RFC 3704"],
    },
    Cause {
        id: "SW0009",
        slug: "host-unreachable",
        title: "The host, or its network, is down",
        blames: Blame::Network,
        gate: Gate::Route,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "A router (or the client's own kernel, after neighbour discovery failed) says that nobody \
            answers at that address: the machine is off, its interface is down, or the address is wrong. \
            On the same network segment the error comes after about three seconds of ARP. A firewall \
            that rejects with icmp-host-prohibited, as firewalld and old iptables rule sets do, produces \
            the very same \"No route to host\", so a live host can look dead: ping it and try another port \
            before you believe it.",
        confirm: &[
            Confirm {
                command: "ip neigh show ADDR",
                place: "client",
                shows: "FAILED or INCOMPLETE: nobody answers ARP on this segment",
            },
            Confirm {
                command: "ping -c 3 ADDR",
                place: "client",
                shows: "an answer means the host is alive, and a firewall rejects port 22: firewall-server-reject",
            },
            Confirm {
                command: "tracepath -n ADDR",
                place: "network",
                shows: "which router says \"unreachable\" (!H)",
            },
        ],
        remedy: &[
            Remedy {
                action: "Look at the machine from outside: hypervisor, cloud console, IPMI, switch port",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "On the same segment: forget what the neighbour table holds and try again",
                command: Some("ip neigh flush to ADDR"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If the address is wrong, correct it (see dns-stale-address)",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["firewall-server-reject", "dns-stale-address", "no-route"],
        refs: &["connect(2) EHOSTUNREACH", "RFC 792", "RFC 4443"],
    },
    Cause {
        id: "SW0010",
        slug: "nat-hairpin",
        title: "The public address does not work from inside its own network",
        blames: Blame::Network,
        gate: Gate::Route,
        severity: Severity::Low,
        is_symptom: false,
        explanation: "The name leads to the public address of the very network the client sits in, and the router \
            does not send such packets back in (no hairpin NAT). From outside the same name works. So \
            the server, its sshd and its firewall are all well.",
        confirm: &[
            Confirm {
                command: "ssh USER@INTERNAL_ADDR",
                place: "client",
                shows: "works from inside",
            },
            Confirm {
                command: "ssh USER@HOST (from a phone's hotspot or any outside network)",
                place: "network",
                shows: "works from outside",
            },
        ],
        remedy: &[
            Remedy {
                action: "Use the internal address inside; HostKeyAlias keeps the host key check under the one name",
                command: Some("ssh -o HostKeyAlias=HOST USER@INTERNAL_ADDR"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Split DNS: answer the internal address to internal clients",
                command: None,
                place: "network",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Or enable NAT loopback (hairpin) on the router",
                command: None,
                place: "network",
                risk: "connections from inside then show the router's address in the server's log",
                undo: Some("disable it"),
            },
        ],
        look_alikes: &["firewall-path-drop", "connect-timeout"],
        refs: &["RFC 4787 section 6"],
    },
    Cause {
        id: "SW0100",
        slug: "firewall-client-outbound",
        title: "A firewall on the client blocks the outgoing connection",
        blames: Blame::Client,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The client's own packet filter, endpoint protection or VPN kill switch drops or rejects \
            connections to port 22. It looks like a firewall on the way. What tells it apart: a capture \
            on the client's own interface shows no SYN leaving, and other hosts on port 22 fail from \
            here as well while other machines beside this one get through. A local reject shows at once, \
            often as \"Operation not permitted\" or \"Connection refused\".",
        confirm: &[
            Confirm {
                command: "nft list ruleset | grep -nE 'hook output|dport|drop|reject'",
                place: "client",
                shows: "an output chain that catches TCP port 22 (older systems: iptables -S OUTPUT)",
            },
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host ADDR'",
                place: "client",
                shows: "no SYN leaves while ssh tries",
            },
        ],
        remedy: &[
            Remedy {
                action: "With nftables: let this one destination out, before the rule that blocks",
                command: Some(
                    "nft insert rule inet filter output ip daddr ADDR tcp dport 22 accept",
                ),
                place: "client",
                risk: "table and chain names may differ; gone after a reboot",
                undo: Some(
                    "nft -a list chain inet filter output, then nft delete rule inet filter output handle N",
                ),
            },
            Remedy {
                action: "With ufw",
                command: Some("ufw allow out to ADDR port 22 proto tcp"),
                place: "client",
                risk: "none",
                undo: Some("ufw delete allow out to ADDR port 22 proto tcp"),
            },
            Remedy {
                action: "With a managed endpoint: ask whoever sets its policy; do not work around it",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["firewall-path-drop", "firewall-server-drop", "no-route"],
        refs: &["nft(8)", "ufw(8)"],
    },
    Cause {
        id: "SW0101",
        slug: "firewall-path-drop",
        title: "A firewall between client and server drops the connection",
        blames: Blame::Network,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The SYN leaves the client and never reaches the server. Cloud security groups, network ACLs, \
            a company's egress filter or a provider's block of port 22 do this without an answer, so the \
            client waits until its timeout. If a capture on the server shows the SYN arriving, it is \
            firewall-server-drop or no-return-route instead.",
        confirm: &[
            Confirm {
                command: "tcpdump -ni any 'tcp port 22 and host CLIENT_ADDR'",
                place: "server",
                shows: "nothing arrives while the client tries",
            },
            Confirm {
                command: "tracepath -n ADDR",
                place: "client",
                shows: "the last hop that answers: the filter stands behind it",
            },
            Confirm {
                command: "ssh -o ConnectTimeout=5 -p 443 USER@HOST",
                place: "client",
                shows: "another port gets an answer (even a refusal): the filter looks at the port, not at the host",
            },
        ],
        remedy: &[
            Remedy {
                action: "Allow TCP port 22 from the client's address on every layer: security group, network ACL, \
                    edge firewall",
                command: None,
                place: "network",
                risk: "open to the addresses that need it, not to the whole Internet",
                undo: Some("remove the rule"),
            },
            Remedy {
                action: "Meanwhile go through a host that may reach it",
                command: Some("ssh -J USER@BASTION USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "firewall-server-drop",
            "firewall-client-outbound",
            "no-return-route",
            "host-unreachable",
            "connect-timeout",
        ],
        refs: &["ssh_config(5) ProxyJump"],
    },
    Cause {
        id: "SW0102",
        slug: "firewall-server-drop",
        title: "The server's own firewall drops the connection",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The SYN reaches the server and a rule there drops it without an answer, so the client waits \
            until its timeout. Policy drop without a rule for port 22 is the usual form, after a rule \
            set was loaded that forgot SSH, after sshd moved to a port that was never opened, or because \
            only some sources are allowed. sshd logs nothing, since it never sees the connection. A ban \
            (ip-banned) looks the same from one address; from another address it works.",
        confirm: &[
            Confirm {
                command: "nft list ruleset",
                place: "server",
                shows: "an input chain with policy drop and no accept for the port and source",
            },
            Confirm {
                command: "iptables -S INPUT",
                place: "server",
                shows: "the same for iptables; ip6tables -S INPUT for IPv6",
            },
            Confirm {
                command: "ufw status verbose",
                place: "server",
                shows: "whether 22/tcp is allowed, and from where",
            },
            Confirm {
                command: "firewall-cmd --list-all",
                place: "server",
                shows: "whether the service ssh is in the active zone (RHEL, Fedora, SUSE)",
            },
        ],
        remedy: &[
            Remedy {
                action: "With ufw: allow the client's network",
                command: Some("ufw allow from CLIENT_NET to any port 22 proto tcp"),
                place: "server",
                risk: "none",
                undo: Some("ufw delete allow from CLIENT_NET to any port 22 proto tcp"),
            },
            Remedy {
                action: "With firewalld: try it at run time first; it is gone after a reload. When it works, repeat \
                    with --permanent",
                command: Some("firewall-cmd --zone=public --add-service=ssh"),
                place: "server",
                risk: "opens SSH to that zone",
                undo: Some("firewall-cmd --zone=public --remove-service=ssh"),
            },
            Remedy {
                action: "With nftables: insert an accept before the drop, in the table and chain that the \
                    evidence names, then write it into /etc/nftables.conf",
                command: Some(
                    "nft insert rule inet filter input ip saddr CLIENT_NET tcp dport 22 accept",
                ),
                place: "server",
                risk: "table and chain names may differ",
                undo: Some(
                    "nft -a list chain inet filter input, then nft delete rule inet filter input handle N",
                ),
            },
            Remedy {
                action: "With iptables: the same",
                command: Some("iptables -I INPUT -p tcp -s CLIENT_NET --dport 22 -j ACCEPT"),
                place: "server",
                risk: "gone after a reboot unless saved",
                undo: Some("iptables -D INPUT -p tcp -s CLIENT_NET --dport 22 -j ACCEPT"),
            },
        ],
        look_alikes: &[
            "ip-banned",
            "firewall-path-drop",
            "no-return-route",
            "rate-limited",
            "connect-timeout",
        ],
        refs: &["nft(8)", "iptables(8)", "ufw(8)", "firewall-cmd(1)"],
    },
    Cause {
        id: "SW0103",
        slug: "firewall-server-reject",
        title: "The server's own firewall refuses the connection",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "A rule on the server answers with a refusal instead of silence. With a TCP reset (or \
            icmp-port-unreachable) the client says \"Connection refused\", just as if sshd were down. With \
            icmp-host-prohibited, which firewalld and the old RHEL rules use, it says \"No route to \
            host\", just as if the machine were off. What tells it apart: sshd runs, listens, and answers \
            over loopback.",
        confirm: &[
            Confirm {
                command: "ss -Hltnp | grep ':22'",
                place: "server",
                shows: "sshd listens: so a refusal does not come from a missing sshd",
            },
            Confirm {
                command: "ssh-keyscan -T 3 127.0.0.1",
                place: "server",
                shows: "sshd answers over loopback",
            },
            Confirm {
                command: "nft list ruleset | grep -n reject",
                place: "server",
                shows: "the rule that refuses (older systems: iptables -S | grep REJECT)",
            },
        ],
        remedy: &[
            Remedy {
                action: "With firewalld: allow SSH in the active zone; when it works, repeat with --permanent",
                command: Some("firewall-cmd --zone=public --add-service=ssh"),
                place: "server",
                risk: "opens SSH to that zone",
                undo: Some("firewall-cmd --zone=public --remove-service=ssh"),
            },
            Remedy {
                action: "With ufw",
                command: Some("ufw allow from CLIENT_NET to any port 22 proto tcp"),
                place: "server",
                risk: "none",
                undo: Some("ufw delete allow from CLIENT_NET to any port 22 proto tcp"),
            },
            Remedy {
                action: "With nftables: insert an accept before the reject, in the table and chain that the \
                    evidence names, then write it into /etc/nftables.conf",
                command: Some(
                    "nft insert rule inet filter input ip saddr CLIENT_NET tcp dport 22 accept",
                ),
                place: "server",
                risk: "table and chain names may differ",
                undo: Some(
                    "nft -a list chain inet filter input, then nft delete rule inet filter input handle N",
                ),
            },
            Remedy {
                action: "If the evidence names a translation (redirect, REDIRECT, dnat, DNAT): that comes before every filter; \
                    take the rule out, or start what should listen where it leads",
                command: None,
                place: "server",
                risk: "whoever is meant to be led there reaches sshd instead",
                undo: None,
            },
        ],
        look_alikes: &[
            "sshd-not-running",
            "ip-banned",
            "host-unreachable",
            "wrong-port",
            "connect-refused",
            "firewall-reject",
        ],
        refs: &[
            "nft(8) reject",
            "iptables-extensions(8) REJECT",
            "firewall-cmd(1)",
        ],
    },
    Cause {
        id: "SW0104",
        slug: "ip-banned",
        title: "The client's address is banned on the server",
        blames: Blame::Policy,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "A ban tool (fail2ban, CrowdSec, sshguard, DenyHosts) or a block list holds the client's \
            address, most often after too many failed logins: a script with an old password, a forgotten \
            agent key, or many people behind one NAT address. Depending on the tool's action the client \
            sees \"Connection refused\", a timeout, or a connection that closes at once. From another \
            address everything works, and that is the best test. Lifting the ban without ending the \
            failures brings it back.",
        confirm: &[
            Confirm {
                command: "ssh USER@HOST (from another address)",
                place: "network",
                shows: "works: it is this address that is blocked",
            },
            Confirm {
                command: "fail2ban-client status sshd",
                place: "server",
                shows: "the list of banned addresses",
            },
            Confirm {
                command: "cscli decisions list --ip ADDR",
                place: "server",
                shows: "a CrowdSec decision for the address",
            },
            Confirm {
                command: "nft list ruleset | grep -nF ADDR",
                place: "server",
                shows: "the rule or set that holds it, whichever tool wrote it (iptables-save and ipset list for \
                    older ones)",
            },
        ],
        remedy: &[
            Remedy {
                action: "fail2ban: lift the ban",
                command: Some("fail2ban-client set sshd unbanip ADDR"),
                place: "server",
                risk: "the address may try again",
                undo: Some("fail2ban-client set sshd banip ADDR"),
            },
            Remedy {
                action: "fail2ban does not run any more (fail2ban-client ping fails): take the address out of \
                    the set that it left",
                command: Some("nft delete element inet f2b-table addr-set-sshd '{ ADDR }'"),
                place: "server",
                risk: "the address may try again",
                undo: Some("nft add element inet f2b-table addr-set-sshd '{ ADDR }'"),
            },
            Remedy {
                action: "CrowdSec: delete the decision",
                command: Some("cscli decisions delete --ip ADDR"),
                place: "server",
                risk: "the address may try again",
                undo: Some("cscli decisions add --ip ADDR --duration 4h"),
            },
            Remedy {
                action: "Find what fails and stop it first: the log names the user and the method of the failures",
                command: None,
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Put an administrator's fixed address on the allow list (fail2ban: ignoreip in \
                    /etc/fail2ban/jail.local)",
                command: None,
                place: "server",
                risk: "failures from that address are no longer punished",
                undo: Some("remove it from ignoreip"),
            },
        ],
        look_alikes: &[
            "firewall-server-reject",
            "firewall-server-drop",
            "source-penalty",
            "rate-limited",
            "tcp-wrappers-deny",
        ],
        refs: &["fail2ban-client(1)", "jail.conf(5) ignoreip"],
    },
    Cause {
        id: "SW0105",
        slug: "rate-limited",
        title: "The server's firewall limits how often one may connect",
        blames: Blame::Policy,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "A rule such as \"ufw limit\", iptables recent or hashlimit, or an nft meter refuses a source \
            that opens too many connections in a short time (ufw: six in 30 seconds). The first few \
            connections work and then none for a while: scripts, parallel scp and ansible run into it. \
            It goes away by itself after the interval. sshd's own limits (source-penalty, max-startups) \
            leave lines in sshd's log, this one does not.",
        confirm: &[
            Confirm {
                command: "ufw status | grep -i limit",
                place: "server",
                shows: "22/tcp LIMIT",
            },
            Confirm {
                command: "iptables -S | grep -E 'recent|hashlimit|connlimit'",
                place: "server",
                shows: "the limiting rule (nft list ruleset | grep -nE 'limit rate|meter')",
            },
            Confirm {
                command: "journalctl -k --grep 'LIMIT BLOCK'",
                place: "server",
                shows: "the kernel's log of refused packets, where the rule logs",
            },
        ],
        remedy: &[
            Remedy {
                action: "Wait a minute without trying, then use one connection for many commands: ControlMaster auto, \
                    ControlPersist 10m",
                command: Some(
                    "ssh -o ControlMaster=auto -o ControlPath=~/.ssh/cm-%C -o ControlPersist=10m USER@HOST",
                ),
                place: "client",
                risk: "none",
                undo: Some("ssh -O exit -o ControlPath=~/.ssh/cm-%C USER@HOST"),
            },
            Remedy {
                action: "Let a known management network pass before the limit",
                command: Some("ufw insert 1 allow from CLIENT_NET to any port 22 proto tcp"),
                place: "server",
                risk: "that network is not limited",
                undo: Some("ufw delete allow from CLIENT_NET to any port 22 proto tcp"),
            },
        ],
        look_alikes: &[
            "ip-banned",
            "source-penalty",
            "max-startups",
            "per-source-max-startups",
        ],
        refs: &[
            "ufw(8) limit",
            "iptables-extensions(8) recent",
            "nft(8) limit",
        ],
    },
    Cause {
        id: "SW0106",
        slug: "sshd-not-running",
        title: "sshd is not running",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "Nothing listens on the port because sshd is stopped, disabled, never installed, or has \
            crashed, so the kernel answers \"Connection refused\". If it was tried and failed, the log \
            says why, and the real cause is that one: sshd-config-error, host-keys-missing, port-in-use, \
            privsep-dir-missing, sshd-unit-broken. A firewall that rejects looks the same from outside.",
        confirm: &[
            Confirm {
                command: "systemctl status ssh sshd",
                place: "server",
                shows: "inactive, failed or masked, and since when (Debian and Ubuntu: ssh; RHEL, Fedora, SUSE, \
                    Arch: sshd). Alpine: rc-service sshd status",
            },
            Confirm {
                command: "ss -Hltnp | grep -E ':22\\b'",
                place: "server",
                shows: "nothing",
            },
            Confirm {
                command: "sshd -t",
                place: "server",
                shows: "silent when the configuration and the keys are good; otherwise the reason",
            },
        ],
        remedy: &[
            Remedy {
                action: "Check the configuration before starting",
                command: Some("sshd -t"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Start it, and make it start at boot (RHEL and others: sshd; Alpine: rc-service sshd start && \
                    rc-update add sshd)",
                command: Some("systemctl enable --now ssh"),
                place: "server",
                risk: "none",
                undo: Some("systemctl disable --now ssh"),
            },
            Remedy {
                action: "If it is not installed (RHEL: dnf install openssh-server; Alpine: apk add openssh)",
                command: Some("apt-get install openssh-server"),
                place: "server",
                risk: "none",
                undo: Some("apt-get remove openssh-server"),
            },
        ],
        look_alikes: &[
            "sshd-config-error",
            "sshd-masked",
            "sshd-unit-broken",
            "wrong-port",
            "firewall-server-reject",
            "socket-activation",
            "connect-refused",
        ],
        refs: &["sshd(8)", "systemctl(1)"],
    },
    Cause {
        id: "SW0107",
        slug: "sshd-masked",
        title: "The ssh unit is masked, so that nothing can start it",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "The unit is a link to /dev/null: systemd refuses to start it by hand, at boot or as a \
            dependency. Somebody, or a hardening script, did this on purpose, or a package removal left \
            it behind. Starting it fails with \"Unit ssh.service is masked\".",
        confirm: &[
            Confirm {
                command: "systemctl is-enabled ssh",
                place: "server",
                shows: "masked or masked-runtime (RHEL and others: sshd)",
            },
            Confirm {
                command: "ls -l /etc/systemd/system/ssh.service /run/systemd/system/ssh.service",
                place: "server",
                shows: "the link to /dev/null",
            },
        ],
        remedy: &[
            Remedy {
                action: "Unmask, after asking who masked it (RHEL and others: sshd)",
                command: Some("systemctl unmask ssh; systemctl unmask --runtime ssh"),
                place: "server",
                risk: "the reason for the mask may still stand",
                undo: Some("systemctl mask ssh"),
            },
            Remedy {
                action: "Start it",
                command: Some("systemctl enable --now ssh"),
                place: "server",
                risk: "none",
                undo: Some("systemctl disable --now ssh"),
            },
        ],
        look_alikes: &["sshd-not-running", "sshd-unit-broken"],
        refs: &["systemctl(1) mask"],
    },
    Cause {
        id: "SW0108",
        slug: "sshd-unit-broken",
        title: "The systemd unit of sshd is at fault, not its configuration",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd -t is content, and the service still does not come up: ExecStart names a program that \
            is not there, a drop-in misspells a line, a Condition is not met \
            (/etc/ssh/sshd_not_to_be_run on Debian), a dependency fails, a limit such as StartLimitBurst \
            is reached, or the unit waits for a network that never is. systemd says so in its own lines, \
            with a result such as exit-code, start-limit-hit, or status=203/EXEC.",
        confirm: &[
            Confirm {
                command: "systemctl status ssh --no-pager -l",
                place: "server",
                shows: "the result and the exit status (RHEL and others: sshd)",
            },
            Confirm {
                command: "systemctl cat ssh",
                place: "server",
                shows: "the unit with every drop-in, in order",
            },
            Confirm {
                command: "systemd-analyze verify ssh.service",
                place: "server",
                shows: "lines systemd does not understand",
            },
        ],
        remedy: &[
            Remedy {
                action: "Move the file with the faulty line aside (RHEL and others: sshd), or mend only that line in it",
                command: Some(
                    "mv FILE FILE.off && systemctl daemon-reload && mkdir -p /run/sshd && sshd -t && systemctl restart ssh",
                ),
                place: "server",
                risk: "whatever else that file sets is off too; sshd restarts, sessions live on",
                undo: Some("mv FILE.off FILE && systemctl daemon-reload && systemctl restart ssh"),
            },
            Remedy {
                action: "After too many attempts: clear the counter and start again",
                command: Some("systemctl reset-failed ssh && systemctl start ssh"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Debian: the file /etc/ssh/sshd_not_to_be_run keeps sshd from starting; remove it if nobody \
                    wants it",
                command: Some("rm /etc/ssh/sshd_not_to_be_run"),
                place: "server",
                risk: "sshd will start at the next boot",
                undo: Some("touch /etc/ssh/sshd_not_to_be_run"),
            },
        ],
        look_alikes: &[
            "sshd-config-error",
            "sshd-masked",
            "service-sandboxed",
            "sshd-not-running",
        ],
        refs: &["systemd.unit(5)", "systemd.exec(5)", "sshd_config(5)"],
    },
    Cause {
        id: "SW0109",
        slug: "sshd-config-error",
        title: "sshd_config does not parse, so sshd does not start",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd refuses to start on a configuration line that it does not understand: a misspelt \
            keyword, a value of the wrong form, a keyword that is not allowed inside Match, an \
            unfinished quote, or a keyword of a newer release than this one. An sshd that runs goes on \
            with the old configuration; the fault shows at the next restart, reboot or upgrade. The \
            message names file and line, and files under sshd_config.d count as well.",
        confirm: &[
            Confirm {
                command: "sshd -t",
                place: "server",
                shows: "the file, the line and the fault; silence means the configuration is good",
            },
            Confirm {
                command: "sshd -T >/dev/null",
                place: "server",
                shows: "the same with every default filled in",
            },
        ],
        remedy: &[
            Remedy {
                action: "Correct the line that sshd -t names, then check again until it is silent",
                command: Some("sshd -t"),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Start it (RHEL and others: sshd; Alpine: rc-service sshd restart). Keep this session open \
                    and try a second login before you leave",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "none: running sessions survive a restart of the listener",
                undo: None,
            },
            Remedy {
                action: "If the line came with a drop-in, move that file out of the way",
                command: Some("mv /etc/ssh/sshd_config.d/FILE.conf /root/"),
                place: "server",
                risk: "what the drop-in set falls back to the main file or the default",
                undo: Some("mv /root/FILE.conf /etc/ssh/sshd_config.d/"),
            },
        ],
        look_alikes: &["sshd-not-running", "sshd-unit-broken", "host-keys-missing"],
        refs: &[
            "sshd(8) -t",
            "sshd_config(5)",
            "servconf.c process_server_config_line()",
        ],
    },
    Cause {
        id: "SW0110",
        slug: "privsep-dir-missing",
        title: "The directory for privilege separation is missing, or not owned by root",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd locks its unprivileged half into an empty directory and refuses to run without it. \
            Debian and Ubuntu build with /run/sshd, which lives in memory and is gone after a reboot; \
            the systemd unit makes it (RuntimeDirectory=sshd), but a container, a chroot or a \
            hand-started sshd has nobody who does. RHEL uses /usr/share/empty.sshd, Alpine and others \
            /var/empty. It must belong to root and be writable by nobody else.",
        confirm: &[
            Confirm {
                command: "sshd -t",
                place: "server",
                shows: "\"Missing privilege separation directory: D\", or \"D must be owned by root and not group or \
                    world-writable.\"",
            },
            Confirm {
                command: "ls -ld /run/sshd /var/empty /usr/share/empty.sshd",
                place: "server",
                shows: "which is there, with which owner and mode",
            },
        ],
        remedy: &[
            Remedy {
                action: "Make it, as root with mode 0755",
                command: Some("install -d -m 0755 -o root -g root /run/sshd"),
                place: "server",
                risk: "none",
                undo: Some("rmdir /run/sshd"),
            },
            Remedy {
                action: "In a container: make it in the entry point before sshd starts; with systemd: start sshd \
                    through its unit, which makes it",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["sshd-not-running", "host-keys-missing", "sshd-config-error"],
        refs: &["sshd.c main()", "systemd.exec(5) RuntimeDirectory"],
    },
    Cause {
        id: "SW0118",
        slug: "privsep-user-missing",
        title: "The account sshd, which sshd needs for itself, does not exist",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "Whatever sshd does before a login it does as an account of its own without rights, sshd on all \
            distributions. Where that is gone from /etc/passwd (a script that removes unused accounts, a passwd file \
            put back from another machine, a directory service that is down), sshd refuses to start.",
        confirm: &[
            Confirm {
                command: "sshd -t",
                place: "server",
                shows: "\"Privilege separation user sshd does not exist\"",
            },
            Confirm {
                command: "getent passwd sshd",
                place: "server",
                shows: "nothing",
            },
        ],
        remedy: &[Remedy {
            action: "Make the account anew: a system account without a login shell and without a password (Alpine: adduser -S \
                    -D -H -h /var/empty -s /sbin/nologin sshd); then start sshd",
            command: Some(
                "useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin sshd && sshd -t",
            ),
            place: "server",
            risk: "none",
            undo: Some("userdel sshd"),
        }],
        look_alikes: &[
            "privsep-dir-missing",
            "sshd-not-running",
            "sshd-config-error",
        ],
        refs: &["sshd.c main()", "README.privsep in the source of OpenSSH"],
    },
    Cause {
        id: "SW0111",
        slug: "host-keys-missing",
        title: "sshd has no host key, so it does not start",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "None of the host keys can be loaded: they were never made (a cloned image, a container \
            without a key step), were deleted, or HostKey names files that are not there. sshd says \"no \
            hostkeys available -- exiting\". A key that is there but has wrong rights is \
            host-key-permissions. Keys made anew give every client a \"host key changed\" warning, so \
            restore the old ones from a backup when the machine had them.",
        confirm: &[
            Confirm {
                command: "ls -l /etc/ssh/ssh_host_*_key",
                place: "server",
                shows: "no files, or empty ones",
            },
            Confirm {
                command: "sshd -t",
                place: "server",
                shows: "\"no hostkeys available -- exiting.\"",
            },
            Confirm {
                command: "grep -rn '^ *HostKey' /etc/ssh/sshd_config /etc/ssh/sshd_config.d",
                place: "server",
                shows: "the paths sshd is told to use",
            },
        ],
        remedy: &[
            Remedy {
                action: "If there is a backup, restore the old keys: clients then see no change (files 0600, owner \
                    root)",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Otherwise make the missing ones; this touches no key that exists",
                command: Some("ssh-keygen -A"),
                place: "server",
                risk: "clients that knew the old key will be warned; publish the new fingerprints",
                undo: Some("rm /etc/ssh/ssh_host_TYPE_key /etc/ssh/ssh_host_TYPE_key.pub"),
            },
            Remedy {
                action: "Start it (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "host-key-permissions",
            "privsep-dir-missing",
            "sshd-not-running",
        ],
        refs: &["sshd.c", "ssh-keygen(1) -A", "sshd_config(5) HostKey"],
    },
    Cause {
        id: "SW0112",
        slug: "host-key-permissions",
        title: "The host keys' files are readable by others, so sshd will not use them",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "A private host key that group or others may read is treated as compromised: sshd logs an \
            UNPROTECTED PRIVATE KEY FILE warning and \"bad permissions\" and skips it. If that leaves no \
            key at all, sshd does not start. A restored backup, a copied image, or a recursive chmod is \
            the usual reason. RHEL and Fedora long used mode 0640 with group ssh_keys, which their own \
            builds accept.",
        confirm: &[
            Confirm {
                command: "ls -l /etc/ssh/ssh_host_*_key",
                place: "server",
                shows: "mode other than -rw------- root root",
            },
            Confirm {
                command: "sshd -t",
                place: "server",
                shows: "names each key it will not load",
            },
        ],
        remedy: &[
            Remedy {
                action: "Give them back to root alone",
                command: Some(
                    "chown root:root /etc/ssh/ssh_host_*_key && chmod 600 /etc/ssh/ssh_host_*_key",
                ),
                place: "server",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "If other people could have read them, treat them as known to others: make new ones and \
                    publish the fingerprints",
                command: None,
                place: "server",
                risk: "clients will be warned of a changed key",
                undo: None,
            },
            Remedy {
                action: "Start it (RHEL and others: sshd)",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["host-keys-missing", "host-key-unusable"],
        refs: &["authfile.c sshkey_perm_ok()", "sshd_config(5) HostKey"],
    },
    Cause {
        id: "SW0113",
        slug: "port-in-use",
        title: "Another program has the port, so sshd could not take it",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "sshd could not bind: the address is already in use, by another sshd, by systemd's \
            ssh.socket, by a container's published port, or by a quite different service. sshd goes on \
            with the addresses it did get and gives up only when it got none. The client then meets the \
            other program: a foreign banner, or a host key that does not match.",
        confirm: &[
            Confirm {
                command: "ss -Hltnp | grep -E ':22\\b'",
                place: "server",
                shows: "the process that holds the port",
            },
            Confirm {
                command: "journalctl -t sshd --grep 'Bind to port'",
                place: "server",
                shows: "\"Bind to port 22 on ADDR failed: Address already in use.\"",
            },
        ],
        remedy: &[
            Remedy {
                action: "If it is a forgotten second sshd or ssh.socket: use one of the two (here: the service; RHEL: \
                    sshd.socket)",
                command: Some("systemctl disable --now ssh.socket"),
                place: "server",
                risk: "sshd must then run as a service, or nothing listens",
                undo: Some("systemctl enable --now ssh.socket"),
            },
            Remedy {
                action: "Move the other program to another port and restart sshd",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "whoever uses the other program must know its new port",
                undo: None,
            },
        ],
        look_alikes: &[
            "wrong-port",
            "not-ssh-service",
            "listen-address",
            "socket-activation",
        ],
        refs: &["sshd.c listen_on_addrs()", "bind(2) EADDRINUSE"],
    },
    Cause {
        id: "SW0114",
        slug: "wrong-port",
        title: "sshd listens on another port than the client calls",
        blames: Blame::Client,
        gate: Gate::Tcp,
        severity: Severity::Medium,
        is_symptom: false,
        explanation: "The client calls one port and sshd listens on another: Port was changed on the server, a \
            forwarding router maps another one, or a Port line in the client's ssh_config is wrong. The \
            kernel answers \"Connection refused\" for the port nobody has. It differs from \
            sshd-not-running in that sshd is up and its log says \"Server listening on … port N\".",
        confirm: &[
            Confirm {
                command: "ssh -G HOST | grep -i '^port '",
                place: "client",
                shows: "the port this client will call, and so whether ssh_config sets it",
            },
            Confirm {
                command: "ss -Hltnp | grep sshd",
                place: "server",
                shows: "the ports sshd has",
            },
            Confirm {
                command: "sshd -T | grep -i '^port '",
                place: "server",
                shows: "the ports sshd_config wants",
            },
        ],
        remedy: &[
            Remedy {
                action: "Call the right port; when it works, put \"Port PORT\" under the Host in ~/.ssh/config",
                command: Some("ssh -p PORT USER@HOST"),
                place: "client",
                risk: "none",
                undo: None,
            },
            Remedy {
                action: "Or let sshd listen on both for a while: two Port lines. Keep this session open until a \
                    second login has worked",
                command: Some("sshd -t && systemctl reload ssh"),
                place: "server",
                risk: "the firewall (and on RHEL, SELinux) must know the port",
                undo: Some("remove the line and reload"),
            },
        ],
        look_alikes: &[
            "sshd-not-running",
            "listen-address",
            "socket-activation",
            "firewall-server-reject",
            "connect-refused",
        ],
        refs: &["sshd_config(5) Port", "ssh_config(5) Port"],
    },
    Cause {
        id: "SW0115",
        slug: "listen-address",
        title: "sshd listens on an address that the client does not reach",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "ListenAddress ties sshd to some addresses only: loopback, an old address, one family, or an \
            address that was not there yet when sshd started (DHCP, VPN). For any other address of the \
            host the kernel answers \"Connection refused\". \"Cannot assign requested address\" in the log \
            means that the wanted address does not exist (yet). It differs from wrong-port in the \
            address, not the port.",
        confirm: &[
            Confirm {
                command: "ss -Hltnp | grep sshd",
                place: "server",
                shows: "the local addresses it listens on: 127.0.0.1:22 is loopback only",
            },
            Confirm {
                command: "sshd -T | grep -i listenaddress",
                place: "server",
                shows: "what the configuration wants",
            },
            Confirm {
                command: "ip -br address",
                place: "server",
                shows: "what the host has",
            },
        ],
        remedy: &[
            Remedy {
                action: "Correct or remove ListenAddress, check, restart (a reload does not rebind everywhere). Keep \
                    this session open until a second login has worked",
                command: Some("sshd -t && systemctl restart ssh"),
                place: "server",
                risk: "without ListenAddress sshd listens on every address; the firewall then decides",
                undo: Some("put the line back and restart"),
            },
            Remedy {
                action: "If the address only comes up late: start sshd after network-online.target, or allow binding \
                    ahead with sysctl net.ipv4.ip_nonlocal_bind=1",
                command: None,
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &[
            "wrong-port",
            "socket-activation",
            "sshd-not-running",
            "ipv6-unreachable",
        ],
        refs: &["sshd_config(5) ListenAddress", "sshd.c listen_on_addrs()"],
    },
    Cause {
        id: "SW0116",
        slug: "socket-activation",
        title: "systemd's ssh.socket decides where sshd listens, not sshd_config",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "With socket activation systemd holds the port and starts sshd when somebody calls; Port and \
            ListenAddress in sshd_config are then not what opens it. Ubuntu has this as its default \
            since 22.10; since 24.04 a generator derives the socket from sshd_config, but only at \
            daemon-reload. So a changed port has no effect until systemd is told, and the old port goes \
            on answering.",
        confirm: &[
            Confirm {
                command: "systemctl show ssh.socket -p Listen -p ActiveState",
                place: "server",
                shows: "the address systemd really listens on (RHEL: sshd.socket)",
            },
            Confirm {
                command: "sshd -T | grep -iE '^(port|listenaddress) '",
                place: "server",
                shows: "what sshd_config says: it differs",
            },
            Confirm {
                command: "ss -Hltnp | grep -E 'systemd|sshd'",
                place: "server",
                shows: "systemd, not sshd, owns the listening socket",
            },
        ],
        remedy: &[
            Remedy {
                action: "Ubuntu 24.04 and later: let the generator read sshd_config again. Keep this session open and \
                    test the new port before you leave",
                command: Some("systemctl daemon-reload && systemctl restart ssh.socket"),
                place: "server",
                risk: "the old port closes; the firewall must allow the new one",
                undo: Some("restore the Port line and repeat"),
            },
            Remedy {
                action: "Elsewhere: say it to the socket, with an empty ListenStream= first and then \
                    ListenStream=PORT",
                command: Some("systemctl edit ssh.socket"),
                place: "server",
                risk: "the same",
                undo: Some("systemctl revert ssh.socket"),
            },
            Remedy {
                action: "Or go back to a daemon that reads Port itself",
                command: Some(
                    "systemctl disable --now ssh.socket && systemctl enable --now ssh.service",
                ),
                place: "server",
                risk: "a moment without a listener",
                undo: Some(
                    "systemctl disable --now ssh.service && systemctl enable --now ssh.socket",
                ),
            },
        ],
        look_alikes: &[
            "wrong-port",
            "listen-address",
            "sshd-not-running",
            "socket-max-connections",
        ],
        refs: &["systemd.socket(5) ListenStream", "sshd_config(5) Port"],
    },
    Cause {
        id: "SW0117",
        slug: "selinux-port",
        title: "SELinux does not let sshd take this port",
        blames: Blame::Server,
        gate: Gate::Tcp,
        severity: Severity::High,
        is_symptom: false,
        explanation: "On RHEL, Fedora and their kin sshd may bind only to ports that carry the type ssh_port_t, \
            which is port 22 at first. On another port bind fails with \"Permission denied\", although \
            sshd is root and the port is free; the audit log has an AVC for name_bind. Elsewhere \
            \"Permission denied\" on bind means sshd was not started as root.",
        confirm: &[
            Confirm {
                command: "semanage port -l | grep ssh_port_t",
                place: "server",
                shows: "the ports SELinux allows sshd",
            },
            Confirm {
                command: "ausearch -m AVC -ts recent -c sshd",
                place: "server",
                shows: "denied { name_bind }",
            },
        ],
        remedy: &[
            Remedy {
                action: "Give the port the type; SELinux stays on",
                command: Some("semanage port -a -t ssh_port_t -p tcp PORT"),
                place: "server",
                risk: "none; use -m instead of -a where the port already has a type",
                undo: Some("semanage port -d -t ssh_port_t -p tcp PORT"),
            },
            Remedy {
                action: "Restart and look (keep this session open)",
                command: Some("sshd -t && systemctl restart sshd"),
                place: "server",
                risk: "none",
                undo: None,
            },
        ],
        look_alikes: &["port-in-use", "sshd-not-running"],
        refs: &["semanage-port(8)", "bind(2) EACCES"],
    },
];
