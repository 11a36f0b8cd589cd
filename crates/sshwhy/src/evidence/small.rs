//! The small files of the evidence: containers, processes, file times, schedules, and the node itself.

use super::Role;
use serde_json::Value;
use sshwhy_core::addr::parse_ip;
use sshwhy_core::time::{SECOND, Time, Zone};
use sshwhy_core::trace::container::{Container, parse};
use sshwhy_core::trace::evidence::{FileTime, Running, Schedule};
use sshwhy_core::trace::happening::{self, Happening};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is kept of each; a node has fewer.
const MAX_FILES: usize = 2_000_000;
const MAX_PROCESSES: usize = 1_000_000;
const MAX_SCHEDULES: usize = 100_000;
const MAX_HAPPENINGS: usize = 2_000_000;
const MAX_ACCOUNTS: usize = 100_000;
const MAX_ZONES: usize = 1000;

#[derive(Default)]
pub struct Small {
    containers: Vec<Container>,
    /// What engines and clusters wrote down, in order of time.
    pub happenings: Vec<Happening>,
    pub files: Vec<FileTime>,
    pub running: Vec<Running>,
    pub schedules: Vec<Schedule>,
    pub scripts: Vec<Schedule>,
    pub typed: Vec<Schedule>,
    pub accounts: BTreeMap<u32, String>,
    /// By the folder that a machine's files lie in; empty or ending in a slash.
    pub zones: Vec<(String, Zone)>,
    pub addrs: Vec<IpAddr>,
    pub clock_ahead: Option<f64>,
    pub notes: Vec<String>,
}

impl Small {
    /// What was described, and what was only spoken of.
    pub fn containers(&mut self) -> Vec<Container> {
        self.happenings.sort_by_key(|h| h.at);
        let gone = happening::containers(&self.happenings, &self.containers);
        self.containers.extend(gone);
        std::mem::take(&mut self.containers)
    }

    pub fn take(&mut self, role: Role, name: &str, bytes: &[u8]) {
        match role {
            Role::Document => self.document(name, bytes),
            Role::FileTimes => self.file_times(bytes),
            Role::Schedule => {
                let place = name.split_once("schedules/").map_or(name, |(_, rest)| rest);
                lines_of(place, bytes, MAX_SCHEDULES, &mut self.schedules);
            }
            Role::Script => lines_of(name, bytes, MAX_SCHEDULES, &mut self.scripts),
            Role::Typed => lines_of(name, bytes, MAX_SCHEDULES, &mut self.typed),
            Role::Node => self.about_node(name, bytes),
            Role::Audit | Role::Log | Role::Other => {}
        }
    }

    fn document(&mut self, name: &str, bytes: &[u8]) {
        // One document, or one on each line.
        let documents: Vec<Value> = match serde_json::from_slice::<Value>(bytes) {
            Ok(v) => vec![v],
            Err(_) => serde_json::Deserializer::from_slice(bytes)
                .into_iter::<Value>()
                .map_while(Result::ok)
                .collect(),
        };
        if documents.is_empty() {
            let told: Vec<Happening> = bytes
                .split(|b| *b == b'\n')
                .filter_map(happening::line)
                .take(MAX_HAPPENINGS.saturating_sub(self.happenings.len()))
                .collect();
            if !told.is_empty() {
                self.happenings.extend(told);
                return;
            }
            self.notes
                .push(format!("{name} is not JSON and was left out"));
        }
        for v in documents {
            if name.ends_with("processes.json") {
                self.processes(&v);
            } else if name.ends_with("node.json") {
                self.node(name, &v);
            } else {
                let happenings = happening::parse(&v);
                if happenings.is_empty() {
                    self.containers.extend(parse(&v));
                }
                let room = MAX_HAPPENINGS.saturating_sub(self.happenings.len());
                self.happenings.extend(happenings.into_iter().take(room));
            }
        }
    }

    fn processes(&mut self, v: &Value) {
        let number = |v: &Value, key: &str| v.get(key).and_then(Value::as_u64).unwrap_or(0) as u32;
        for p in v.as_array().into_iter().flatten() {
            if self.running.len() >= MAX_PROCESSES {
                return;
            }
            self.running.push(Running {
                pid: number(p, "pid"),
                ppid: number(p, "ppid"),
                started: p
                    .get("started")
                    .and_then(Value::as_str)
                    .and_then(|t| Time::parse_rfc3339(t.as_bytes()))
                    .map(|(t, _)| t),
                argv: p
                    .get("argv")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                exe: p
                    .get("exe")
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned(),
                container: p
                    .get("container")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .or_else(|| {
                        container_of_cgroup(p.get("cgroup").and_then(Value::as_str).unwrap_or(""))
                    }),
            });
        }
    }

    fn node(&mut self, name: &str, v: &Value) {
        for a in v
            .get("addresses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.addrs
                .extend(a.as_str().and_then(|a| parse_ip(a.as_bytes())));
        }
        if let Some(zone) = v.get("zone").and_then(Value::as_str) {
            self.zone(name, zone);
        }
        self.clock_ahead = v
            .get("clock_ahead_s")
            .and_then(Value::as_f64)
            .or(self.clock_ahead);
    }

    /// `path TAB mtime TAB size [TAB ctime TAB birth]`, times in seconds since the epoch.
    fn file_times(&mut self, bytes: &[u8]) {
        for line in bytes.split(|b| *b == b'\n') {
            if self.files.len() >= MAX_FILES {
                self.notes.push("more files than are looked at".to_owned());
                return;
            }
            let mut fields = line.split(|b| *b == b'\t');
            let Some(path) = fields.next().filter(|p| !p.is_empty()) else {
                continue;
            };
            let mut time = || {
                let text = std::str::from_utf8(fields.next()?).ok()?;
                let secs: f64 = text.parse().ok()?;
                (secs.is_finite() && secs.abs() < 1e11)
                    .then_some(Time((secs * SECOND as f64) as i64))
            };
            let Some(mtime) = time() else { continue };
            let size = time().map_or(0, |t| (t.0 / SECOND).max(0) as u64);
            self.files.push(FileTime {
                path: String::from_utf8_lossy(path).into_owned(),
                mtime,
                ctime: time(),
                birth: time(),
                size,
            });
        }
    }

    /// `/etc/timezone`, what `timedatectl` says, `/etc/passwd`; which folder they lie in says of which machine they tell.
    fn about_node(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if name.ends_with("passwd") {
            for line in text.lines() {
                let mut fields = line.split(':');
                if let (Some(user), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse))
                    && self.accounts.len() < MAX_ACCOUNTS
                {
                    self.accounts
                        .entry(uid)
                        .or_insert_with(|| user.chars().take(64).collect());
                }
            }
            return;
        }
        let zone = text.lines().find_map(|line| {
            let line = line.trim();
            let named = line
                .strip_prefix("Time zone:")
                .or_else(|| line.strip_prefix("Timezone="))
                .map(|z| z.split('(').next().unwrap_or(z));
            if name.ends_with("timezone") {
                Some(line).filter(|l| !l.is_empty() && !l.starts_with('#'))
            } else {
                named
            }
        });
        self.zone(name, zone.unwrap_or_default().trim());
    }

    /// The zone of the machine whose files lie where `name` does.
    fn zone(&mut self, name: &str, zone: &str) {
        if zone.is_empty() || self.zones.len() >= MAX_ZONES {
            return;
        }
        let folder = name.rsplit_once('/').map_or("", |(f, _)| f);
        let machine = folder
            .strip_suffix("etc")
            .unwrap_or(folder)
            .trim_end_matches('/');
        let machine = if machine.is_empty() {
            String::new()
        } else {
            format!("{machine}/")
        };
        match crate::zone::named(zone) {
            Ok(zone) if zone.name != "local" => self.zones.push((machine, zone)),
            _ => self.notes.push(format!(
                "{name} names a time zone that does not exist: {zone:?}"
            )),
        }
    }
}

/// The lines of a file with their places, but for what is empty or a comment.
fn lines_of(name: &str, bytes: &[u8], most: usize, out: &mut Vec<Schedule>) {
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        let comment = text.starts_with('#') || text.starts_with(';');
        if text.is_empty() || comment || out.len() >= most {
            continue;
        }
        out.push(Schedule {
            place: format!("{name}:{}", i + 1),
            text: text.chars().take(1000).collect(),
        });
    }
}

/// The container's id in a cgroup path: `…/docker/ID`, `…/docker-ID.scope`, `…/cri-containerd-ID.scope`, `…/libpod-ID.scope`, and
/// what Kubernetes puts below a pod.
pub fn container_of_cgroup(path: &str) -> Option<String> {
    path.split(|c: char| !c.is_ascii_hexdigit())
        .rfind(|run| run.len() == 64)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_from_cgroups_of_every_runtime() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("0::/system.slice/docker-{id}.scope"),
            format!("12:pids:/docker/{id}"),
            format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab12_cd.slice/cri-containerd-{id}.scope"
            ),
            format!("0::/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(container_of_cgroup(&path).as_ref(), Some(&id), "{path}");
        }
        assert_eq!(
            container_of_cgroup("0::/user.slice/user-0.slice/session-1.scope"),
            None
        );
        assert_eq!(
            container_of_cgroup(&format!("0::/docker/{}", &id[..63])),
            None
        );
    }

    #[test]
    fn file_times_with_and_without_inode_times() {
        let mut s = Small::default();
        s.take(
            Role::FileTimes,
            "files.tsv",
            b"/a b\t1680000000.250\t74\n/x\t5\t6\t7.5\t8\n\n/bad\tx\t1\n/nan\tNaN\t1\n",
        );
        assert_eq!(s.files.len(), 2);
        assert_eq!(s.files[0].mtime.to_string(), "2023-03-28T10:40:00.250000Z");
        assert_eq!(s.files[0].size, 74);
        assert_eq!(s.files[1].ctime, Some(Time(7_500_000)));
        assert_eq!(s.files[1].birth, Some(Time(8_000_000)));
    }

    #[test]
    fn documents_that_are_no_json_are_named_and_lines_of_json_are_read() {
        let mut s = Small::default();
        s.take(Role::Document, "x.json", b"no");
        assert_eq!(s.notes.len(), 1);
        s.take(
            Role::Document,
            "y.json",
            b"{\"Id\":\"a\"}\n{\"Id\":\"b\"}\n",
        );
        assert_eq!(s.containers().len(), 2);
        s.take(
            Role::Document,
            "node.json",
            b"{\"addresses\":[\"192.0.2.7\",\"x\"],\"clock_ahead_s\":-1.5}",
        );
        assert_eq!((s.addrs.len(), s.clock_ahead), (1, Some(-1.5)));
    }
}
