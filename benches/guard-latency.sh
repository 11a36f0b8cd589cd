#!/usr/bin/env bash
# From the line that is one too many to the packet that is dropped, in network namespaces with nft; beside fail2ban in the same
# world. Needs root, nft, ip, python3, and fail2ban for the comparison.
#
#   benches/guard-latency.sh target/release/sshwhy [ROUNDS] [LINES-A-SECOND…]        default: 100 rounds, at 10 and at 10000
#
# An attacker's namespace asks for a TCP port of the server's every millisecond from a new address; the fifth failure is
# written to the log; the time is taken from that write to the first request that is not answered any more.
set -euo pipefail
sshwhy=$(realpath "$1"); rounds=${2:-100}; shift $(( $# < 2 ? $# : 2 )); rates=("${@:-10}"); [ $# -gt 0 ] || rates=(10 10000)
work=$(mktemp -d); chmod 755 "$work"
ns=sg$$
cleanup() { for pid in $(cat "$work"/*.pid 2>/dev/null); do kill "$pid" 2>/dev/null || true; done; sleep 1; ip netns del "$ns" 2>/dev/null || true; ip netns del "$ns-a" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
ip netns add "$ns"; ip netns add "$ns-a"
ip link add v0 netns "$ns" type veth peer name v1 netns "$ns-a"
ip -n "$ns" addr add 10.77.0.1/16 dev v0; ip -n "$ns" link set v0 up; ip -n "$ns" link set lo up
ip -n "$ns-a" addr add 10.77.255.254/16 dev v1; ip -n "$ns-a" link set v1 up
cat >"$work/run.py" <<'PY'
import sys, socket, time, subprocess, os, threading, datetime
log, rounds, rate, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
base = int(sys.argv[5])
out = open(log, "a", buffering=1)
lock = threading.Lock()
stop = False
def stamp():
    t = datetime.datetime.now(datetime.timezone.utc)
    return t.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
def write(text):
    with lock:
        out.write(text)
def noise():
    n = 0
    begin = time.time()
    while not stop:
        want = int((time.time() - begin) * rate)
        if n < want:
            t = stamp()
            lines = []
            while n < want:
                n += 1
                # Many sources, none of them too often.
                ip = "100.%d.%d.%d" % (64 + (n >> 16) % 64, (n >> 8) % 256, n % 256)
                lines.append(f"{t} web1 sshd[{20000 + n % 30000}]: Connection closed by {ip} port {1024 + n % 60000} [preauth]\n")
            write("".join(lines))
        time.sleep(0.005)
threading.Thread(target=noise, daemon=True).start()
time.sleep(1)
took = []
for r in range(rounds):
    addr = "10.77.%d.%d" % (base, 1 + r)
    subprocess.run(["ip", "addr", "add", addr + "/16", "dev", "v1"], check=True)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((addr, 0)); s.connect(("10.77.0.1", 7777)); s.settimeout(0.004)
    s.send(b"x"); s.settimeout(1); s.recv(9)
    s.settimeout(0.004)
    for i in range(5):
        write(f"{stamp()} web1 sshd[{9000 + r * 5 + i}]: Failed password for root from {addr} port {2000 + i} ssh2\n")
    t0 = time.monotonic(); end = t0 + 20; missed = 0; gone = None
    while time.monotonic() < end:
        sent = time.monotonic()
        try:
            s.send(b"x")
            s.recv(9); missed = 0; gone = None
        except (socket.timeout, ConnectionRefusedError):
            missed += 1
            gone = gone or sent
            if missed >= 5:
                break
        time.sleep(0.001)
    took.append((gone - t0) * 1000 if gone and missed >= 5 else None)
    time.sleep(0.05)
stop = True
good = sorted(t for t in took if t is not None)
if not good:
    print(f"{what}: {rate} lines/s: nobody was banned in {rounds} rounds"); sys.exit()
q = lambda p: good[min(len(good) - 1, int(len(good) * p))]
print(f"{what}: {rate} lines/s, {len(good)} of {rounds} banned: median {q(.5):.1f} ms, p99 {q(.99):.1f} ms, worst {good[-1]:.1f} ms")
PY
cat >"$work/echo.py" <<'PY'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.77.0.1", 7777))
while True:
    try:
        d, a = s.recvfrom(9); s.sendto(d, a)
    except OSError:
        pass
PY
ip netns exec "$ns" python3 "$work/echo.py" & echo $! >"$work/echo.pid"; sleep 0.5
# sshwhy
mkdir -p "$work/log"; : >"$work/log/auth.log"
cat >"$work/guard.toml" <<TOML
state = "$work/s/sshwhy/guard.db"
socket = "$work/s/sshwhy/guard.sock"
panic-file = "$work/s/sshwhy/panic"
[log]
files = ["$work/log/auth.log"]
journal = "no"
[firewall]
backend = "nftables"
TOML
mkdir "$work/s"
ip netns exec "$ns" "$sshwhy" guard --config "$work/guard.toml" >"$work/guard.out" 2>&1 & echo $! >"$work/guard.pid"
sleep 2
net=1
for rate in "${rates[@]}"; do
  ip netns exec "$ns-a" python3 "$work/run.py" "$work/log/auth.log" "$rounds" "$rate" sshwhy "$net"; net=$((net + 1))
done
kill "$(cat "$work/guard.pid")"; sleep 1; rm "$work/guard.pid"
# fail2ban, its own defaults
if command -v fail2ban-server >/dev/null; then
  mkdir -p "$work/f2b/jail.d" "$work/log2"; : >"$work/log2/auth.log"
  cp -r /etc/fail2ban/. "$work/f2b/"; rm -f "$work"/f2b/jail.d/*
  cat >"$work/f2b/jail.local" <<INI
[DEFAULT]
banaction = nftables-multiport
backend = auto
[sshd]
enabled = true
logpath = $work/log2/auth.log
port = 1:65535
protocol = udp
INI
  ip netns exec "$ns" fail2ban-server -c "$work/f2b" -s "$work/f2b.sock" -p "$work/f2b.pid" --logtarget "$work/f2b.log" -f start >/dev/null 2>&1 & sleep 5
  for rate in "${rates[@]}"; do
    ip netns exec "$ns-a" python3 "$work/run.py" "$work/log2/auth.log" "$rounds" "$rate" fail2ban "$net"; net=$((net + 1))
  done
fi
