//! Containers as their runtimes describe them: `docker inspect`, `podman inspect`, `crictl inspect` and `crictl ps -o json`,
//! `kubectl get pods -o json`. Environment values are never read.

use crate::time::Time;
use serde::Serialize;
use serde_json::Value;

/// One container, running or gone.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub image: String,
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub restarts: u64,
    /// Of its first process, on the node; 0: not running, or not known.
    pub pid: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub labels: Vec<(String, String)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log_path: String,
    /// Its own addresses.
    pub addrs: Vec<String>,
    /// Folders of its layers on the node.
    #[serde(skip)]
    pub layers: Vec<String>,
    /// Docker's and podman's word for its network: `none` cannot reach anybody.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// Who keeps its output: `json-file`, `journald`, `none`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log_driver: String,
    /// What checks its health, as its engine runs it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health_check: String,
    /// The last checks: when they began, and what they said.
    #[serde(skip)]
    pub checks: Vec<(Time, String)>,
}

/// Texts are cut here: they come from whoever may start containers.
const MAX_TEXT: usize = 4096;
/// Labels and arguments kept.
const MAX_LIST: usize = 256;

impl Container {
    /// Whether it may have run at `t`. A container that started again is alive since it was created: nobody writes down the pauses.
    pub fn alive_at(&self, t: Time) -> bool {
        let born = match (self.created, self.started) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        born.is_none_or(|b| b <= t) && self.finished.is_none_or(|f| t <= f)
    }

    /// Whether anybody still knew when it lived: of one that is gone there may be no more than a log or an audit record.
    pub fn is_described(&self) -> bool {
        self.created.is_some() || self.started.is_some() || self.finished.is_some()
    }

    pub fn born(&self) -> Option<Time> {
        self.created.or(self.started)
    }

    /// `pod/name` where it belongs to a pod, otherwise the name without Docker's slash.
    pub fn shown_name(&self) -> String {
        let name = self.name.trim_start_matches('/');
        if self.pod.is_empty() || name.contains(&self.pod) {
            name.to_owned()
        } else {
            format!("{}/{name}", self.pod)
        }
    }
}

fn text(v: Option<&Value>) -> String {
    let s = match v {
        Some(Value::String(s)) => s.as_str(),
        _ => "",
    };
    let mut end = s.len().min(MAX_TEXT);
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    s.get(..end).unwrap_or_default().to_owned()
}

fn texts(v: Option<&Value>) -> Vec<String> {
    match v {
        Some(Value::Array(list)) => list
            .iter()
            .take(MAX_LIST)
            .filter(|v| v.is_string())
            .map(|v| text(Some(v)))
            .collect(),
        Some(Value::String(_)) => vec![text(v)],
        _ => Vec::new(),
    }
}

/// RFC 3339, or nanoseconds since the epoch as a number or its digits. The zero time of Go (year 1) and 0 are no time.
fn time(v: Option<&Value>) -> Option<Time> {
    let nanos = match v? {
        Value::Number(n) => n.as_i64()?,
        Value::String(s) => match s.parse::<i64>() {
            Ok(n) => n,
            Err(_) => {
                let (t, _) = Time::parse_rfc3339(s.as_bytes())?;
                return (t.0 > 0).then_some(t);
            }
        },
        _ => return None,
    };
    // Seconds, where it cannot be nanoseconds.
    let micros = if nanos < 100_000_000_000 {
        nanos.checked_mul(1_000_000)?
    } else {
        nanos / 1000
    };
    (micros > 0).then_some(Time(micros))
}

fn labels(v: Option<&Value>) -> Vec<(String, String)> {
    match v {
        Some(Value::Object(map)) => map
            .iter()
            .take(MAX_LIST)
            .map(|(k, v)| (text(Some(&Value::String(k.clone()))), text(Some(v))))
            .collect(),
        _ => Vec::new(),
    }
}

fn label(labels: &[(String, String)], keys: &[&str]) -> String {
    keys.iter()
        .find_map(|k| labels.iter().find(|(l, _)| l == k))
        .map(|(_, v)| v.clone())
        .unwrap_or_default()
}

/// All containers in a JSON document, whatever it is a list of.
pub fn parse(document: &Value) -> Vec<Container> {
    let mut out = Vec::new();
    collect(document, &mut out, 0);
    out
}

/// A node cannot run more than this; a hostile file can list more.
const MAX_CONTAINERS: usize = 100_000;

fn collect(v: &Value, out: &mut Vec<Container>, depth: usize) {
    if depth > 4 || out.len() >= MAX_CONTAINERS {
        return;
    }
    match v {
        Value::Array(list) => {
            for v in list {
                collect(v, out, depth + 1);
            }
        }
        Value::Object(map) => {
            for key in ["containers", "items"] {
                if let Some(list @ Value::Array(_)) = map.get(key) {
                    return collect(list, out, depth + 1);
                }
            }
            let found = if map.contains_key("Id") || map.contains_key("ID") {
                docker(v)
            } else if map.get("status").is_some_and(|s| s.get("id").is_some()) {
                cri(v)
            } else if map.contains_key("id") {
                cri_listed(v)
            } else if map.contains_key("spec") {
                pod(v, out);
                None
            } else {
                None
            };
            out.extend(found.filter(|c| !c.id.is_empty()));
        }
        _ => {}
    }
}

fn docker(v: &Value) -> Option<Container> {
    let state = v.get("State");
    let of_state = |key: &str| state.and_then(|s| s.get(key));
    let config = v.get("Config");
    let labels = labels(config.and_then(|c| c.get("Labels")).or(v.get("Labels")));
    let mut command = texts(v.get("Path"));
    command.extend(texts(v.get("Args")));
    if command.is_empty() {
        command = texts(config.and_then(|c| c.get("Entrypoint")));
        command.extend(texts(config.and_then(|c| c.get("Cmd"))));
    }
    let running = of_state("Running").and_then(Value::as_bool).unwrap_or(
        of_state("Status")
            .and_then(Value::as_str)
            .is_some_and(|s| s == "running"),
    );
    let mut addrs = Vec::new();
    if let Some(settings) = v.get("NetworkSettings") {
        addrs.push(text(settings.get("IPAddress")));
        if let Some(Value::Object(nets)) = settings.get("Networks") {
            for net in nets.values().take(MAX_LIST) {
                addrs.push(text(net.get("IPAddress")));
                addrs.push(text(net.get("GlobalIPv6Address")));
            }
        }
    }
    addrs.retain(|a| !a.is_empty());
    addrs.dedup();
    let layers = v
        .get("GraphDriver")
        .and_then(|g| g.get("Data"))
        .map(|d| ["UpperDir", "MergedDir"].map(|k| text(d.get(k))))
        .into_iter()
        .flatten()
        .filter(|l| !l.is_empty())
        .collect();
    let name = match v.get("Names") {
        Some(Value::Array(names)) if v.get("Name").is_none() => text(names.first()),
        _ => text(v.get("Name")),
    };
    let image = text(config.and_then(|c| c.get("Image")));
    Some(Container {
        id: text(v.get("Id").or(v.get("ID"))),
        name,
        image: if image.is_empty() {
            text(v.get("ImageName").or(v.get("Image")))
        } else {
            image
        },
        command,
        created: time(v.get("Created")),
        started: time(of_state("StartedAt")),
        finished: if running {
            None
        } else {
            time(of_state("FinishedAt"))
        },
        exit_code: if running {
            None
        } else {
            of_state("ExitCode").and_then(Value::as_i64)
        },
        oom_killed: of_state("OOMKilled")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        restarts: v.get("RestartCount").and_then(Value::as_u64).unwrap_or(0),
        pid: of_state("Pid")
            .and_then(Value::as_u64)
            .and_then(|p| u32::try_from(p).ok())
            .unwrap_or(0),
        pod: label(&labels, &["io.kubernetes.pod.name"]),
        namespace: label(&labels, &["io.kubernetes.pod.namespace"]),
        labels,
        log_path: log_path(v),
        addrs,
        layers,
        network: text(v.get("HostConfig").and_then(|h| h.get("NetworkMode"))),
        log_driver: text(
            v.get("HostConfig")
                .and_then(|h| h.get("LogConfig"))
                .and_then(|l| l.get("Type")),
        ),
        health_check: health_check(config),
        checks: checks(state),
    })
}

/// Docker says it at the top, podman among the settings of its log driver.
fn log_path(v: &Value) -> String {
    let docker = text(v.get("LogPath"));
    if docker.is_empty() {
        let config = v.get("HostConfig").and_then(|h| h.get("LogConfig"));
        text(config.and_then(|l| l.get("Path")))
    } else {
        docker
    }
}

/// `["CMD-SHELL", "curl -f localhost"]`; `["NONE"]` is none.
fn health_check(config: Option<&Value>) -> String {
    let test = texts(
        config
            .and_then(|c| c.get("Healthcheck"))
            .and_then(|h| h.get("Test")),
    );
    match test.split_first() {
        Some((how, rest)) if how.starts_with("CMD") => rest.join(" "),
        _ => String::new(),
    }
}

fn checks(state: Option<&Value>) -> Vec<(Time, String)> {
    let health = state.and_then(|s| s.get("Health").or(s.get("Healthcheck")));
    let list = health.and_then(|h| h.get("Log")).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .take(MAX_LIST)
        .filter_map(|c| Some((time(c.get("Start"))?, text(c.get("Output")))))
        .collect()
}

/// `crictl inspect`: the CRI's ContainerStatus, with the runtime's own `info` beside it.
fn cri(v: &Value) -> Option<Container> {
    let status = v.get("status")?;
    let info = v.get("info");
    let labels = labels(status.get("labels"));
    let process = info
        .and_then(|i| i.get("runtimeSpec"))
        .and_then(|s| s.get("process"));
    let mut command = texts(process.and_then(|p| p.get("args")));
    if command.is_empty() {
        let config = info.and_then(|i| i.get("config"));
        command = texts(config.and_then(|c| c.get("command")));
        command.extend(texts(config.and_then(|c| c.get("args"))));
    }
    let exited = status
        .get("state")
        .and_then(Value::as_str)
        .is_some_and(|s| s.contains("EXITED"));
    Some(Container {
        id: text(status.get("id")),
        name: text(status.get("metadata").and_then(|m| m.get("name"))),
        image: text(status.get("image").and_then(|i| i.get("image"))),
        command,
        created: time(status.get("createdAt")),
        started: time(status.get("startedAt")),
        finished: time(status.get("finishedAt")).filter(|_| exited),
        exit_code: status
            .get("exitCode")
            .and_then(Value::as_i64)
            .filter(|_| exited),
        oom_killed: text(status.get("reason")) == "OOMKilled",
        restarts: status
            .get("metadata")
            .and_then(|m| m.get("attempt"))
            .and_then(Value::as_u64)
            .unwrap_or(0),
        pid: info
            .and_then(|i| i.get("pid"))
            .and_then(Value::as_u64)
            .and_then(|p| u32::try_from(p).ok())
            .unwrap_or(0),
        pod: label(&labels, &["io.kubernetes.pod.name"]),
        namespace: label(&labels, &["io.kubernetes.pod.namespace"]),
        labels,
        log_path: text(status.get("logPath")),
        ..Container::default()
    })
}

/// One row of `crictl ps -a -o json`.
fn cri_listed(v: &Value) -> Option<Container> {
    let labels = labels(v.get("labels"));
    Some(Container {
        id: text(v.get("id")),
        name: text(v.get("metadata").and_then(|m| m.get("name"))),
        image: text(v.get("image").and_then(|i| i.get("image"))),
        created: time(v.get("createdAt")),
        pod: label(&labels, &["io.kubernetes.pod.name"]),
        namespace: label(&labels, &["io.kubernetes.pod.namespace"]),
        labels,
        ..Container::default()
    })
}

/// A pod of the Kubernetes API: its containers, each with the state that the kubelet last saw.
fn pod(v: &Value, out: &mut Vec<Container>) {
    let meta = v.get("metadata");
    let (pod, namespace) = (
        text(meta.and_then(|m| m.get("name"))),
        text(meta.and_then(|m| m.get("namespace"))),
    );
    let status = v.get("status");
    // A pod in the node's own network has the node's address, as has everything else there.
    let shared = v
        .get("spec")
        .and_then(|s| s.get("hostNetwork"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let of_status = |key: &str| text(status.and_then(|s| s.get(key)));
    let ip = if shared || of_status("podIP") == of_status("hostIP") {
        String::new()
    } else {
        of_status("podIP")
    };
    let specs = v
        .get("spec")
        .and_then(|s| s.get("containers"))
        .and_then(Value::as_array);
    let list = |key: &str| {
        status
            .and_then(|s| s.get(key))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    for c in list("containerStatuses").chain(list("initContainerStatuses")) {
        let name = text(c.get("name"));
        let spec = specs.and_then(|s| s.iter().find(|s| text(s.get("name")) == name));
        let mut command = texts(spec.and_then(|s| s.get("command")));
        command.extend(texts(spec.and_then(|s| s.get("args"))));
        let state = |outer: &str, inner: &str, key: &str| {
            c.get(outer)
                .and_then(|s| s.get(inner))
                .and_then(|s| s.get(key))
        };
        let id = |v: Option<&Value>| {
            let full = text(v);
            full.split_once("://")
                .map_or(full.clone(), |(_, id)| id.to_owned())
        };
        let one = |id: String, started, finished, exit_code| Container {
            id,
            name: name.clone(),
            image: text(c.get("image")),
            command: command.clone(),
            created: started,
            started,
            finished,
            exit_code,
            restarts: c.get("restartCount").and_then(Value::as_u64).unwrap_or(0),
            pod: pod.clone(),
            namespace: namespace.clone(),
            addrs: if ip.is_empty() {
                Vec::new()
            } else {
                vec![ip.clone()]
            },
            ..Container::default()
        };
        let now = id(c.get("containerID"));
        if !now.is_empty() {
            out.push(one(
                now,
                time(state("state", "running", "startedAt")).or(time(state(
                    "state",
                    "terminated",
                    "startedAt",
                ))),
                time(state("state", "terminated", "finishedAt")),
                state("state", "terminated", "exitCode").and_then(Value::as_i64),
            ));
        }
        // The life before a restart has an id of its own.
        let before = id(state("lastState", "terminated", "containerID"));
        if !before.is_empty() {
            out.push(one(
                before,
                time(state("lastState", "terminated", "startedAt")),
                time(state("lastState", "terminated", "finishedAt")),
                state("lastState", "terminated", "exitCode").and_then(Value::as_i64),
            ));
        }
    }
}

/// The same container described by two sources is one: what one leaves open the other fills in.
pub fn merge(list: Vec<Container>) -> Vec<Container> {
    let mut out: Vec<Container> = Vec::with_capacity(list.len());
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for c in list {
        let Some(known) = places.get(&c.id).and_then(|at| out.get_mut(*at)) else {
            places.insert(c.id.clone(), out.len());
            out.push(c);
            continue;
        };
        let fill = |place: &mut String, other: String| {
            if place.is_empty() {
                *place = other;
            }
        };
        fill(&mut known.name, c.name);
        fill(&mut known.image, c.image);
        fill(&mut known.pod, c.pod);
        fill(&mut known.namespace, c.namespace);
        fill(&mut known.log_path, c.log_path);
        fill(&mut known.network, c.network);
        fill(&mut known.log_driver, c.log_driver);
        fill(&mut known.health_check, c.health_check);
        if known.checks.is_empty() {
            known.checks = c.checks;
        }
        known.created = match (known.created, c.created) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        known.started = known.started.or(c.started);
        // An end before the last start is another life's.
        let later = |f: &Time| known.started.is_none_or(|s| *f > s);
        known.finished = known.finished.or(c.finished.filter(later));
        known.exit_code = known.exit_code.or(c.exit_code);
        if known.pid == 0 {
            known.pid = c.pid;
        }
        if known.command.is_empty() {
            known.command = c.command;
        }
        if known.labels.is_empty() {
            known.labels = c.labels;
        }
        if known.layers.is_empty() {
            known.layers = c.layers;
        }
        for a in c.addrs {
            if !known.addrs.contains(&a) {
                known.addrs.push(a);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn docker_and_podman_and_crictl_and_kubectl_say_the_same() {
        let docker = json!([{"Id": "ab12", "Created": "2023-03-01T00:00:00.5Z", "Path": "/run.sh", "Args": ["-x"], "Name": "/job",
            "State": {"Status": "exited", "Running": false, "ExitCode": 137, "Pid": 0, "StartedAt": "2023-03-01T00:00:01Z",
                      "FinishedAt": "2023-03-02T00:00:00Z", "OOMKilled": true},
            "Config": {"Image": "img:1", "Env": ["PASSWORD=secret"], "Labels": {"io.kubernetes.pod.namespace": "prod"}}}]);
        let cri = json!({"status": {"id": "ab12", "metadata": {"name": "job", "attempt": 2}, "state": "CONTAINER_EXITED",
            "createdAt": "2023-03-01T00:00:00.5Z", "startedAt": "2023-03-01T08:00:01+08:00", "finishedAt": "2023-03-02T00:00:00Z", "exitCode": 137,
            "image": {"image": "img:1"}, "labels": {"io.kubernetes.pod.namespace": "prod"}},
            "info": {"pid": 0, "runtimeSpec": {"process": {"args": ["/run.sh", "-x"], "env": ["PASSWORD=secret"]}}}});
        let pod = json!({"kind": "List", "items": [{"metadata": {"name": "p-0", "namespace": "prod"},
            "spec": {"containers": [{"name": "job", "command": ["/run.sh"], "args": ["-x"]}]},
            "status": {"podIP": "192.0.2.9", "containerStatuses": [{"name": "job", "image": "img:1", "containerID": "containerd://cd34",
              "state": {"running": {"startedAt": "2023-03-02T00:00:05Z"}}, "restartCount": 1,
              "lastState": {"terminated": {"containerID": "containerd://ab12", "startedAt": "2023-03-01T00:00:01Z", "finishedAt": "2023-03-02T00:00:00Z", "exitCode": 137}}}]}}]});
        for doc in [&docker, &cri] {
            let list = parse(doc);
            assert_eq!(list.len(), 1);
            let c = &list[0];
            assert_eq!((c.id.as_str(), c.image.as_str()), ("ab12", "img:1"));
            assert_eq!(c.command, ["/run.sh", "-x"]);
            assert_eq!(
                c.created.unwrap().to_string(),
                "2023-03-01T00:00:00.500000Z"
            );
            assert_eq!(c.started.unwrap().to_string(), "2023-03-01T00:00:01Z");
            assert_eq!(c.finished.unwrap().to_string(), "2023-03-02T00:00:00Z");
            assert_eq!(c.namespace, "prod");
            assert!(!format!("{c:?}").contains("secret"));
        }
        let pods = parse(&pod);
        assert_eq!(pods.len(), 2);
        assert_eq!(pods[0].finished, None);
        assert_eq!(pods[1].id, "ab12");
        let merged = merge([parse(&docker), parse(&cri), pods].concat());
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].pod, "p-0");
    }

    #[test]
    fn the_zero_time_is_no_time_and_a_running_container_has_no_end() {
        let list = parse(&json!([{"Id": "a", "Created": "2023-03-01T00:00:00Z",
            "State": {"Running": true, "StartedAt": "2023-03-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z", "Pid": 77}}]));
        assert_eq!(list[0].finished, None);
        assert_eq!(list[0].pid, 77);
        assert!(list[0].alive_at(Time::from_secs(1_700_000_000)));
        assert!(!list[0].alive_at(Time::from_secs(1_600_000_000)));
        let listed = parse(
            &json!({"containers": [{"id": "b", "createdAt": "1677628800000000000", "metadata": {"name": "x"}}]}),
        );
        assert_eq!(
            listed[0].created.unwrap().to_string(),
            "2023-03-01T00:00:00Z"
        );
    }

    #[test]
    fn documents_that_are_something_else_give_nothing() {
        for doc in [
            json!(null),
            json!(3),
            json!({"a": 1}),
            json!([[[[[[{"Id": "x"}]]]]]]),
            json!([{"Id": 5}]),
        ] {
            assert_eq!(parse(&doc), [], "{doc}");
        }
    }
}
