#!/usr/bin/env python3
"""An incident of any size: a container that logs in at night, a thousand that do not, and an audit log of all of them.

    generate.py SCALE DIR      SCALE 1: 10 million audit records, 1,000 containers, 10 GB of logs
"""
import datetime as dt, json, os, random, sys

scale, out = float(sys.argv[1]), sys.argv[2]
r = random.Random(7)
DAY, NIGHTS = 86400, 10
tz = dt.timezone(dt.timedelta(hours=8))
first = dt.datetime(2023, 3, 29, tzinfo=tz).timestamp()
start, end = first - 4 * DAY, first + NIGHTS * DAY
node, target = "10.42.7.7", "10.42.250.3"
os.makedirs(f"{out}/target", exist_ok=True)
os.makedirs(f"{out}/node/logs", exist_ok=True)
acts = sorted((first + n * DAY + r.uniform(30, 4 * 3600), r.random() < .4) for n in range(NIGHTS) for _ in range(18))


def stamp(t):
    return dt.datetime.fromtimestamp(t, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")


with open(f"{out}/target/auth.log", "w") as f:
    for i, (t, ok) in enumerate(acts):
        d = dt.datetime.fromtimestamp(t, tz)
        port = 32768 + i
        what = f"Accepted password for ops from {node} port {port} ssh2" if ok else f"Failed password for ops from {node} port {port} ssh2"
        f.write(f"{d.strftime('%b')} {d.day:2d} {d.strftime('%H:%M:%S')} db-3 sshd[{20000 + i}]: {what}\n")

# Logs: blocks of lines are made once for each container and repeated with new times, or this would take hours.
boxes, per = [], int(10e9 * scale / 1000)
for c in range(1000):
    cid = "%064x" % r.getrandbits(256)
    boxes.append({"Id": cid, "Created": stamp(first - 90 * DAY) + "Z", "Path": "/app/run", "Args": [f"--shard={c}"], "Name": f"/app-{c}",
                  "State": {"Status": "running", "Running": True, "Pid": 3000 + c, "StartedAt": stamp(first - 90 * DAY) + "Z"},
                  "Config": {"Image": f"registry.local/app:{c % 40}"}, "LogPath": f"logs/{cid}-json.log"})
    words = [f"GET /items/{r.randrange(10**6)} from 10.42.{r.randrange(9)}.{r.randrange(250)} 200 in {r.randrange(99)} ms, cache hit, shard {c}" if k % 3 else
             f"processed batch {r.randrange(10**6)} of tenant {r.choice('abcdefgh')} with {r.randrange(999)} rows in {r.randrange(99)} ms, queue empty" for k in range(200)]
    lines = [f'{{"log":"{w}\\n","stream":"stdout","time":"' for w in words]
    n = per // (sum(map(len, lines)) // 200 + 33)
    culprit = c == 500
    mine = [(t - .6, f'{{"log":"dispatch job={r.randrange(10**6)} begin\\n","stream":"stdout","time":"') for t, _ in acts] if culprit else []
    with open(f"{out}/node/logs/{cid}-json.log", "w") as f:
        step, k, second, head, piece = (end - start) / n, 0, -1, "", []
        for i in range(n):
            t = start + i * step
            while mine and mine[0][0] <= t:
                u, text = mine.pop(0)
                piece.append(text + stamp(u) + '123Z"}\n')
            if int(t) != second:
                second, head = int(t), stamp(t)[:20]
            piece.append(lines[(i * 7) % 200] + head + "%09dZ\"}\n" % int(t % 1 * 1e9))
            if len(piece) > 20000:
                f.write("".join(piece))
                piece = []
        f.write("".join(piece))
json.dump(boxes, open(f"{out}/node/containers.json", "w"))
json.dump({"container": boxes[500]["Id"]}, open(f"{out}/truth.json", "w"))

# Audit: SYSCALL, EXECVE or SOCKADDR, CWD and PROCTITLE: four records an event.
events = int(10e6 * scale / 4)
mine = [t - .4 for t, _ in acts]
with open(f"{out}/node/audit.log", "w") as f:
    piece = []
    for i in range(events):
        t = start + i * (end - start) / events
        s = f"msg=audit({t:.3f}:{i + 1000})"
        c, pid, to, port = i * 7919 % 1000, 100000 + i % 30000, f"0A2A{i % 9:02X}{i % 250:02X}", "01BB"
        call = 59 if i % 5 == 0 else 42
        if mine and mine[0] <= t:
            mine.pop(0)
            c, to, port, call = 500, "0A2AFA03", "0016", 42
        piece.append(f'type=SYSCALL {s}: arch=c000003e syscall={call} success=yes exit=0 a0=3 a1=7ffd a2=10 a3=0 items=0 ppid={3000 + c} pid={pid} auid=4294967295 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=4294967295 comm="run" exe="/app/run" key="x"\n')
        piece.append(f'type=EXECVE {s}: argc=3 a0="/app/run" a1="--shard={c}" a2="--once"\n' if call == 59 else f"type=SOCKADDR {s}: saddr=0200{port}{to}0000000000000000\n")
        piece.append(f'type=CWD {s}: cwd="/app"\ntype=PROCTITLE {s}: proctitle=2F6170702F72756E002D2D73686172643D31\n')
        if len(piece) > 20000:
            f.write("".join(piece))
            piece = []
    f.write("".join(piece))
