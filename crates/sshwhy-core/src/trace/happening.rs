//! What engines and clusters wrote down as it happened: `docker events`, `podman events`, Kubernetes events.
//!
//! They tell of containers that are gone, and they are a log of their own: a container that is started, or a command that is run in
//! one, each time before a login.

use super::container::Container;
use crate::time::{DAY, Time};
use serde_json::Value;
use std::collections::BTreeMap;

/// One thing that happened to one container (or pod).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happening {
    pub at: Time,
    /// The container's id; of a pod its uid, where the container is not named.
    pub id: String,
    pub name: String,
    pub image: String,
    pub pod: String,
    pub namespace: String,
    /// `create`, `start`, `die`, `exec_start: sh -c …`, `Killing Stopping container x`
    pub what: String,
    pub exit_code: Option<i64>,
    /// Of a pod, as Kubernetes counts it.
    pub of_pod: bool,
}

const MAX_TEXT: usize = 1000;

fn text(v: Option<&Value>) -> String {
    v.and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .take(MAX_TEXT)
        .collect()
}

fn moment(v: Option<&Value>) -> Option<Time> {
    let t = Time::parse_rfc3339(v?.as_str()?.as_bytes())?.0;
    (t.0 > 0).then_some(t)
}

/// The events in a document; nothing where it is something else.
pub fn parse(document: &Value) -> Vec<Happening> {
    match document {
        Value::Array(list) => list.iter().flat_map(one).collect(),
        Value::Object(map) => match map.get("items") {
            Some(Value::Array(list)) => list.iter().flat_map(one).collect(),
            _ => one(document),
        },
        _ => Vec::new(),
    }
}

fn one(v: &Value) -> Vec<Happening> {
    if v.get("involvedObject").or(v.get("regarding")).is_some() {
        return kubernetes(v);
    }
    docker(v).or_else(|| podman(v)).into_iter().collect()
}

/// `{"Type":"container","Action":"die","Actor":{"ID":…,"Attributes":{"name":…,"image":…,"exitCode":"0"}},"timeNano":…}`
fn docker(v: &Value) -> Option<Happening> {
    let actor = v.get("Actor")?;
    if v.get("Type")
        .and_then(Value::as_str)
        .is_some_and(|t| t != "container")
    {
        return None;
    }
    let attributes = actor.get("Attributes");
    let of = |key: &str| text(attributes.and_then(|a| a.get(key)));
    let micros = match v.get("timeNano").and_then(Value::as_i64) {
        Some(n) => n / 1000,
        None => v
            .get("time")
            .and_then(Value::as_i64)?
            .checked_mul(1_000_000)?,
    };
    Some(Happening {
        at: Time(micros),
        id: text(actor.get("ID")),
        name: of("name"),
        image: of("image"),
        pod: of("io.kubernetes.pod.name"),
        namespace: of("io.kubernetes.pod.namespace"),
        what: text(v.get("Action").or(v.get("status"))),
        exit_code: of("exitCode").parse().ok(),
        of_pod: false,
    })
    .filter(|h| !h.id.is_empty())
}

/// `{"ID":…,"Image":…,"Name":…,"Status":"died","Time":…,"Type":"container","ContainerExitCode":0}`
fn podman(v: &Value) -> Option<Happening> {
    if text(v.get("Type")) != "container" {
        return None;
    }
    let at = moment(v.get("Time").or(v.get("time"))).or_else(|| {
        let n = v.get("timeNano").and_then(Value::as_i64)?;
        Some(Time(n / 1000))
    })?;
    let status = text(v.get("Status"));
    Some(Happening {
        at,
        id: text(v.get("ID")),
        name: text(v.get("Name")),
        image: text(v.get("Image")),
        what: match status.as_str() {
            "died" => "die".to_owned(),
            "remove" => "destroy".to_owned(),
            _ => status,
        },
        exit_code: v.get("ContainerExitCode").and_then(Value::as_i64),
        ..Happening::default()
    })
    .filter(|h| !h.id.is_empty() && !h.what.is_empty())
}

/// A line of what `docker events` or `podman events` print for people: `2023-03-28T16:00:00.5Z container start ID (image=x, name=y)`,
/// `2023-03-28 16:00:00.5 +0000 UTC container start ID (image=x, name=y)`.
pub fn line(line: &[u8]) -> Option<Happening> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (stamp, rest) = line.split_once(" container ")?;
    let at = match stamp.as_bytes().get(10) {
        Some(b' ') => {
            // Go's own form, the zone twice.
            let mut parts = stamp.split(' ');
            let (day, hour, zone) = (parts.next()?, parts.next()?, parts.next()?);
            let (h, m) = (zone.get(..3)?, zone.get(3..)?);
            Time::parse_rfc3339(format!("{day}T{hour}{h}:{m}").as_bytes())?.0
        }
        _ => Time::parse_rfc3339(stamp.as_bytes())?.0,
    };
    let (head, attributes) = rest.split_once(" (").unwrap_or((rest, ""));
    // What is run in a container stands between the action and the id.
    let (action, id) = head.rsplit_once(' ')?;
    let hex = id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let of = |key: &str| {
        attributes
            .trim_end_matches(')')
            .split(", ")
            .filter_map(|a| a.split_once('='))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.chars().take(MAX_TEXT).collect::<String>())
            .unwrap_or_default()
    };
    hex.then(|| Happening {
        at,
        id: id.to_owned(),
        name: of("name"),
        image: of("image"),
        pod: of("io.kubernetes.pod.name"),
        namespace: of("io.kubernetes.pod.namespace"),
        what: match action {
            "died" => "die".to_owned(),
            "remove" => "destroy".to_owned(),
            _ => action.chars().take(MAX_TEXT).collect(),
        },
        exit_code: of("exitCode").parse().ok(),
        of_pod: false,
    })
}

/// An Event of the Kubernetes API about a pod; one that happened often has its first and its last time only.
fn kubernetes(v: &Value) -> Vec<Happening> {
    let Some(object) = v.get("involvedObject").or(v.get("regarding")) else {
        return Vec::new();
    };
    if text(object.get("kind")) != "Pod" {
        return Vec::new();
    }
    let message = text(v.get("message").or(v.get("note")));
    let path = text(object.get("fieldPath"));
    let container = path
        .split_once('{')
        .map(|(_, rest)| rest.trim_end_matches('}').to_owned())
        .unwrap_or_default();
    let quoted = message.split('"').nth(1).unwrap_or_default().to_owned();
    let pod = text(object.get("name"));
    let first = moment(v.get("firstTimestamp"))
        .or(moment(v.get("eventTime")))
        .or(moment(v.get("deprecatedFirstTimestamp")));
    let last = moment(v.get("lastTimestamp")).or(moment(v.get("deprecatedLastTimestamp")));
    let reason = text(v.get("reason"));
    let mut times: Vec<Time> = first.into_iter().chain(last).collect();
    times.dedup();
    times
        .into_iter()
        .map(|at| Happening {
            at,
            id: text(object.get("uid")),
            name: if container.is_empty() {
                pod.clone()
            } else {
                container.clone()
            },
            image: if matches!(reason.as_str(), "Pulled" | "Pulling") {
                quoted.clone()
            } else {
                String::new()
            },
            pod: pod.clone(),
            namespace: text(object.get("namespace")),
            what: format!("{reason} {message}"),
            exit_code: None,
            of_pod: true,
        })
        .filter(|h| !h.id.is_empty())
        .collect()
}

impl Happening {
    fn begins(&self) -> bool {
        matches!(self.what.as_str(), "start" | "restart" | "init")
            || self.of_pod && self.what.starts_with("Started ")
    }

    fn creates(&self) -> bool {
        self.what == "create"
            || self.of_pod
                && (self.what.starts_with("Scheduled ") || self.what.starts_with("Created "))
    }

    fn ends(&self) -> bool {
        matches!(
            self.what.as_str(),
            "die" | "destroy" | "cleanup" | "stop" | "kill"
        ) || self.of_pod && self.what.starts_with("Killing ")
    }
}

/// The containers that were spoken of, with what is known of their lives. Pods that `known` describes are left out.
pub fn containers(list: &[Happening], known: &[Container]) -> Vec<Container> {
    let mut by_id: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
    for h in list {
        if h.of_pod
            && known
                .iter()
                .any(|c| c.pod == h.pod && (c.namespace.is_empty() || c.namespace == h.namespace))
        {
            continue;
        }
        by_id.entry(&h.id).or_default().push(h);
    }
    by_id
        .into_iter()
        .map(|(id, mut events)| {
            events.sort_by_key(|h| h.at);
            let mut c = Container {
                id: id.to_owned(),
                ..Container::default()
            };
            for h in events {
                let fill = |place: &mut String, text: &String| {
                    if place.is_empty() {
                        place.clone_from(text);
                    }
                };
                fill(&mut c.image, &h.image);
                fill(&mut c.pod, &h.pod);
                fill(&mut c.namespace, &h.namespace);
                // A pod's own events name the pod, those of its container the container.
                if c.name.is_empty() || c.name == c.pod && !h.name.is_empty() {
                    c.name.clone_from(&h.name);
                }
                if h.creates() {
                    c.created = c.created.or(Some(h.at));
                }
                if h.begins() {
                    c.started = Some(h.at);
                    (c.finished, c.exit_code) = (None, None);
                }
                if h.ends() {
                    c.finished = c.finished.or(Some(h.at));
                    c.exit_code = c.exit_code.or(h.exit_code);
                }
            }
            c
        })
        .collect()
}

/// Containers that are made anew for each run of a job (a CronJob's pods, `docker run --rm`).
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// What their names have in common.
    pub name: String,
    /// In the order in which they began.
    pub members: Vec<String>,
    /// When each began.
    pub times: Vec<Time>,
    /// From the first one's beginning to the last one's end.
    pub born: Time,
    pub finished: Time,
}

/// Families: short lives, one after the other, with names that differ only in digits and in what is drawn by lot.
pub fn families(list: &[Container]) -> Vec<Family> {
    let mut groups: BTreeMap<(String, String), Vec<(Time, Time, &Container)>> = BTreeMap::new();
    for c in list {
        // Who lives for hours is no run of a job.
        if let (Some(b), Some(f)) = (c.started.or(c.created), c.finished)
            && f.0 - b.0 < DAY / 4
        {
            groups
                .entry((c.namespace.clone(), family(c)))
                .or_default()
                .push((b, f, c));
        }
    }
    groups
        .into_iter()
        .filter_map(|((_, name), mut members)| {
            members.sort_by(|a, b| (a.0, &a.2.id).cmp(&(b.0, &b.2.id)));
            let together = members
                .windows(2)
                .filter(|w| matches!(w, [a, b] if b.0 < a.1))
                .count();
            if members.len() < 4 || together * 5 > members.len() {
                return None;
            }
            Some(Family {
                name,
                born: members.first()?.0,
                finished: members.iter().map(|m| m.1).max()?,
                times: members.iter().map(|m| m.0).collect(),
                members: members.into_iter().map(|m| m.2.id.clone()).collect(),
            })
        })
        .collect()
}

/// `k8s_sync_sync-#-#_default` of `k8s_sync_sync-28012345-x7k2p_default_UID_0`; Docker's invented names say nothing, so the image does.
fn family(c: &Container) -> String {
    let name = if c.pod.is_empty() {
        c.shown_name()
    } else {
        c.pod.clone()
    };
    let mut parts: Vec<String> = name
        .split(['-', '_', '.', '/'])
        .map(|p| {
            let digits = p.bytes().any(|b| b.is_ascii_digit());
            if digits || p.len() == 5 && !c.pod.is_empty() {
                "#".to_owned()
            } else {
                p.to_owned()
            }
        })
        .collect();
    parts.dedup();
    let command = c.command.first().cloned().unwrap_or_default();
    let invented = c.pod.is_empty() && name.split('_').count() == 2 && !name.contains(['-', '.']);
    if invented || parts.iter().all(|p| p == "#") {
        return format!("{} {command}", c.image);
    }
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lives_are_told_by_each_engine() {
        let docker = json!([
            {"Type": "container", "Action": "create", "Actor": {"ID": "ab", "Attributes": {"name": "job", "image": "img:1"}}, "timeNano": 1_680_000_000_000_000_000i64},
            {"Type": "container", "Action": "start", "Actor": {"ID": "ab", "Attributes": {"name": "job"}}, "time": 1_680_000_001},
            {"Type": "container", "Action": "die", "Actor": {"ID": "ab", "Attributes": {"exitCode": "255"}}, "time": 1_680_000_060},
            {"Type": "container", "Action": "destroy", "Actor": {"ID": "ab"}, "time": 1_680_000_061},
            {"Type": "network", "Action": "x", "Actor": {"ID": "n"}, "time": 1}]);
        let podman = json!([{"ID": "ab", "Image": "img:1", "Name": "job", "Status": "create", "Time": "2023-03-28T10:40:00Z", "Type": "container"},
            {"ID": "ab", "Name": "job", "Status": "start", "Time": "2023-03-28T10:40:01Z", "Type": "container"},
            {"ID": "ab", "Name": "job", "Status": "died", "ContainerExitCode": 255, "Time": "2023-03-28T10:41:00Z", "Type": "container"}]);
        for doc in [docker, podman] {
            let list = containers(&parse(&doc), &[]);
            assert_eq!(list.len(), 1);
            let c = &list[0];
            assert_eq!(
                (
                    c.id.as_str(),
                    c.name.as_str(),
                    c.image.as_str(),
                    c.exit_code
                ),
                ("ab", "job", "img:1", Some(255))
            );
            assert_eq!(c.created, Some(Time::from_secs(1_680_000_000)));
            assert_eq!(c.finished, Some(Time::from_secs(1_680_000_060)));
        }
        let kubernetes = json!({"kind": "List", "items": [
            {"kind": "Event", "reason": "Pulled", "message": "Container image \"img:1\" already present", "firstTimestamp": "2023-03-28T10:40:00Z",
             "involvedObject": {"kind": "Pod", "name": "p-0", "namespace": "prod", "uid": "u-1", "fieldPath": "spec.containers{job}"}},
            {"kind": "Event", "reason": "Started", "message": "Started container job", "firstTimestamp": "2023-03-28T10:40:01Z", "lastTimestamp": "2023-03-28T10:40:01Z",
             "involvedObject": {"kind": "Pod", "name": "p-0", "namespace": "prod", "uid": "u-1", "fieldPath": "spec.containers{job}"}},
            {"kind": "Event", "reason": "Killing", "message": "Stopping container job", "firstTimestamp": null, "lastTimestamp": "2023-03-28T10:50:00Z",
             "involvedObject": {"kind": "Pod", "name": "p-0", "namespace": "prod", "uid": "u-1", "fieldPath": "spec.containers{job}"}},
            {"kind": "Event", "reason": "X", "involvedObject": {"kind": "Node", "name": "n", "uid": "n"}}]});
        let events = parse(&kubernetes);
        let list = containers(&events, &[]);
        assert_eq!(list.len(), 1);
        assert_eq!(
            (
                list[0].id.as_str(),
                list[0].name.as_str(),
                list[0].pod.as_str(),
                list[0].image.as_str()
            ),
            ("u-1", "job", "p-0", "img:1")
        );
        assert!(list[0].finished.is_some());
        let known = Container {
            pod: "p-0".to_owned(),
            ..Container::default()
        };
        assert!(
            containers(&events, &[known]).is_empty(),
            "described better elsewhere"
        );
    }

    #[test]
    fn lines_for_people_tell_the_same() {
        let id = "5c1b0c2d3e4f5c1b0c2d3e4f5c1b0c2d3e4f5c1b0c2d3e4f5c1b0c2d3e4f5c1b";
        let docker = format!(
            "2023-03-28T18:40:00.5+08:00 container die {id} (execDuration=4, exitCode=255, image=img:1, name=job)"
        );
        let podman = format!(
            "2023-03-28 10:40:00.5 +0000 UTC container died {id} (image=img:1, name=job, exitCode=255)"
        );
        for text in [docker, podman] {
            let h = line(text.as_bytes()).unwrap();
            assert_eq!(
                (
                    h.id.as_str(),
                    h.name.as_str(),
                    h.image.as_str(),
                    h.what.as_str(),
                    h.exit_code
                ),
                (id, "job", "img:1", "die", Some(255)),
                "{text}"
            );
            assert_eq!(h.at, Time(1_680_000_000_500_000), "{text}");
        }
        let exec = format!("2023-03-28T10:40:00Z container exec_start: ssh a@b {id} (image=img:1)");
        assert_eq!(line(exec.as_bytes()).unwrap().what, "exec_start: ssh a@b");
        for none in [
            "2023-03-28T10:40:00Z the container start was slow",
            "2023-03-28T10:40:00Z network connect 5c1b0c2d3e4f (name=bridge)",
            "x container start 5c1b0c2d3e4f",
            "2023-03-28 10:40 container start 5c1b0c2d3e4f",
            " container ",
            "",
        ] {
            assert_eq!(line(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn who_started_again_has_not_ended() {
        let event = |action: &str, time: i64| json!({"Type": "container", "Action": action, "Actor": {"ID": "ab"}, "time": time});
        let doc = json!([event("start", 10), event("die", 20), event("start", 30)]);
        let list = containers(&parse(&doc), &[]);
        assert_eq!(
            (list[0].started, list[0].finished),
            (Some(Time::from_secs(30)), None)
        );
    }

    #[test]
    fn runs_of_a_job_are_one_family() {
        let run = |n: i64, name: &str, pod: &str| Container {
            id: format!("{n}"),
            name: name.to_owned(),
            pod: pod.to_owned(),
            image: "img".to_owned(),
            created: Some(Time::from_secs(n * 1000)),
            finished: Some(Time::from_secs(n * 1000 + 60)),
            ..Container::default()
        };
        let mut list: Vec<Container> = (1..6)
            .map(|n| run(n, "sync", &format!("sync-2801234{n}-x7k2p")))
            .collect();
        list.extend(
            ["happy_einstein", "sad_curie", "odd_bohr", "shy_noether"]
                .iter()
                .enumerate()
                .map(|(i, n)| run(i as i64 + 20, n, "")),
        );
        list.push(run(99, "alone", ""));
        let found = families(&list);
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .any(|f| f.members.last().is_some_and(|m| m == "5") && f.times.len() == 5)
        );
        assert!(
            found
                .iter()
                .any(|f| f.members.last().is_some_and(|m| m == "23") && f.times.len() == 4)
        );
    }

    #[test]
    fn other_documents_give_nothing() {
        for doc in [
            json!(null),
            json!([1, "x"]),
            json!({"Actor": 3}),
            json!({"items": [{"involvedObject": {}}]}),
        ] {
            assert_eq!(parse(&doc), [], "{doc}");
        }
    }
}
