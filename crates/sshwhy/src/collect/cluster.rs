//! Containers that Kubernetes runs: through `crictl` on the node and `kubectl` with the kubeconfig, where they are there.

use super::logs::{self, Form};
use super::{Known, Node, file_list};
use serde_json::Value;
use sshwhy_core::time::Time;
use sshwhy_core::trace::container::parse;
use sshwhy_core::trace::digest::container_line;
use sshwhy_core::trace::mask;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn json(node: &Node<'_>, program: &str, arguments: &[&str]) -> Result<Option<Value>, String> {
    match node.run(program, arguments, PATIENCE) {
        None => Ok(None),
        Some(Err(e)) => Err(e),
        Some(Ok(text)) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| format!("its answer is no JSON: {e}")),
    }
}

/// What the runtime says through the CRI.
pub fn cri(node: &mut Node<'_>, known: &mut Vec<Known>) -> Result<(), String> {
    let list = match json(node, "crictl", &["ps", "-a", "-o", "json"]) {
        Ok(Some(v)) => v,
        Ok(None) => {
            node.pack
                .refuse("containerd and CRI-O", "crictl is not there");
            return Ok(());
        }
        Err(e) => {
            node.pack.refuse("crictl ps -a", e);
            return Ok(());
        }
    };
    let mut all = Vec::new();
    for c in parse(&list) {
        if node.pack.late() {
            node.pack
                .refuse("crictl inspect", "the time given was over");
            break;
        }
        match json(node, "crictl", &["inspect", "-o", "json", &c.id]) {
            Ok(Some(mut v)) => {
                mask::scrub(&mut v);
                known.extend(parse(&v).into_iter().map(|c| Known {
                    id: c.id,
                    log_path: c.log_path,
                    ..Known::default()
                }));
                all.push(v);
            }
            Ok(None) => {}
            Err(e) => node.pack.refuse(format!("crictl inspect {}", c.id), e),
        }
    }
    let mut list = list;
    mask::scrub(&mut list);
    all.push(list);
    let text = serde_json::to_vec_pretty(&all).map_err(|e| e.to_string())?;
    node.pack.add("cri.json", "crictl", &text)
}

/// What the cluster's API says of pods and events.
pub fn kubernetes(node: &mut Node<'_>) -> Result<(), String> {
    let config = std::env::var_os("KUBECONFIG").is_some()
        || [
            "/root/.kube/config",
            "/etc/kubernetes/admin.conf",
            "/etc/kubernetes/kubelet.conf",
            "/etc/rancher/k3s/k3s.yaml",
        ]
        .iter()
        .any(|p| Path::new(p).exists());
    if !node.live || !config {
        if node.live {
            node.pack.refuse("Kubernetes API", "no kubeconfig is there");
        }
        return Ok(());
    }
    let extra: Vec<String> =
        if std::env::var_os("KUBECONFIG").is_some() || Path::new("/root/.kube/config").exists() {
            Vec::new()
        } else {
            [
                "/etc/kubernetes/admin.conf",
                "/etc/kubernetes/kubelet.conf",
                "/etc/rancher/k3s/k3s.yaml",
            ]
            .iter()
            .find(|p| Path::new(p).exists())
            .map(|p| format!("--kubeconfig={p}"))
            .into_iter()
            .collect()
        };
    for (name, what) in [("pods.json", "pods"), ("events/kubernetes.json", "events")] {
        let mut arguments: Vec<&str> = extra.iter().map(String::as_str).collect();
        arguments.extend([
            "get",
            what,
            "--all-namespaces",
            "-o",
            "json",
            "--request-timeout=20s",
        ]);
        match json(node, "kubectl", &arguments) {
            Ok(Some(mut v)) => {
                mask::scrub(&mut v);
                let text = serde_json::to_vec(&v).map_err(|e| e.to_string())?;
                node.pack.add(name, &format!("kubectl get {what}"), &text)?;
            }
            Ok(None) => {
                node.pack.refuse("Kubernetes API", "kubectl is not there");
                break;
            }
            Err(e) => node.pack.refuse(format!("kubectl get {what}"), e),
        }
    }
    Ok(())
}

/// `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log`, also of pods that are gone.
pub fn pod_logs(node: &mut Node<'_>) -> Result<(), String> {
    let root = node.at("/var/log/pods");
    for pod in file_list(&root) {
        for container in file_list(&pod) {
            let mut logs: Vec<PathBuf> = file_list(&container);
            // 0.log and its rotated copies are one log.
            let current = |p: &PathBuf| {
                let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                let stem = name.split(".log").next().unwrap_or(name).to_owned();
                p.with_file_name(format!("{stem}.log"))
            };
            logs = logs.iter().map(current).collect();
            logs.sort();
            logs.dedup();
            for log in logs {
                if node.pack.late() {
                    node.pack.refuse("logs of pods", "the time given was over");
                    return Ok(());
                }
                let name = log
                    .strip_prefix(&root)
                    .unwrap_or(&log)
                    .display()
                    .to_string();
                let mut spool = node.pack.spool()?;
                let time = |line: &[u8]| -> Option<Time> { container_line(line).map(|(t, _)| t) };
                let form = Form {
                    time: &time,
                    mask: &logs::as_it_is,
                };
                match logs::copy(
                    &logs::rotated(&log),
                    node.window,
                    &form,
                    &mut spool,
                    node.pack.deadline,
                ) {
                    Ok(cut) if spool.bytes > 0 => {
                        node.pack.add_spool(
                            &format!("pods/{name}"),
                            &log.display().to_string(),
                            spool,
                            &cut,
                        )?;
                    }
                    Ok(_) => {}
                    Err(e) => node.pack.refuse(log.display().to_string(), e),
                }
            }
        }
    }
    Ok(())
}
