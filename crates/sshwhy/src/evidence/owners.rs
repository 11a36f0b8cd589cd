//! Whose log a file is: by the path that the runtime wrote down, by an id in its name, or by pod and container.

use sshwhy_core::trace::container::{Container, merge};
use sshwhy_core::trace::digest::container_line;
use sshwhy_core::trace::evidence::{Owner, Way};
use sshwhy_core::trace::relay::Who;
use std::collections::HashMap;

pub struct Owners {
    containers: Vec<Container>,
    /// Last parts of log paths that are one container's only.
    paths: HashMap<String, Option<usize>>,
    /// Names that are one container's only: people call a log after it.
    names: HashMap<String, Option<usize>>,
}

/// Shorter names are words that any file may have.
const SHORTEST_NAME: usize = 3;

/// Hex digits of a full id.
const ID: usize = 64;
/// Hex digits that are enough for people, and for us.
const SHORT_ID: usize = 12;

impl Owners {
    pub fn new(containers: Vec<Container>) -> Owners {
        let containers = merge(containers);
        let mut paths: HashMap<String, Option<usize>> = HashMap::new();
        for (i, c) in containers.iter().enumerate() {
            for depth in 1..=3 {
                if let Some(tail) = tail(&c.log_path, depth) {
                    paths
                        .entry(tail.to_owned())
                        .and_modify(|o| {
                            if *o != Some(i) {
                                *o = None;
                            }
                        })
                        .or_insert(Some(i));
                }
            }
        }
        let mut names: HashMap<String, Option<usize>> = HashMap::new();
        for (i, c) in containers.iter().enumerate() {
            let mut own = vec![c.name.trim_start_matches('/').to_owned(), c.pod.clone()];
            own.push(format!("{}_{}", c.pod, c.name));
            own.push(format!("{}-{}", c.pod, c.name));
            own.retain(|n| n.len() >= SHORTEST_NAME);
            own.dedup();
            for name in own {
                names
                    .entry(name)
                    .and_modify(|o| {
                        if *o != Some(i) {
                            *o = None;
                        }
                    })
                    .or_insert(Some(i));
            }
        }
        Owners {
            containers,
            paths,
            names,
        }
    }

    pub fn list(&self) -> &[Container] {
        &self.containers
    }

    pub fn containers(self) -> Vec<Container> {
        self.containers
    }

    /// The id of the container whose log this is; one that nobody described is added with what the name tells. `None`: the node's
    /// own log.
    pub fn of(&mut self, name: &str, head: &[u8]) -> Option<String> {
        let stem = unrotated(name);
        for depth in (1..=3).rev() {
            if let Some(Some(i)) = tail(stem, depth).and_then(|t| self.paths.get(t)) {
                return self.containers.get(*i).map(|c| c.id.clone());
            }
        }
        let ids: Vec<&str> = name
            .split(|c: char| !c.is_ascii_hexdigit())
            .filter(|run| run.len() == ID || run.len() == SHORT_ID)
            .collect();
        for run in &ids {
            if let Some(c) = self.containers.iter().find(|c| c.id.starts_with(run)) {
                return Some(c.id.clone());
            }
        }
        if let Some(pod) = self.by_pod(name) {
            return Some(pod);
        }
        // `docker logs -t NAME > NAME.log`; what syslog writes bears the names of programs.
        if !name.contains("var/log/")
            && let Some(i) = called(stem).and_then(|n| self.names.get(n).copied().flatten())
        {
            return self.containers.get(i).map(|c| c.id.clone());
        }
        // A log whose container is gone: the log is all that is left of it.
        let first = head.split(|b| *b == b'\n').next().unwrap_or_default();
        let is_container_log = first.starts_with(b"{\"log\"")
            || (container_line(first).is_some()
                && [&b" stdout "[..], b" stderr "]
                    .iter()
                    .any(|s| memchr::memmem::find(first, s).is_some()));
        let id = match ids.iter().find(|i| i.len() == ID) {
            Some(id) => (*id).to_owned(),
            None if is_container_log => stem.to_owned(),
            None => return None,
        };
        let mut c = Container {
            id: id.clone(),
            name: format!("(gone) {}", stem.rsplit('/').next().unwrap_or(stem)),
            ..Container::default()
        };
        if let Some((pod, namespace, container)) = pod_of(name) {
            c.name = container;
            c.pod = pod;
            c.namespace = namespace;
        }
        if !self.containers.iter().any(|c| c.id == id) {
            self.containers.push(c);
        }
        Some(id)
    }

    /// Who somebody is of whom a log speaks; a container that nobody described is added.
    pub fn whom(&mut self, who: &Who) -> Owner {
        let (id, name, pod, namespace) = match who {
            Who::Process(name) => return Owner::Other(name.clone(), Way::Program),
            Who::Visitor(name) => return Owner::Other(name.clone(), Way::Visitor),
            // Compose leaves the project's name out: `puller-1` of `shop-puller-1`, `shop_puller_1`.
            Who::Named(name) => {
                let dashed = name.replace('_', "-");
                let mut have = self.containers.iter().filter(|c| {
                    let own = c.name.trim_start_matches('/').replace('_', "-");
                    own.strip_suffix(&dashed)
                        .is_some_and(|project| project.is_empty() || project.ends_with('-'))
                });
                return match (have.next(), have.next()) {
                    (Some(c), None) => Owner::Container(c.id.clone()),
                    _ => Owner::Other(name.clone(), Way::Program),
                };
            }
            Who::Addr(ip) => {
                let addr = ip.to_string();
                let mut have = self.containers.iter().filter(|c| c.addrs.contains(&addr));
                return match (have.next(), have.next()) {
                    (Some(c), None) => Owner::Container(c.id.clone()),
                    // Of a pod's containers any may have done it; the first stands for the pod.
                    (Some(c), Some(d)) if !c.pod.is_empty() && c.pod == d.pod => {
                        Owner::Container(c.id.clone())
                    }
                    _ => Owner::Other(format!("{ip} (behind this node)"), Way::Address),
                };
            }
            Who::Container { id, name } => {
                let known = self
                    .containers
                    .iter()
                    .find(|c| id.len() >= SHORT_ID && c.id.starts_with(id.as_str()));
                if let Some(c) = known {
                    return Owner::Container(c.id.clone());
                }
                (id.clone(), name.clone(), String::new(), String::new())
            }
            Who::Pod {
                namespace,
                pod,
                container,
            } => {
                let known = self.containers.iter().find(|c| {
                    c.pod == *pod
                        && (container.is_empty() || c.name == *container)
                        && (c.namespace.is_empty() || c.namespace == *namespace)
                });
                if let Some(c) = known {
                    return Owner::Container(c.id.clone());
                }
                let id = format!("{namespace}/{pod}/{container}");
                (id, container.clone(), pod.clone(), namespace.clone())
            }
        };
        self.containers.push(Container {
            name: if name.is_empty() && pod.is_empty() {
                format!("(gone) {id}")
            } else {
                name
            },
            id: id.clone(),
            pod,
            namespace,
            ..Container::default()
        });
        Owner::Container(id)
    }

    fn by_pod(&self, name: &str) -> Option<String> {
        let (pod, namespace, container) = pod_of(name)?;
        let of_pod = |c: &&Container| {
            c.pod == pod
                && c.name == container
                && (c.namespace.is_empty() || c.namespace == namespace)
        };
        let attempt: Option<u64> = name
            .rsplit('/')
            .next()
            .and_then(|f| f.split('.').next())
            .and_then(|n| n.parse().ok());
        let all: Vec<&Container> = self.containers.iter().filter(of_pod).collect();
        all.iter()
            .find(|c| attempt == Some(c.restarts))
            .or(all.first())
            .map(|c| c.id.clone())
    }
}

/// `NAMESPACE_POD_UID/CONTAINER/N.log` (kubelet) → pod, namespace, container.
fn pod_of(name: &str) -> Option<(String, String, String)> {
    let mut parts = name.rsplit('/');
    let _file = parts.next()?;
    let container = parts.next()?;
    let mut folder = parts.next()?.split('_');
    let (namespace, pod, _uid) = (folder.next()?, folder.next()?, folder.next()?);
    Some((pod.to_owned(), namespace.to_owned(), container.to_owned()))
}

/// What a log is called after: `job` of `logs/job.log`.
fn called(stem: &str) -> Option<&str> {
    let file = stem.rsplit('/').next()?;
    [".log", ".txt", ".out"]
        .iter()
        .find_map(|e| file.strip_suffix(e))
}

/// `x-json.log` of `x-json.log.2.gz`.
fn unrotated(name: &str) -> &str {
    let name = [".gz", ".zst", ".xz", ".bz2"]
        .iter()
        .find_map(|e| name.strip_suffix(e))
        .unwrap_or(name);
    match name.rsplit_once('.') {
        Some((stem, n))
            if !n.is_empty() && n.len() <= 3 && n.bytes().all(|b| b.is_ascii_digit()) =>
        {
            stem
        }
        _ => name,
    }
}

/// The last `depth` parts of a path.
fn tail(path: &str, depth: usize) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    let mut at = path.len();
    for _ in 0..depth {
        match path.get(..at)?.rfind('/') {
            Some(slash) => at = slash,
            None => return Some(path),
        }
    }
    path.get(at + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, log_path: &str, pod: &str, restarts: u64) -> Container {
        Container {
            id: id.to_owned(),
            name: "job".to_owned(),
            log_path: log_path.to_owned(),
            pod: pod.to_owned(),
            namespace: "prod".to_owned(),
            restarts,
            ..Container::default()
        }
    }

    #[test]
    fn logs_find_their_container() {
        let a = "a".repeat(64);
        let b = format!("{}{}", "b1c2d3e4f5a6", "0".repeat(52));
        let gone = "c".repeat(64);
        let mut o = Owners::new(vec![
            container(
                &a,
                &format!("/var/lib/docker/containers/{a}/{a}-json.log"),
                "",
                0,
            ),
            container(&b, "/var/log/pods/prod_p-0_uid/job/0.log", "p-0", 0),
            container("d", "/var/log/pods/prod_p-0_uid/job/1.log", "p-0", 1),
        ]);
        let of = |o: &mut Owners, name: &str| o.of(name, b"2023-03-28T16:00:15Z stdout F x\n");
        assert_eq!(of(&mut o, &format!("logs/{a}-json.log")).as_ref(), Some(&a));
        assert_eq!(
            of(&mut o, &format!("logs/{a}-json.log.2.gz")).as_ref(),
            Some(&a)
        );
        assert_eq!(of(&mut o, "logs/b1c2d3e4f5a6.log").as_ref(), Some(&b));
        assert_eq!(
            of(&mut o, "pods/prod_p-0_uid/job/1.log").as_deref(),
            Some("d")
        );
        assert_eq!(
            of(&mut o, "pods/prod_p-0_uid/job/0.log.20230328-160015").as_ref(),
            Some(&b)
        );
        assert_eq!(o.of("syslog", b"Mar 28 00:00:15 n7 cron[1]: x\n"), None);
        assert_eq!(o.of("app.log", b"2023-03-28T16:00:15Z hello\n"), None);
        assert_eq!(
            of(&mut o, &format!("logs/{gone}-json.log")).as_ref(),
            Some(&gone)
        );
        assert_eq!(o.containers().len(), 4);
    }
}
