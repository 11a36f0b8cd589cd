//! `trace` from one end to the other: a real sshd in a namespace of its own, a job in another one, in a cgroup as an engine makes
//! it, that logs in at set times; the engine itself is played by the test over its socket. `collect`, then `trace`, must name the job,
//! also when the container is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn sshwhy() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sshwhy"))
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("sshwhy-trace-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// RFC 3339 of now, or of seconds before.
fn stamp(before: u64) -> String {
    let t = SystemTime::now() - Duration::from_secs(before);
    utc(t.duration_since(UNIX_EPOCH).unwrap())
}

fn utc(since: Duration) -> String {
    let days = since.as_secs() / 86_400;
    let secs = since.as_secs() % 86_400;
    // Howard Hinnant's civil_from_days
    let z = days as i64 + 719_468;
    let era = z / 146_097;
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (
        doy - (153 * mp + 2) / 5 + 1,
        if mp < 10 { mp + 3 } else { mp - 9 },
    );
    let y = yoe + era * 400 + i64::from(m <= 2);
    format!(
        "{y}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{:06}Z",
        secs / 3600,
        secs / 60 % 60,
        secs % 60,
        since.subsec_micros()
    )
}

/// Answers of the engine by path, up to the query.
type Answers = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Plays a container engine until the test ends.
fn engine(socket: &Path) -> Answers {
    let answers: Answers = Arc::default();
    let listener = UnixListener::bind(socket).unwrap();
    let shared = Arc::clone(&answers);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let path = line
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .split('?')
                .next()
                .unwrap()
                .to_owned();
            let found = shared
                .lock()
                .unwrap()
                .iter()
                .find(|(p, _)| *p == path)
                .map(|(_, body)| body.clone());
            let _ = match found {
                // In chunks, as engines do.
                Some(body) => {
                    let mut out = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                    for chunk in body.chunks(1000) {
                        out.extend(format!("{:x}\r\n", chunk.len()).bytes());
                        out.extend(chunk);
                        out.extend(b"\r\n");
                    }
                    out.extend(b"0\r\n\r\n");
                    stream.write_all(&out)
                }
                None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"),
            };
        }
    });
    answers
}

fn inspect(id: &str, name: &str, pid: u32, log: &Path, running: bool) -> Value {
    json!({"Id": id, "Created": stamp(3600), "Path": "/job.sh", "Args": ["--every", "5", "--token=hunter2"], "Name": format!("/{name}"),
        "State": {"Status": if running { "running" } else { "exited" }, "Running": running, "Pid": pid, "ExitCode": 0,
                  "StartedAt": stamp(3600), "FinishedAt": if running { "0001-01-01T00:00:00Z".to_owned() } else { stamp(1) }},
        "Config": {"Image": "job:1", "Env": ["JOB_PASSWORD=hunter2", "LANG=C"], "Tty": false}, "LogPath": log})
}

fn serve(answers: &Answers, containers: &[Value], logs: &[(&str, Vec<u8>)], events: &str) {
    let mut list = vec![(
        "/containers/json".to_owned(),
        serde_json::to_vec(
            &containers
                .iter()
                .map(|c| json!({"Id": c["Id"]}))
                .collect::<Vec<_>>(),
        )
        .unwrap(),
    )];
    for c in containers {
        list.push((
            format!("/containers/{}/json", c["Id"].as_str().unwrap()),
            serde_json::to_vec(c).unwrap(),
        ));
    }
    for (id, body) in logs {
        list.push((format!("/containers/{id}/logs"), body.clone()));
    }
    list.push(("/events".to_owned(), events.as_bytes().to_vec()));
    *answers.lock().unwrap() = list;
}

fn said(out: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

fn trace(log: &Path, evidence: &[&Path], more: &[&str]) -> Value {
    let mut command = sshwhy();
    command
        .args(["trace", "--format", "json", "--tz", "UTC", "--log"])
        .arg(log)
        .args(more);
    for e in evidence {
        command.arg("--evidence").arg(e);
    }
    let out = command.output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&out)))
}

/// Everything in an archive, by name.
fn unpack(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let out = Command::new("tar")
        .args(["--zstd", "-tf"])
        .arg(archive)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let names = String::from_utf8(out.stdout).unwrap();
    names
        .lines()
        .map(|name| {
            let out = Command::new("tar")
                .args(["--zstd", "-xOf"])
                .arg(archive)
                .arg(name)
                .output()
                .unwrap();
            (name.to_owned(), out.stdout)
        })
        .collect()
}

fn sha256(path: &Path) -> String {
    let out = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(out.stdout)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

/// A node's disk: the window, the masks, the manifest, and what is left out.
#[test]
fn a_disk_is_collected_within_the_window_and_without_secrets() {
    if Command::new("zstd").arg("--version").output().is_err() {
        eprintln!(
            "skipped: a_disk_is_collected_within_the_window_and_without_secrets: zstd is missing"
        );
        return;
    }
    let dir = folder("disk");
    let root = dir.join("root");
    let (id, gone) = ("ab".repeat(32), "cd".repeat(32));
    let line = |day: u32, text: &str| {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-03-{day:02}T01:00:00Z\"}}\n"
        )
    };
    put(
        &root,
        &format!("var/lib/docker/containers/{id}/config.v2.json"),
        &json!({"ID": id, "Created": "2026-03-01T00:00:00Z", "Path": "mysql", "Args": ["-phunter2"], "Name": "/job",
            "Config": {"Image": "job:1", "Env": ["JOB_PASSWORD=hunter2"]}, "State": {"Running": true, "StartedAt": "2026-03-01T00:00:00Z"}})
        .to_string(),
    );
    let many: String = (0..20_000)
        .map(|i| line(1 + i / 1000, &format!("line {i}")))
        .collect();
    put(
        &root,
        &format!("var/lib/docker/containers/{id}/{id}-json.log"),
        &many,
    );
    put(
        &root,
        &format!("var/lib/docker/containers/{gone}/{gone}-json.log"),
        &line(10, "left behind"),
    );
    put(
        &root,
        "var/log/pods/prod_p-0_u/app/0.log",
        "2026-03-10T01:00:00Z stdout F in\n2026-03-20T01:00:00Z stdout F out\n",
    );
    let at = |secs: u64, text: &str| format!("type=EXECVE msg=audit({secs}.000:7): {text}\n");
    let (inside, before) = (1_773_104_400, 1_772_000_000); // 2026-03-10T01:00:00Z, and two weeks earlier
    put(
        &root,
        "var/log/audit/audit.log",
        &(at(before, "argc=1 a0=\"early\"") + &at(inside, "argc=2 a0=\"mysql\" a1=\"-phunter2\"")),
    );
    put(
        &root,
        "etc/cron.d/job",
        "DB_PASSWORD=hunter2\n* * * * * root sshpass -phunter2 ssh ops@192.0.2.9\n",
    );
    put(&root, "etc/hostname", "n7\n");
    // What nobody may read costs only itself; a folder in its place stands for that, since root may read everything.
    fs::create_dir_all(root.join("var/log/cron.log")).unwrap();
    let archive = dir.join("a.tar.zst");
    let out = sshwhy()
        .args([
            "trace",
            "collect",
            "--tz",
            "UTC",
            "--since",
            "2026-03-09",
            "--until",
            "2026-03-12",
            "--format",
            "json",
            "--root",
        ])
        .arg(&root)
        .arg("--out")
        .arg(&archive)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let files = unpack(&archive);
    let of = |name: &str| {
        String::from_utf8(
            files
                .iter()
                .find(|(n, _)| n == name)
                .unwrap_or_else(|| panic!("{name}: {:?}", said(&out)))
                .1
                .clone(),
        )
        .unwrap()
    };
    for (name, bytes) in &files {
        assert!(
            !String::from_utf8_lossy(bytes).contains("hunter2"),
            "a secret in {name}"
        );
    }
    assert!(of("containers.json").contains("JOB_PASSWORD"));
    let log = of(&format!("logs/{id}-json.log"));
    assert_eq!(
        (
            log.lines().count(),
            log.contains("line 8000"),
            log.contains("line 10999")
        ),
        (3000, true, true)
    );
    assert!(of(&format!("logs/{gone}-json.log")).contains("left behind"));
    assert_eq!(of("pods/prod_p-0_u/app/0.log").lines().count(), 1);
    assert_eq!(of("audit.log").lines().count(), 1);
    assert!(of("schedules/etc/cron.d/job").contains("sshpass -p*** ssh ops@192.0.2.9"));
    // The manifest names every file with its hash, and what was not to be had.
    let manifest: Value = serde_json::from_str(&of("MANIFEST.json")).unwrap();
    assert_eq!(manifest["host"], "n7");
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len() + 1, files.len());
    for f in listed {
        let name = f["name"].as_str().unwrap();
        let place = dir.join("one");
        fs::write(&place, &files.iter().find(|(n, _)| n == name).unwrap().1).unwrap();
        assert_eq!(f["sha256"].as_str().unwrap(), sha256(&place), "{name}");
    }
    let refused = manifest["refused"].to_string();
    assert!(
        refused.contains("not a running machine")
            && refused.contains(&format!("{gone}/config.v2.json")),
        "{refused}"
    );
    // Nothing is written over, and limits hold.
    let again = sshwhy()
        .args(["trace", "collect", "--root"])
        .arg(&root)
        .arg("--out")
        .arg(&archive)
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("exists"), "{}", said(&again));
    let small = dir.join("small.tar.zst");
    let out = sshwhy()
        .args([
            "trace",
            "collect",
            "--tz",
            "UTC",
            "--since",
            "2026-03-01",
            "--until",
            "2026-04-01",
            "--max-log",
            "1",
            "--format",
            "json",
            "--root",
        ])
        .arg(&root)
        .arg("--out")
        .arg(&small)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    let log = unpack(&small)
        .into_iter()
        .find(|(n, _)| n.contains(&id))
        .unwrap()
        .1;
    assert!(
        log.len() <= 1 << 20 && String::from_utf8(log).unwrap().contains("line 19999"),
        "the newest is kept"
    );
    fs::remove_dir_all(&dir).unwrap();
}

/// A program that prints a document for its arguments, and fails for all others.
fn tool(dir: &Path, name: &str, answers: &[(&str, Value)]) {
    let mut script = "#!/bin/sh\ncase \"$*\" in\n".to_owned();
    for (i, (arguments, answer)) in answers.iter().enumerate() {
        put(dir, &format!("{name}.{i}.json"), &answer.to_string());
        script.push_str(&format!(
            "{arguments}) cat {}/{name}.{i}.json ;;\n",
            dir.display()
        ));
    }
    script.push_str("*) echo 'no such thing' >&2; exit 1 ;;\nesac\n");
    put(dir, name, &script);
    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Each runtime is asked in its own way; one that does not answer costs only itself, and no secret comes along.
#[test]
fn docker_podman_the_cri_and_kubernetes_each_tell_what_they_know() {
    if Command::new("zstd").arg("--version").output().is_err() {
        eprintln!(
            "skipped: docker_podman_the_cri_and_kubernetes_each_tell_what_they_know: zstd is missing"
        );
        return;
    }
    let dir = folder("runtimes");
    let id = |c: char| c.to_string().repeat(64);
    let (docker, podman, cri, pod) = (id('1'), id('2'), id('3'), id('4'));
    let sockets = [
        dir.join("docker.sock"),
        dir.join("podman.sock"),
        dir.join("gone.sock"),
    ];
    for (socket, id, name, events) in [
        (
            &sockets[0],
            &docker,
            "docker-job",
            json!({"Type": "container", "Action": "die", "Actor": {"ID": id('5'), "Attributes": {"name": "was-removed", "image": "job:1", "exitCode": "0"}}, "time": 1_700_000_000}),
        ),
        (
            &sockets[1],
            &podman,
            "podman-job",
            json!({"ID": id('6'), "Image": "job:1", "Name": "was-removed-too", "Status": "died", "Time": "2026-03-01T00:00:00Z", "Type": "container"}),
        ),
    ] {
        let answers = engine(socket);
        serve(
            &answers,
            &[inspect(id, name, 0, Path::new(""), false)],
            &[],
            &events.to_string(),
        );
    }
    let tools = dir.join("bin");
    let row = json!({"id": cri, "metadata": {"name": "cri-job"}, "image": {"image": "job:1"}, "createdAt": "1700000000000000000",
        "labels": {"io.kubernetes.pod.name": "p-0", "io.kubernetes.pod.namespace": "prod"}});
    let status = json!({"status": {"id": cri, "metadata": {"name": "cri-job", "attempt": 2}, "state": "CONTAINER_EXITED", "exitCode": 3,
        "createdAt": "2026-03-01T00:00:00Z", "startedAt": "2026-03-01T00:00:01Z", "finishedAt": "2026-03-02T00:00:00Z", "image": {"image": "job:1"},
        "labels": {"io.kubernetes.pod.name": "p-0", "io.kubernetes.pod.namespace": "prod"}},
        "info": {"pid": 77, "runtimeSpec": {"process": {"args": ["job", "--token=hunter2"], "env": ["A=hunter2"]}}}});
    tool(
        &tools,
        "crictl",
        &[
            (
                "'ps -a -o json'",
                json!({"containers": [row, {"id": id('7'), "metadata": {"name": "no-more"}}]}),
            ),
            (&format!("'inspect -o json {cri}'"), status),
        ],
    );
    let pods = json!({"kind": "List", "items": [{"kind": "Pod", "metadata": {"name": "p-1", "namespace": "prod"},
        "spec": {"containers": [{"name": "pod-job", "command": ["job"], "env": [{"name": "A", "value": "hunter2"}]}]},
        "status": {"podIP": "192.0.2.9", "containerStatuses": [{"name": "pod-job", "image": "job:1", "containerID": format!("containerd://{pod}"),
            "state": {"running": {"startedAt": "2026-03-01T00:00:00Z"}}}]}}]});
    let events = json!({"kind": "List", "items": [{"kind": "Event", "reason": "Killing", "message": "Stopping container old-job", "lastTimestamp": "2026-03-01T00:00:00Z",
        "involvedObject": {"kind": "Pod", "name": "p-2", "namespace": "prod", "uid": "u-2", "fieldPath": "spec.containers{old-job}"}}]});
    tool(
        &tools,
        "kubectl",
        &[("*'get pods '*", pods), ("*'get events '*", events)],
    );
    let archive = dir.join("node.tar.zst");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut collect = sshwhy();
    collect
        .args([
            "trace",
            "collect",
            "--since",
            "1h",
            "--max-files",
            "10",
            "--max-log",
            "1",
            "--time-limit",
            "30",
            "--format",
            "json",
        ])
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("KUBECONFIG", dir.join("config"))
        .arg("--out")
        .arg(&archive);
    for s in &sockets {
        collect.arg("--socket").arg(s);
    }
    let out = collect.output().unwrap();
    assert!(matches!(out.status.code(), Some(0 | 3)), "{}", said(&out));
    let manifest: Value = serde_json::from_slice(&out.stdout).unwrap();
    let refused = manifest["refused"].to_string();
    assert!(refused.contains("gone.sock"), "{refused}");
    assert!(
        refused.contains(&format!("crictl inspect {}", id('7'))),
        "{refused}"
    );
    let files = unpack(&archive);
    for (name, bytes) in &files {
        let is_description = name.ends_with(".json") && name != "processes.json";
        assert!(
            !is_description || !String::from_utf8_lossy(bytes).contains("hunter2"),
            "a secret in {name}"
        );
    }
    let log = dir.join("auth.log");
    fs::write(
        &log,
        "2026-03-01T00:00:00Z db-3 sshd[7]: Failed password for ops from 192.0.2.7 port 5000 ssh2\n",
    )
    .unwrap();
    let only = dir.join("only");
    for (name, bytes) in &files {
        let wanted = ["containers.json", "cri.json", "pods.json"].contains(&name.as_str())
            || name.starts_with("events/");
        if wanted {
            put(&only, name, &String::from_utf8_lossy(bytes));
        }
    }
    let answer = trace(&log, &[&only], &[]);
    // Four that are described, one more in the CRI's list, and three that only events tell of.
    assert_eq!(
        answer["read"]["containers"],
        8,
        "{:?}",
        fs::read_dir(&only).map(|d| d.flatten().map(|e| e.path()).collect::<Vec<_>>())
    );
    fs::remove_dir_all(&dir).unwrap();
}

/// Names that lead out of the archive and bombs: refused or bounded, and the rest is read.
#[test]
fn hostile_archives_are_bounded() {
    let dir = folder("hostile");
    let log = dir.join("auth.log");
    let lines: String = (0..6)
        .map(|i| format!("2026-03-10T01:0{i}:00Z db-3 sshd[{}]: Failed password for ops from 192.0.2.7 port {} ssh2\n", 100 + i, 5000 + i))
        .collect();
    fs::write(&log, lines).unwrap();
    put(
        &dir,
        "in/containers.json",
        "[{\"Id\":\"abc\",\"Name\":\"/job\"}]",
    );
    let archive = dir.join("up.tar");
    let out = Command::new("tar")
        .args(["-cf"])
        .arg(&archive)
        .args(["--transform", "s,^in/,../../,", "-P", "-C"])
        .arg(&dir)
        .arg("in/containers.json")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let answer = trace(&log, &[&archive], &[]);
    assert_eq!(
        answer["read"]["containers"], 0,
        "a name that leads out is refused"
    );
    // A gigabyte of zeros in a few kilobytes, cut off in the middle.
    let zeros = dir.join("zeros");
    fs::File::create(&zeros).unwrap().set_len(1 << 30).unwrap();
    let bomb = dir.join("bomb.tar.zst");
    let out = Command::new("tar")
        .arg("--zstd")
        .arg("-cf")
        .arg(&bomb)
        .arg("-C")
        .arg(&dir)
        .arg("zeros")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let bytes = fs::read(&bomb).unwrap();
    fs::write(&bomb, &bytes[..bytes.len() - bytes.len() / 4]).unwrap();
    let answer = trace(&log, &[&bomb], &[]);
    assert!(
        !answer["read"]["skipped"].as_array().unwrap().is_empty(),
        "{}",
        answer["read"]
    );
    fs::remove_dir_all(&dir).unwrap();
}

/// Undoes what the machine was given, in whatever way the test ends.
struct Undo {
    commands: Vec<Vec<String>>,
    children: Vec<Child>,
}

impl Drop for Undo {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for c in self.commands.iter().rev() {
            let _ = Command::new(&c[0]).args(&c[1..]).output();
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn run(line: &str) -> Result<(), String> {
    let w = words(line);
    match Command::new(&w[0]).args(&w[1..]).output() {
        Ok(out) if out.status.success() => Ok(()),
        Ok(out) => Err(format!("{line}: {}", said(&out))),
        Err(e) => Err(format!("{line}: {e}")),
    }
}

/// What people are shown of the source that these tests are about.
fn shown(log: &Path, format: &str) -> String {
    let source = ["trace", "--tz", "UTC", "--source", "192.0.2.66"];
    let out = sshwhy()
        .args(source)
        .args(["--format", format, "--log"])
        .arg(log)
        .output()
        .unwrap();
    said(&out)
}

/// A cgroup such as an engine makes, in whatever hierarchy there is.
fn cgroup(id: &str) -> Result<PathBuf, String> {
    for base in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/unified",
    ] {
        let base = Path::new(base);
        if base.join("cgroup.procs").exists() {
            let group = base.join(format!("docker/{id}"));
            return fs::create_dir_all(&group)
                .map(|()| group)
                .map_err(|e| e.to_string());
        }
    }
    Err("no cgroups are mounted".to_owned())
}

const TARGET: &str = "198.18.77.2";
const NODE: &str = "198.18.77.1";

#[test]
fn a_job_in_a_container_is_named_also_when_it_is_gone() {
    let name = "a_job_in_a_container_is_named_also_when_it_is_gone";
    let skip = |why: &str| eprintln!("skipped: {name}: {why}");
    let root = fs::metadata("/proc/self").is_ok()
        && Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|o| o.stdout == b"0\n");
    if !root {
        return skip("needs root for namespaces");
    }
    for program in ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"] {
        if !Path::new(program).exists() {
            return skip(&format!("{program} is missing"));
        }
    }
    let tag = std::process::id();
    let (node, target) = (format!("swn{tag}"), format!("swt{tag}"));
    let mut undo = Undo {
        commands: Vec::new(),
        children: Vec::new(),
    };
    for line in [
        format!("ip netns add {node}"),
        format!("ip netns add {target}"),
        format!("ip -n {node} link add veth0 type veth peer name veth0 netns {target}"),
        format!("ip -n {node} addr add {NODE}/24 dev veth0"),
        format!("ip -n {target} addr add {TARGET}/24 dev veth0"),
        format!("ip -n {node} link set veth0 up"),
        format!("ip -n {target} link set veth0 up"),
    ] {
        if let Err(e) = run(&line) {
            return skip(&e);
        }
        if let Some(ns) = line.strip_prefix("ip netns add ") {
            undo.commands.push(words(&format!("ip netns delete {ns}")));
        }
    }
    let dir = folder("real");
    let (id, other) = (format!("{tag:064x}"), "0d".repeat(32));
    let group = match cgroup(&id) {
        Ok(g) => g,
        Err(e) => return skip(&e),
    };
    // What the job started ends with it.
    let sweep = format!(
        "kill $(cat {0}/cgroup.procs); sleep 0.3; rmdir {0}",
        group.display()
    );
    undo.commands
        .push(vec!["sh".to_owned(), "-c".to_owned(), sweep]);
    // The target: sshd with a key that is right, and one that is not.
    for key in ["host", "right", "wrong"] {
        let out = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(dir.join(key))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", said(&out));
    }
    fs::copy(dir.join("right.pub"), dir.join("authorized_keys")).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let _ = fs::create_dir_all("/run/sshd");
    put(
        &dir,
        "sshd_config",
        &format!(
            "ListenAddress {TARGET}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\nPidFile none\n",
            dir.display()
        ),
    );
    let mut sshd = Command::new("ip")
        .args(["netns", "exec", &target, "/usr/sbin/sshd", "-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sshd.stderr.take().unwrap());
    undo.children.push(sshd);
    // The test is the target's syslog: it adds time, host and a number for each connection.
    let log = dir.join("auth.log");
    let mut out = fs::File::create(&log).unwrap();
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let port = line
                .split(" port ")
                .nth(1)
                .and_then(|p| p.split_whitespace().next())
                .unwrap_or("1")
                .to_owned();
            let _ = writeln!(out, "{} db-3 sshd[{port}]: {}", stamp(0), line.trim_end());
        }
    });
    let ready = Instant::now();
    while !fs::read_to_string(&log)
        .unwrap_or_default()
        .contains("Server listening")
    {
        assert!(
            ready.elapsed() < Duration::from_secs(20),
            "{}",
            fs::read_to_string(&log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The job: at set times, with the right key and with the wrong one.
    let job_log = dir.join(format!("{id}-json.log"));
    put(
        &dir,
        "job.sh",
        &format!(
            "for pause in 2 5 3 6 4 5 3 4; do\n  sleep $pause\n  n=$((n+1)); key=right; [ $((n%3)) = 0 ] && key=wrong\n\
               printf '{{\"log\":\"job %d begins\\\\n\",\"stream\":\"stdout\",\"time\":\"%s\"}}\\n' $n $(date -u +%Y-%m-%dT%H:%M:%S.%NZ) >> {log}\n\
               ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i {dir}/$key root@{TARGET} 'sleep 0.6' </dev/null >/dev/null 2>&1\n\
             done\nsleep 60\n",
            log = job_log.display(),
            dir = dir.display()
        ),
    );
    let watched = dir.join("watch.log");
    undo.children.push(
        sshwhy()
            .args([
                "trace", "arm", TARGET, "--apply", "--with", "watch", "--out",
            ])
            .arg(&watched)
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let job = Command::new("ip")
        .args(["netns", "exec", &node, "unshare", "--uts", "--ipc", "sh"])
        .arg(dir.join("job.sh"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let job_pid = job.id();
    // From outside, as an engine does; what it starts from now on belongs to it too.
    fs::write(group.join("cgroup.procs"), job_pid.to_string()).unwrap();
    undo.children.push(job);
    let begun = Instant::now();
    while fs::read_to_string(&job_log)
        .unwrap_or_default()
        .lines()
        .count()
        < 8
    {
        assert!(
            begun.elapsed() < Duration::from_secs(90),
            "the job does not run: {}",
            fs::read_to_string(&job_log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(Duration::from_secs(3));
    // What the engine says: the job, and another container that wrote as much at other times.
    let socket = dir.join("engine.sock");
    let answers = engine(&socket);
    let idle: Vec<u8> = (0..8u64)
        .flat_map(|i| {
            let text = format!("{} job {i} begins\n", stamp(33 - i * 4));
            let mut frame = vec![1, 0, 0, 0];
            frame.extend((text.len() as u32).to_be_bytes());
            frame.extend(text.bytes());
            frame
        })
        .collect();
    let containers = [
        inspect(&id, "nightly-job", job_pid, &job_log, true),
        inspect(&other, "other-job", 0, Path::new(""), false),
    ];
    serve(&answers, &containers, &[(&other, idle.clone())], "");
    let collect = |name: &str| -> PathBuf {
        let archive = dir.join(name);
        let out = sshwhy()
            .args([
                "trace",
                "collect",
                "--since",
                "1h",
                "--time-limit",
                "30",
                "--format",
                "json",
                "--socket",
            ])
            .arg(&socket)
            .arg("--out")
            .arg(&archive)
            .output()
            .unwrap();
        assert!(matches!(out.status.code(), Some(0 | 3)), "{}", said(&out));
        archive
    };
    let archive = collect("alive.tar.zst");
    let files = unpack(&archive);
    let text = |name: &str| {
        String::from_utf8_lossy(
            &files
                .iter()
                .find(|(n, _)| n.as_str() == name)
                .unwrap_or_else(|| panic!("{name}"))
                .1,
        )
        .into_owned()
    };
    assert!(!text("containers.json").contains("hunter2"));
    assert_eq!(
        text(&format!("logs/{other}-json.log")).lines().count(),
        8,
        "frames become lines"
    );
    assert!(
        text("processes.json").contains(&format!("docker/{id}")),
        "the job's cgroup"
    );
    let innocent = |answer: &Value| {
        for s in answer["suspects"].as_array().unwrap() {
            let is_job = s["container"].as_str() == Some(id.as_str());
            assert!(is_job || s["confidence"].as_f64().unwrap() <= 0.5, "{s}");
        }
    };
    let named = |answer: &Value, how: &str| {
        let first = &answer["suspects"][0];
        assert_eq!(
            first["container"].as_str(),
            Some(id.as_str()),
            "{how}: {}",
            answer["suspects"]
        );
        assert!(
            first["confidence"].as_f64().unwrap() > 0.5,
            "{how}: {first}"
        );
        innocent(answer);
    };
    let answer = trace(&log, &[&archive], &[]);
    assert_eq!(answer["source"], NODE);
    named(&answer, "by its log");
    let records = fs::read_to_string(&watched).unwrap();
    assert!(
        records.contains(&format!("container=\"{id}\"")),
        "{records}"
    );
    named(
        &trace(&log, &[&archive, &watched], &["--target", TARGET]),
        "by its log and its connects",
    );
    // The container is removed: only what the watcher wrote is left, then only what the engine wrote down.
    run(&format!("kill {job_pid}")).unwrap();
    let dead = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in dead.lines() {
        let _ = run(&format!("kill {pid}"));
    }
    serve(&answers, &containers[1..], &[(&other, idle)], "");
    let bare = collect("gone.tar.zst");
    named(
        &trace(&log, &[&bare, &watched], &["--target", TARGET]),
        "gone, by its connects",
    );
    let nobody = trace(&log, &[&bare], &[]);
    assert!(
        nobody["suspects"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["confidence"].as_f64().unwrap() <= 0.5),
        "{}",
        nobody["suspects"]
    );
    drop(undo);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn arm_only_says_what_it_would_do() {
    let out = sshwhy()
        .args([
            "trace",
            "arm",
            "192.0.2.1:2222",
            "--with",
            "auditd",
            "--window",
            "16:00-20:00",
        ])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("auditctl -a always,exit -F arch=b64 -S connect -F a2=16 -k sshwhy-trace"),
        "{text}"
    );
    assert!(
        text.contains("auditctl -D -k sshwhy-trace") && text.contains("nothing was done"),
        "{text}"
    );
    let out = sshwhy().args(["trace", "arm", "db-3"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    let mut rest = String::new();
    let _ = BufReader::new(&out.stderr[..]).read_to_string(&mut rest);
    assert!(rest.contains("is no address"), "{rest}");
}

/// A target's log of ten days: alice logs in and updates packages each day, and `more` (day, time, rest of the line) besides.
fn target_log(dir: &Path, name: &str, more: &[(u32, String)]) -> PathBuf {
    let mut lines: Vec<String> = (1..=10)
        .flat_map(|day| {
            [
                "09:00:00 sshd[100]: Accepted publickey for alice from 192.0.2.20 port 40000 ssh2: RSA SHA256:6mYq2zJ0t3nVn8cF2p7o1kqv4B3yWm5x9uE7dLr8aTs",
                "09:00:09 sudo:    alice : TTY=pts/1 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update",
                "09:10:00 sshd[100]: pam_unix(sshd:session): session closed for user alice",
            ]
            .map(|l| (day, l.to_owned()))
        })
        .chain(more.iter().cloned())
        .map(|(day, l)| format!("2026-03-{day:02}T{}Z db-3 {}\n", &l[..8], &l[9..]))
        .collect();
    lines.sort();
    let path = dir.join(name);
    fs::write(&path, lines.concat()).unwrap();
    path
}

/// `failures` of one per second from 03:00, then a success at 03:10 whose session ends at 03:30, with these lines in it.
fn guessed(failures: u32, user: &str, within: &[&str]) -> Vec<(u32, String)> {
    let from = |port: u32| format!("from 192.0.2.66 port {port} ssh2");
    let start = 600 - failures;
    let mut out: Vec<String> = (0..failures)
        .map(|i| {
            let at = start + i;
            format!(
                "03:{:02}:{:02} sshd[{}]: Failed password for {user} {}",
                at / 60,
                at % 60,
                2000 + i,
                from(40_000 + i)
            )
        })
        .collect();
    out.push(format!(
        "03:10:00 sshd[3000]: Accepted password for {user} {}",
        from(50_122)
    ));
    out.extend(within.iter().map(|l| (*l).to_owned()));
    out.push(format!(
        "03:30:00 sshd[3000]: pam_unix(sshd:session): session closed for user {user}"
    ));
    out.into_iter().map(|l| (8, l)).collect()
}

fn reasons(t: &Value) -> String {
    t["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| format!("{}\n", r.as_str().unwrap()))
        .collect()
}

#[test]
fn what_was_done_right_after_a_login_is_a_reason_and_not_a_verdict_of_its_own() {
    let dir = folder("deeds");
    const SUDO: &str = "sudo:      ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=";
    let id = format!("03:10:20 {SUDO}/usr/bin/id");
    let make = format!("03:11:05 {SUDO}/usr/sbin/useradd -m mallory");
    let made = [
        make.as_str(),
        "03:11:06 useradd[3100]: new user: name=mallory, UID=1002, GID=1002, home=/home/mallory, shell=/bin/sh, from=/dev/pts/0",
        "03:11:20 usermod[3101]: add 'mallory' to group 'sudo'",
    ];
    let apt = format!("03:10:30 {SUDO}/usr/bin/apt update");

    // Brute force, a success, and an account: an intrusion, and the deed is named with its place.
    let log = target_log(&dir, "storm.log", &guessed(60, "ops", &made));
    let t = trace(&log, &[], &["--source", "192.0.2.66"]);
    assert_eq!(t["verdict"], "intrusion");
    let why = reasons(&t);
    for part in [
        "a password was guessed",
        "66 s after it was let in as ops, the log says: useradd made the account mallory, by root, which that user had become; nobody had done that before",
        "usermod put mallory into the group sudo",
        "storm.log:85]",
        "65 s after it was let in as ops, the log says: sudo ran /usr/sbin/useradd -m mallory as root",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let finding = |t: &Value, slug: &str| {
        let all = t["findings"].as_array().unwrap();
        all.iter().find(|f| f["slug"] == slug).cloned().unwrap()
    };
    let f = finding(&t, "trace-intrusion");
    assert!(f["confidence"].as_f64().unwrap() > 0.9, "{f}");
    let proof = f["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["text"] == "useradd made the account mallory")
        .unwrap_or_else(|| panic!("{f}"));
    let line: usize = proof["source"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.lines()
            .nth(line - 1)
            .unwrap()
            .contains("new user: name=mallory")
    );
    let moments = t["timeline"].as_array().unwrap();
    assert!(
        moments.iter().any(|m| m["text"]
            == "ops as root: usermod put mallory into the group sudo, for the first time"
            && m["what"] == "target"),
        "{moments:?}"
    );
    for format in ["text", "html", "md"] {
        let view = shown(&log, format)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            view.contains("useradd made the account mallory, by root"),
            "{format}: {view}"
        );
    }

    // Guesses that were right, and nothing new: what others did before, and what others did meanwhile.
    let bob =
        "03:10:40 sudo:      bob : TTY=pts/2 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/useradd x";
    let t = trace(
        &target_log(&dir, "quiet.log", &guessed(60, "ops", &[bob])),
        &[],
        &["--source", "192.0.2.66"],
    );
    assert_eq!(t["verdict"], "intrusion");
    assert!(!reasons(&t).contains("the log says"), "{}", reasons(&t));

    // Few failures say nothing by themselves; with a way to come back they do, and less surely.
    let few = |name: &str, within: &[&str]| {
        let log = target_log(&dir, name, &guessed(12, "ops", within));
        trace(&log, &[], &["--source", "192.0.2.66"])
    };
    assert_eq!(few("few.log", &[])["verdict"], "unknown");
    let t = few("few-id.log", &[&id]);
    assert_eq!(t["verdict"], "unknown");
    assert!(reasons(&t).contains("sudo ran /usr/bin/id as root; nobody had done that before in this log (by itself no break-in)"), "{}", reasons(&t));
    let t = few("few-made.log", &made);
    assert_eq!(t["verdict"], "intrusion");
    let sure = finding(&t, "trace-intrusion")["confidence"]
        .as_f64()
        .unwrap();
    assert!((0.6..0.8).contains(&sure), "{sure}");

    // An administrator at a new address mistypes, runs sudo, and makes an account.
    let t = trace(
        &target_log(&dir, "admin.log", &guessed(2, "ops", &made)),
        &[],
        &["--source", "192.0.2.66"],
    );
    assert_eq!(t["verdict"], "unknown", "{}", reasons(&t));
    // A command that another user runs each day.
    let t = few("few-apt.log", &[&apt]);
    assert!(
        reasons(&t).contains("this user had not done that before"),
        "{}",
        reasons(&t)
    );

    // A log that begins with the source knows of nothing before.
    let short: String =
        fs::read_to_string(target_log(&dir, "short.log", &guessed(60, "ops", &made)))
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("2026-03-08T03"))
            .map(|l| format!("{l}\n"))
            .collect();
    fs::write(dir.join("short.log"), short).unwrap();
    let t = trace(&dir.join("short.log"), &[], &["--source", "192.0.2.66"]);
    assert!(
        reasons(&t).contains("too late to tell whether that is new"),
        "{}",
        reasons(&t)
    );
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_job_that_runs_sudo_each_night_stays_a_job() {
    let dir = folder("job-deeds");
    let from = |port: u32| format!("from 192.0.2.66 port {port} ssh2");
    let mut nights: Vec<(u32, String)> = Vec::new();
    for day in 2..=10 {
        for turn in 0..4 {
            let at = format!("02:{:02}", 10 * turn + day % 7);
            let pid = 4000 + day * 10 + turn;
            for line in [
                format!(
                    "{at}:01 sshd[{}]: Failed password for ci {}",
                    pid + 5000,
                    from(pid + 40_000)
                ),
                format!(
                    "{at}:04 sshd[{pid}]: Accepted password for ci {}",
                    from(pid + 50_000)
                ),
                format!(
                    "{at}:05 sudo:       ci : TTY=unknown ; PWD=/srv ; USER=root ; COMMAND=/opt/deploy --build {} {:x}",
                    day * 4 + turn,
                    day * 7919 + turn
                ),
                format!("{at}:30 sshd[{pid}]: pam_unix(sshd:session): session closed for user ci"),
            ] {
                nights.push((day, line));
            }
        }
    }
    let t = trace(
        &target_log(&dir, "job.log", &nights),
        &[],
        &["--source", "192.0.2.66"],
    );
    assert_eq!(t["verdict"], "misconfigured-automation", "{}", reasons(&t));
    assert!(!reasons(&t).contains("the log says"), "{}", reasons(&t));
    // Something else one night: said, and no verdict of its own.
    let odd = "02:05:10 sudo:       ci : TTY=unknown ; PWD=/srv ; USER=root ; COMMAND=/usr/sbin/usermod -aG sudo ci";
    let mut more = nights.clone();
    more.push((5, odd.to_owned()));
    let t = trace(
        &target_log(&dir, "odd.log", &more),
        &[],
        &["--source", "192.0.2.66"],
    );
    assert_eq!(t["verdict"], "misconfigured-automation", "{}", reasons(&t));
    assert!(
        reasons(&t).contains("sudo ran /usr/sbin/usermod -aG sudo ci as root"),
        "{}",
        reasons(&t)
    );

    // What a line only quotes was not done; what an attacker writes is shown disarmed.
    let quoted = "02:05:11 sshd[77]: Invalid user sudo:  ci : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/useradd evil from 192.0.2.66 port 7";
    let evil = "02:05:12 sudo:       ci : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/useradd <script>\u{1b}]0;x\u{7}|[l](http://h)";
    more = nights;
    more.push((5, quoted.to_owned()));
    more.push((5, evil.to_owned()));
    let log = target_log(&dir, "evil.log", &more);
    let t = trace(&log, &[], &["--source", "192.0.2.66"]);
    assert!(!reasons(&t).contains("useradd evil"), "{}", reasons(&t));
    for format in ["text", "html", "md"] {
        let view = shown(&log, format);
        assert!(view.contains("useradd"), "{format}: {view}");
        assert!(
            !view.contains('\u{1b}')
                && (format != "md" || !view.replace("\\]", "").contains("](http")),
            "{format}: {view}"
        );
        assert!(
            format == "text" || !view.contains("<script"),
            "{format}: {view}"
        );
    }
    fs::remove_dir_all(&dir).unwrap();
}
