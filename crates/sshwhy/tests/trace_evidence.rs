//! `trace` on incidents whose culprit is known, in the forms in which other engines, daemons and watchers write: each must name who it
//! was, and each near miss must accuse nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test is for

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// 2023-05-08 00:00 UTC
const START: i64 = 1_683_504_000;
const DAY: i64 = 86_400;
const SOURCE: &str = "10.20.3.14";
const TARGET: &str = "10.20.9.5";

struct Incident {
    dir: PathBuf,
    /// Seconds since the epoch.
    logins: Vec<i64>,
}

impl Drop for Incident {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The same numbers in each run.
fn drawn(seed: i64, below: i64) -> i64 {
    let mut x = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) % below as u64) as i64
}

/// RFC 3339 in UTC, or `YYYY-MM-DD HH:MM:SS` in a zone so many hours from it.
fn civil(at: i64, hours: i64) -> String {
    let at = at + hours * 3600;
    let z = at.div_euclid(DAY) + 719_468;
    let secs = at.rem_euclid(DAY);
    let era = z / 146_097;
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    let y = yoe + era * 400 + i64::from(m <= 2);
    format!(
        "{y}-{m:02}-{d:02} {:02}:{:02}:{:02}",
        secs / 3600,
        secs / 60 % 60,
        secs % 60
    )
}

fn utc(at: i64) -> String {
    format!("{}.5Z", civil(at, 0).replace(' ', "T"))
}

/// Ids that differ in their first twelve digits.
fn id(n: i64) -> String {
    let first = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{first:016x}{n:048x}")
}

impl Incident {
    fn new(name: &str, logins: Vec<i64>) -> Incident {
        let dir = std::env::temp_dir().join(format!("sshwhy-kinds-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("node")).unwrap();
        let mut lines: Vec<(i64, String)> = logins
            .iter()
            .enumerate()
            .map(|(i, at)| {
                let what = if i % 3 == 0 { "Accepted" } else { "Failed" };
                (
                    *at,
                    format!(
                        "{what} password for svc from {SOURCE} port {} ssh2",
                        40_000 + i
                    ),
                )
            })
            .collect();
        for day in -7..12 {
            let at = START + day * DAY + 9 * 3600;
            lines.push((at, "Accepted publickey for lena from 10.20.40.3 port 40404 ssh2: RSA SHA256:6mYq2zJ0t3nVn8cF2p7o1kqv4B3yWm5x9uE7dLr8aTs".to_owned()));
        }
        lines.sort();
        let log: String = lines
            .iter()
            .enumerate()
            .map(|(i, (at, l))| {
                let time = civil(*at, 0).replace(' ', "T");
                format!("{time}Z db-2 sshd[{}]: {l}\n", 500 + i)
            })
            .collect();
        fs::write(dir.join("auth.log"), log).unwrap();
        Incident { dir, logins }
    }

    /// Ten nights, twelve logins each, at times that nobody planned.
    fn nightly(name: &str) -> Incident {
        let mut logins: Vec<i64> = (0..120)
            .map(|n| START + n / 12 * DAY + 30 + drawn(n, 14_000))
            .collect();
        logins.sort_unstable();
        Incident::new(name, logins)
    }

    /// So many seconds apart, a second or two after.
    fn every(name: &str, seconds: i64, days: i64) -> Incident {
        let logins = (0..days * DAY / seconds)
            .map(|n| START + n * seconds + 1 + drawn(n, 2))
            .collect();
        Incident::new(name, logins)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.dir.join("node").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// One line for each login, and `others` a night of the same form, in order of time.
    fn lines(&self, others: i64, line: impl Fn(i64, bool) -> String) -> String {
        let mut all: Vec<(i64, bool)> = self.logins.iter().map(|t| (t - 1, true)).collect();
        all.extend((0..others * 10).map(|n| (START + drawn(n + 9000, 10 * DAY), false)));
        all.sort_unstable();
        all.into_iter()
            .map(|(t, own)| line(t, own) + "\n")
            .collect()
    }

    fn trace(&self, more: &[&str]) -> Value {
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(["trace", "--format", "json", "--tz", "UTC", "--log"])
            .arg(self.dir.join("auth.log"))
            .arg("--evidence")
            .arg(self.dir.join("node"))
            .args(more)
            .output()
            .unwrap();
        serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)))
    }
}

/// A container as `docker inspect` shows it.
fn container(n: i64, name: &str, more: Value) -> Value {
    let mut c = json!({"Id": id(n), "Name": format!("/{name}"), "Created": utc(START - 30 * DAY), "Path": "/run", "Args": [],
        "State": {"Status": "running", "Running": true, "Pid": 4000 + n, "StartedAt": utc(START - 30 * DAY)},
        "Config": {"Image": format!("acme/{name}:1")}, "HostConfig": {"NetworkMode": "bridge", "LogConfig": {"Type": "json-file"}}});
    for (key, value) in more.as_object().unwrap() {
        c[key] = value.clone();
    }
    c
}

/// Containers 1 to 12, that have nothing to do with it, and `more`.
fn crowd(more: &[Value]) -> String {
    let mut all: Vec<Value> = (1..13)
        .map(|n| container(n, &format!("api-{n}"), json!({})))
        .collect();
    all.extend(more.iter().cloned());
    Value::from(all).to_string()
}

fn top(t: &Value) -> (&str, f64) {
    let top = &t["suspects"][0];
    let name = top["name"].as_str().unwrap_or("nobody");
    (name, top["confidence"].as_f64().unwrap_or(0.0))
}

fn proofs(t: &Value) -> String {
    t["suspects"][0]["evidence"].to_string()
}

#[track_caller]
fn names(t: &Value, who: &str, least: f64) {
    let (name, confidence) = top(t);
    assert!(
        name.contains(who) && confidence >= least,
        "{name} {confidence}: {t:#}"
    );
}

#[track_caller]
fn accuses_nobody(t: &Value) {
    assert!(top(t).1 <= 0.5, "{t:#}");
}

#[test]
fn output_of_containers_that_the_journal_keeps_is_theirs() {
    let i = Incident::nightly("journal");
    i.put(
        "containers.json",
        &crowd(&[container(0, "ops-runner", json!({}))]),
    );
    let said = |n: i64, own: bool| {
        if own {
            "dispatch"
        } else {
            ["tick", "idle", "flush"][n as usize % 3]
        }
    };
    let json = i.lines(40, |t, own| {
        let n = if own { 0 } else { 1 + t % 12 };
        json!({"__REALTIME_TIMESTAMP": (t * 1_000_000).to_string(), "CONTAINER_ID_FULL": id(n), "CONTAINER_NAME": "x",
            "SYSLOG_IDENTIFIER": &id(n)[..12], "_SYSTEMD_UNIT": "docker.service", "MESSAGE": said(t, own)})
        .to_string()
    });
    i.put("journal.json", &json);
    let t = i.trace(&[]);
    names(&t, "ops-runner", 0.9);
    assert_eq!(t["suspects"][0]["container"], id(0));
    // Packed it is the same, also where it lies in an archive.
    let node = i.dir.join("node");
    let run = |program: &str, args: &[&str]| {
        assert!(
            Command::new(program)
                .args(args)
                .current_dir(&node)
                .status()
                .unwrap()
                .success()
        );
    };
    run("gzip", &["journal.json"]);
    names(&i.trace(&[]), "ops-runner", 0.9);
    run("tar", &["cf", "../all.tar", "."]);
    let archive = i.dir.join("all.tar");
    run("gunzip", &["journal.json.gz"]);
    let kept = fs::read(node.join("containers.json")).unwrap();
    fs::remove_file(node.join("containers.json")).unwrap();
    fs::remove_file(node.join("journal.json")).unwrap();
    names(
        &i.trace(&["--evidence", archive.to_str().unwrap()]),
        "ops-runner",
        0.9,
    );
    fs::write(node.join("containers.json"), kept).unwrap();
    fs::write(node.join("journal.json"), "").unwrap();
    // As text only the first digits of the id are left.
    fs::remove_file(i.dir.join("node/journal.json")).unwrap();
    i.put(
        "journal.log",
        &i.lines(40, |t, own| {
            let n = if own { 0 } else { 1 + t % 12 };
            format!("{} node-1 {}[911]: {}", utc(t), &id(n)[..12], said(t, own))
        }),
    );
    names(&i.trace(&[]), "ops-runner", 0.9);
}

#[test]
fn a_container_without_a_network_did_not_connect() {
    let i = Incident::nightly("cut-off");
    let off = json!({"HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "json-file"}}});
    i.put("containers.json", &crowd(&[container(0, "compactor", off)]));
    let log = i.lines(20, |t, own| {
        let said = if own { "round started" } else { "tick" };
        json!({"log": format!("{said}\n"), "stream": "stdout", "time": utc(t)}).to_string()
    });
    i.put(&format!("logs/{}-json.log", id(0)), &log);
    accuses_nobody(&i.trace(&[]));
    i.put(
        "containers.json",
        &crowd(&[container(0, "compactor", json!({}))]),
    );
    names(&i.trace(&[]), "compactor", 0.9);
}

#[test]
fn a_log_named_after_its_container_is_that_containers() {
    let i = Incident::nightly("named");
    i.put(
        "containers.json",
        &crowd(&[container(0, "dispatcher", json!({}))]),
    );
    let log = i.lines(20, |t, own| {
        format!("{} {}", utc(t), if own { "connecting" } else { "tick" })
    });
    i.put("logs/dispatcher.log", &log);
    let t = i.trace(&[]);
    assert_eq!(t["suspects"][0]["container"], id(0));
    // A program's own log may have the name of a container.
    fs::remove_dir_all(i.dir.join("node/logs")).unwrap();
    i.put("var/log/dispatcher.log", &log);
    let t = i.trace(&[]);
    assert_eq!(t["suspects"][0]["container"], Value::Null);
    names(&t, "dispatcher", 0.9);
}

#[test]
fn who_went_through_a_packet_filter_is_known_by_its_address() {
    let i = Incident::nightly("filter");
    let with_address = |ip: &str| json!({"NetworkSettings": {"IPAddress": ip}});
    let own = container(0, "legacy-sync", with_address("172.17.0.77"));
    let other = container(20, "web", with_address("172.17.0.5"));
    i.put("containers.json", &crowd(&[own, other]));
    let packet = |t: i64, src: &str, to: &str| {
        format!(
            "{} node-1 kernel: [9.1] OUT IN=docker0 OUT=eth0 SRC={src} DST={to} LEN=60 PROTO=TCP SPT=40000 DPT=22 WINDOW=64860 RES=0x00 SYN URGP=0",
            utc(t)
        )
    };
    i.put(
        "kern.log",
        &i.lines(30, |t, own| {
            if own {
                packet(t, "172.17.0.77", TARGET)
            } else {
                packet(t, "172.17.0.5", "10.20.6.6")
            }
        }),
    );
    let t = i.trace(&[]);
    names(&t, "legacy-sync", 0.9);
    // Nobody is known to have had the address: then it is the address that is named, never the kernel.
    i.put("containers.json", &crowd(&[]));
    let t = i.trace(&[]);
    names(&t, "172.17.0.77", 0.9);
    assert!(
        t["next"]
            .to_string()
            .contains("ip neigh | grep -wF 172.17.0.77"),
        "{t:#}"
    );
    fs::remove_file(i.dir.join("node/kern.log")).unwrap();
    i.put("conntrack.log", &i.lines(0, |t, _| {
        format!("[{t}.500000]\t    [NEW] tcp      6 120 SYN_SENT src=172.17.0.77 dst={TARGET} sport=40000 dport=22 [UNREPLIED] src={TARGET} dst={SOURCE} sport=22 dport=40000")
    }));
    names(&i.trace(&[]), "172.17.0.77", 0.9);
}

#[test]
fn a_command_in_a_pod_is_the_pods_and_says_who_ran_it() {
    let i = Incident::nightly("exec");
    i.put("kube-apiserver-audit.log", &i.lines(20, |t, own| {
        let (of, uri) = if own {
            (json!({"resource": "pods", "subresource": "exec", "namespace": "ops", "name": "toolbox-0"}), "/exec?command=ssh&command=svc%40db")
        } else {
            (json!({"resource": "pods", "namespace": "ops"}), "/pods")
        };
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "requestURI": uri, "verb": "create",
            "user": {"username": "ci-deployer"}, "objectRef": of, "responseStatus": {"code": 101}, "requestReceivedTimestamp": utc(t)})
        .to_string()
    }));
    let t = i.trace(&[]);
    names(&t, "toolbox-0", 0.9);
    assert!(
        proofs(&t).contains("exec by ci-deployer: ssh svc@db"),
        "{t:#}"
    );
}

#[test]
fn containers_that_live_for_one_run_are_one_job() {
    let i = Incident::nightly("runs");
    i.put("containers.json", &crowd(&[]));
    let mut text = String::new();
    for (n, t) in i.logins.iter().enumerate() {
        let id = id(n as i64 + 100);
        for (at, what) in [(t - 1, "start"), (t + 4, "die"), (t + 5, "destroy")] {
            text += &format!(
                "{} container {what} {id} (image=acme/certcheck:5, name=certcheck-run)\n",
                utc(at)
            );
        }
    }
    i.put("docker-events.log", &text);
    names(&i.trace(&[]), "certcheck-run", 0.9);
}

#[test]
fn a_health_check_that_logs_in_is_seen() {
    let i = Incident::every("health", 600, 3);
    let checks: Vec<Value> = i
        .logins
        .iter()
        .rev()
        .take(5)
        .rev()
        .map(|t| json!({"Start": utc(t - 1), "ExitCode": 255, "Output": "Permission denied"}))
        .collect();
    let more = json!({"Config": {"Image": "acme/watch:1", "Healthcheck": {"Test": ["CMD-SHELL", format!("ssh svc@{TARGET} true")]}},
        "State": {"Running": true, "Status": "running", "Health": {"Log": checks}}});
    i.put(
        "containers.json",
        &crowd(&[container(0, "replica-watch", more)]),
    );
    let t = i.trace(&["--target", TARGET]);
    names(&t, "replica-watch", 0.5);
    assert!(proofs(&t).contains("its health check runs ssh"), "{t:#}");
    assert_eq!(t["verdict"], "misconfigured-automation", "{t:#}");
}

#[test]
fn a_pod_in_the_nodes_network_is_not_the_source() {
    let i = Incident::nightly("host-network");
    let pod = |shared: bool| {
        json!({"metadata": {"name": "proxy-0", "namespace": "sys"}, "spec": {"hostNetwork": shared, "containers": [{"name": "p"}]},
            "status": {"podIP": SOURCE, "hostIP": if shared { SOURCE } else { "10.20.3.1" }, "containerStatuses": [{"name": "p",
                "containerID": format!("containerd://{}", id(0)), "state": {"running": {"startedAt": utc(START - DAY * 30)}}}]}})
    };
    i.put("pods.json", &json!({"items": [pod(true)]}).to_string());
    accuses_nobody(&i.trace(&[]));
    i.put("pods.json", &json!({"items": [pod(false)]}).to_string());
    names(&i.trace(&[]), "proxy-0", 0.6);
}

#[test]
fn a_log_is_read_in_the_zone_of_its_machine() {
    let hourly: Vec<i64> = (0..50)
        .map(|n| START + n / 5 * DAY + (1 + n % 5) * 3600 + 13 * 60 + 2)
        .collect();
    let i = Incident::new("zones", hourly);
    let cron = |hours: i64, shift: i64, script: &str| {
        let line = |t: &i64| {
            let time = civil(t + shift * 3600, hours);
            format!(
                "{} node CRON[9]: (etl) CMD (/srv/etl/{script})\n",
                &time.replace(' ', "T")
            )
        };
        i.logins
            .iter()
            .map(|t| t - 1)
            .map(|t| line(&t))
            .collect::<String>()
    };
    // At the same hours of their own clocks, of which one is nine hours ahead.
    i.put("node-a/var/log/syslog", &cron(-4, 0, "fetch-a.sh"));
    i.put("node-a/etc/timezone", "America/New_York\n");
    i.put("node-b/var/log/syslog", &cron(9, 2, "fetch-b.sh"));
    i.put(
        "node-b/timedatectl.txt",
        "   Time zone: Asia/Tokyo (JST, +0900)\n",
    );
    let t = i.trace(&[]);
    names(&t, "fetch-a.sh", 0.4);
    assert!(!t["suspects"].to_string().contains("fetch-b.sh"), "{t:#}");
}

#[test]
fn of_two_jobs_at_one_minute_the_one_whose_script_logs_in_is_named() {
    let i = Incident::every("scripts", 1800, 10);
    i.put(
        "etc/cron.d/app",
        "*/30 * * * * www /srv/app/artisan run\n*/30 * * * * ops /opt/ops/rotate.sh\n",
    );
    let t = i.trace(&["--target", TARGET]);
    accuses_nobody(&t);
    assert_eq!(t["weighed"], 2, "{t:#}");
    i.put("srv/app/artisan", "#!/usr/bin/env php\n<?php run();\n");
    i.put(
        "opt/ops/rotate.sh",
        &format!("#!/bin/sh\nssh svc@{TARGET} cat .ssh/authorized_keys\n"),
    );
    let t = i.trace(&["--target", TARGET]);
    names(&t, "rotate.sh", 0.6);
    // Another host's name in it is no sign.
    i.put("opt/ops/rotate.sh", "#!/bin/sh\nssh svc@10.20.9.77 true\n");
    accuses_nobody(&i.trace(&["--target", TARGET]));
}

#[test]
fn a_loop_that_waits_as_long_as_the_logins_do_is_named() {
    let i = Incident::every("loops", 1200, 5);
    let line = |to: &str, pause: i64| {
        format!("#1683500000\nls\nwhile true; do ssh backup@{to} df; sleep {pause}; done\n")
    };
    for (to, pause, named) in [
        (TARGET, 1199, true),
        (TARGET, 300, false),
        ("10.20.9.77", 1199, false),
    ] {
        i.put("home/ivan/.bash_history", &line(to, pause));
        let t = i.trace(&["--target", TARGET]);
        if named {
            names(&t, "ssh", 0.6);
            assert!(proofs(&t).contains("home/ivan/.bash_history:3"), "{t:#}");
            assert_eq!(t["suspects"][0]["users"], json!(["ivan"]));
            assert_eq!(t["unexplained"], 0);
            assert!(
                t["next"].to_string().contains("ps -eo pid,ppid,user"),
                "{t:#}"
            );
        } else {
            accuses_nobody(&t);
        }
    }
}

#[test]
fn who_comes_in_before_each_login_goes_on_from_here() {
    let i = Incident::nightly("jump");
    i.put("auth.log", &i.lines(20, |t, own| {
        let who = if own { "deploybot from 10.20.77.7" } else { "lena from 10.20.40.3" };
        format!("{} bastion sshd[77]: Accepted publickey for {who} port 40000 ssh2: RSA SHA256:6mYq2zJ0t3nVn8cF2p7o1kqv4B3yWm5x9uE7dLr8aTs", utc(t))
    }));
    let t = i.trace(&[]);
    names(&t, "deploybot from 10.20.77.7", 0.9);
    assert!(
        t["next"]
            .to_string()
            .contains("grep -F -e 'deploybot from 10.20.77.7'"),
        "{t:#}"
    );
}

#[test]
fn supervisors_speak_of_their_programs() {
    let i = Incident::nightly("supervisor");
    i.put(
        "supervisor/supervisord.log",
        &i.lines(20, |t, own| {
            let name = if own { "db-tunnel" } else { "gunicorn" };
            format!("{},500 INFO spawned: '{name}' with pid 4711", civil(t, 0))
        }),
    );
    names(&i.trace(&[]), "db-tunnel", 0.9);
    i.put("journal.json", &i.lines(20, |t, own| {
        let unit = if own { "reverse-tunnel.service" } else { "consul.service" };
        json!({"__REALTIME_TIMESTAMP": (t * 1_000_000).to_string(), "SYSLOG_IDENTIFIER": "ssh", "_COMM": "ssh", "_SYSTEMD_UNIT": unit,
            "_HOSTNAME": "node", "MESSAGE": "Permission denied (publickey)."})
        .to_string()
    }));
    fs::remove_dir_all(i.dir.join("node/supervisor")).unwrap();
    names(&i.trace(&[]), "reverse-tunnel", 0.9);
}

/// Records of a command and of its connect.
fn audited(log: &mut String, serial: &mut i64, t: i64, argv: &[&str]) {
    let ids = "auid=1007 uid=1007 gid=1007 tty=pts3 ses=14";
    let pid = 50_000 + *serial;
    for call in [59, 42] {
        *serial += 1;
        let stamp = format!("audit({t}.{}:{serial})", 100 + call);
        let args: Vec<String> = argv
            .iter()
            .enumerate()
            .map(|(i, a)| format!("a{i}=\"{a}\""))
            .collect();
        *log += &format!(
            "type=SYSCALL msg={stamp}: arch=c000003e syscall={call} success=yes exit=0 ppid=690 pid={pid} {ids} comm=\"ssh\" exe=\"/usr/bin/ssh\"\n"
        );
        if call == 59 {
            *log += &format!(
                "type=EXECVE msg={stamp}: argc={} {}\n",
                argv.len(),
                args.join(" ")
            );
        } else {
            *log += &format!("type=SOCKADDR msg={stamp}: saddr=020000160A1409050000000000000000\n");
        }
    }
}

#[test]
fn containers_that_only_the_kernel_saw_are_runs_of_one_job() {
    let i = Incident::nightly("shims");
    i.put("containers.json", &crowd(&[]));
    let (mut log, mut serial) = (String::new(), 0);
    for (n, t) in i.logins.iter().enumerate() {
        let (shim, id) = (60_000 + 10 * n, id(n as i64 + 300));
        for (call, pid, ppid, rest) in [
            (
                59,
                shim,
                1,
                format!(
                    "argc=4 a0=\"containerd-shim-runc-v2\" a1=\"-id\" a2=\"{id}\" a3=\"start\""
                ),
            ),
            (
                42,
                shim + 1,
                shim,
                "020000160A1409050000000000000000".to_owned(),
            ),
        ] {
            serial += 1;
            let stamp = format!("audit({}.500:{serial})", t - 1);
            let exe = if call == 59 {
                "/usr/bin/containerd-shim-runc-v2"
            } else {
                "/usr/bin/ssh"
            };
            log += &format!(
                "type=SYSCALL msg={stamp}: arch=c000003e syscall={call} success=yes exit=0 ppid={ppid} pid={pid} auid=4294967295 uid=0 comm=\"x\" exe=\"{exe}\"\n"
            );
            log += &if call == 59 {
                format!("type=EXECVE msg={stamp}: {rest}\n")
            } else {
                format!("type=SOCKADDR msg={stamp}: saddr={rest}\n")
            };
        }
    }
    i.put("audit.log", &log);
    let t = i.trace(&[]);
    names(&t, "(the first of 120 runs)", 0.97);
    assert_eq!(t["suspects"][0]["container"], id(300));
}

#[test]
fn the_log_of_cron_and_the_kernel_tell_of_one_job_and_of_its_user() {
    let i = Incident::nightly("one-job");
    i.put(
        "syslog",
        &i.lines(20, |t, own| {
            let what = if own {
                "/usr/local/sbin/pull-inventory -q"
            } else {
                "run-parts /etc/cron.hourly"
            };
            format!("{} node CRON[9]: (ops) CMD ({what})", utc(t))
        }),
    );
    let (mut log, mut serial) = (String::new(), 0);
    for t in &i.logins {
        audited(
            &mut log,
            &mut serial,
            *t - 1,
            &["/bin/sh", "-c", "/usr/local/sbin/pull-inventory -q"],
        );
    }
    i.put("audit.log", &log);
    i.put(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nmaria:x:1007:1007::/home/maria:/bin/bash\n",
    );
    let t = i.trace(&[]);
    names(&t, "pull-inventory", 0.97);
    assert_eq!(t["suspects"].as_array().unwrap().len(), 1, "{t:#}");
    assert_eq!(t["suspects"][0]["users"], json!(["maria (uid 1007)"]));
    assert!(
        proofs(&t).contains("ran as maria (uid 1007), from a login of theirs"),
        "{t:#}"
    );
}

#[test]
fn who_explains_fewer_of_the_same_logins_is_a_rival_and_loses() {
    let i = Incident::nightly("rivals");
    i.put(
        "containers.json",
        &crowd(&[
            container(0, "agent-b", json!({})),
            container(20, "agent-a", json!({})),
        ]),
    );
    let line =
        |t: i64| json!({"log": "run\n", "stream": "stdout", "time": utc(t)}).to_string() + "\n";
    let own: String = i.logins.iter().map(|t| line(t - 1)).collect();
    // Late by something else each time: a wide tolerance meets some of them.
    let mut late: Vec<i64> = i.logins.iter().map(|t| t + 30 + drawn(*t, 90)).collect();
    late.sort_unstable();
    i.put(&format!("logs/{}-json.log", id(0)), &own);
    i.put(
        &format!("logs/{}-json.log", id(20)),
        &late.into_iter().map(line).collect::<String>(),
    );
    let t = i.trace(&[]);
    names(&t, "agent-b", 0.85);
    let accused: Vec<&str> = t["suspects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["confidence"].as_f64().unwrap() > 0.5)
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(accused, ["agent-b"], "{t:#}");
}

#[test]
fn who_connects_elsewhere_at_the_same_moments_is_not_accused_where_the_target_is_known() {
    let i = Incident::nightly("elsewhere");
    i.put("containers.json", &crowd(&[container(0, "fan", json!({}))]));
    let log = |to: &str| {
        i.lines(20, |t, own| {
            let said = if own {
                format!("connect svc@{to}")
            } else {
                "tick".to_owned()
            };
            json!({"log": said + "\n", "stream": "stdout", "time": utc(t)}).to_string()
        })
    };
    let path = format!("logs/{}-json.log", id(0));
    i.put(&path, &log("10.20.9.200"));
    accuses_nobody(&i.trace(&["--target", TARGET]));
    names(&i.trace(&[]), "fan", 0.9);
    i.put(&path, &log(TARGET));
    names(&i.trace(&["--target", TARGET]), "fan", 0.9);
    // The same of connects that the kernel saw.
    fs::remove_dir_all(i.dir.join("node")).unwrap();
    let (mut log, mut serial) = (String::new(), 0);
    for t in &i.logins {
        audited(&mut log, &mut serial, *t - 1, &["/opt/other/run-other"]);
    }
    i.put("audit.log", &log);
    accuses_nobody(&i.trace(&["--target", "10.20.9.200"]));
    names(&i.trace(&["--target", TARGET]), "run-other", 0.9);
}

#[test]
fn lines_of_compose_are_the_containers_that_they_name() {
    let i = Incident::nightly("compose");
    i.put(
        "containers.json",
        &crowd(&[container(0, "shop-puller-1", json!({}))]),
    );
    i.put(
        "compose.log",
        &i.lines(20, |t, own| {
            let (name, said) = if own {
                ("puller-1", "pull")
            } else {
                ("api-1", "tick")
            };
            format!("{name:10} | {} {said}", utc(t))
        }),
    );
    let t = i.trace(&[]);
    names(&t, "shop-puller-1", 0.9);
    assert_eq!(t["suspects"][0]["container"], id(0));
}

#[test]
fn what_never_was_written_down_is_said() {
    let i = Incident::nightly("silent");
    let silent = json!({"HostConfig": {"NetworkMode": "bridge", "LogConfig": {"Type": "none"}}});
    i.put(
        "containers.json",
        &crowd(&[container(0, "remote-exec", silent)]),
    );
    let t = i.trace(&[]);
    accuses_nobody(&t);
    assert!(
        t["read"]["notes"]
            .to_string()
            .contains("remote-exec kept no log (log driver none)"),
        "{t:#}"
    );
}

#[test]
fn a_beat_all_day_long_is_a_timer_unless_it_comes_from_the_internet() {
    let i = Incident::every("beat", 900, 4);
    let verdict = |log: &Path| {
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(["trace", "--format", "json", "--tz", "UTC", "--log"])
            .arg(log)
            .output()
            .unwrap();
        let t: Value = serde_json::from_slice(&out.stdout).unwrap();
        t["verdict"].as_str().unwrap().to_owned()
    };
    let log = fs::read_to_string(i.dir.join("auth.log"))
        .unwrap()
        .replace("Accepted password", "Failed password");
    for (source, want) in [
        (SOURCE, "misconfigured-automation"),
        ("203.0.113.9", "unknown"),
    ] {
        let path = i.dir.join("all-failed.log");
        fs::write(&path, log.replace(SOURCE, source)).unwrap();
        assert_eq!(verdict(&path), want, "{source}");
    }
}

#[test]
fn evidence_that_holds_nothing_is_said() {
    let i = Incident::nightly("nothing");
    let said = |t: &Value| {
        t["read"]["notes"]
            .to_string()
            .contains("holds nothing that tells of the node")
    };
    assert!(said(&i.trace(&[])));
    i.put("containers.json", &crowd(&[]));
    assert!(!said(&i.trace(&[])));
}

#[test]
fn a_target_log_that_cannot_be_read_is_named_with_what_was_seen() {
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .arg("trace")
            .args(args)
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    let (code, said) = run(&["--log", "/nowhere/auth\u{1b}[31m.log"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("/nowhere/auth\\x1b[31m.log: not found"),
        "{said}"
    );
    let (code, said) = run(&["--log", "x", "--evidence", "/nowhere\u{1b}[31m"]);
    assert_eq!(code, Some(2));
    assert!(
        !said.contains('\u{1b}') && said.contains("/nowhere"),
        "{said:?}"
    );
    assert_eq!(run(&["--log", "x", "--port", "0"]).0, Some(2));
}

#[test]
fn a_container_that_was_made_anew_is_one_culprit() {
    let i = Incident::nightly("anew");
    let half = START + 5 * DAY - 7200;
    let life = |n: i64, from: i64, until: Option<i64>| {
        let mut state = json!({"Running": until.is_none(), "StartedAt": utc(from)});
        if let Some(t) = until {
            state["FinishedAt"] = json!(utc(t));
        }
        let log: String = i
            .logins
            .iter()
            .filter(|t| (from..until.unwrap_or(i64::MAX)).contains(t))
            .map(|t| {
                json!({"log": "pull\n", "stream": "stdout", "time": utc(t - 1)}).to_string() + "\n"
            })
            .collect();
        i.put(&format!("logs/{}-json.log", id(n)), &log);
        container(n, "puller", json!({"Created": utc(from), "State": state}))
    };
    let lives = [life(0, START - DAY, Some(half)), life(20, half + 5, None)];
    i.put("containers.json", &crowd(&lives));
    let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
        .args(["trace", "--tz", "+08:00", "--log"])
        .arg(i.dir.join("auth.log"))
        .arg("--evidence")
        .arg(i.dir.join("node"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("puller did it (97 %), made anew 1 time "),
        "{text}"
    );
    assert!(
        said.contains("lived until 2023-05-13 06:00:00 +08:00, alive at"),
        "{text}"
    );
}

#[test]
fn rules_that_cannot_be_listed_may_be_there() {
    let i = Incident::nightly("disarm");
    let run = || {
        let out = Command::new(env!("CARGO_BIN_EXE_sshwhy"))
            .args(["trace", "disarm", "--out"])
            .arg(i.dir.join("watch.log"))
            .env("PATH", i.dir.join("node"))
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
        )
    };
    let (code, said) = run();
    assert_eq!(code, Some(0), "no auditctl, no rules: {said}");
    i.put(
        "auditctl",
        "#!/bin/sh\necho 'You must be root to run this program.' >&2\nexit 4\n",
    );
    use std::os::unix::fs::PermissionsExt;
    let path = i.dir.join("node/auditctl");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = run();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("audit rules cannot be listed"), "{said}");
}

#[test]
fn each_cron_and_sudo_say_in_their_words_what_they_ran() {
    let i = Incident::nightly("crons");
    let ran = |own: bool| {
        if own {
            "/opt/x/pull-all -q"
        } else {
            "run-parts /etc/cron.hourly"
        }
    };
    let cronie = |t: i64, own: bool| {
        let line =
            |at: i64, what: &str| format!("{} node CROND[9]: (ops) {what} ({})", utc(at), ran(own));
        format!("{}\n{}", line(t, "CMD"), line(t + 3, "CMDEND"))
    };
    let busybox = |t: i64, own: bool| {
        format!(
            "{} node crond[77]: USER root pid {} cmd {}",
            utc(t),
            t % 9999,
            ran(own)
        )
    };
    let sudo = |t: i64, own: bool| {
        format!(
            "{} node sudo:   ops : PWD=/srv ; USER=root ; COMMAND={}\n{} node sudo: pam_unix(sudo:session): session opened for user root(uid=0) by (uid=1002)",
            utc(t),
            ran(own),
            utc(t)
        )
    };
    let debian = |t: i64, own: bool| {
        format!(
            "{} node CRON[9]: pam_unix(cron:session): session opened for user ops(uid=1002) by (uid=0)\n{} node CRON[9]: (ops) CMD ({})",
            utc(t),
            utc(t),
            ran(own)
        )
    };
    let forms: [&dyn Fn(i64, bool) -> String; 4] = [&cronie, &busybox, &sudo, &debian];
    for form in forms {
        i.put("var/log/messages", &i.lines(30, form));
        let t = i.trace(&[]);
        names(&t, "pull-all", 0.9);
        assert_eq!(t["suspects"].as_array().unwrap().len(), 1, "{t:#}");
    }
}
