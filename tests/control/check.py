#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""filterd's control socket, on a simulated kernel:  check.py BUILD TEST

    clients   a thousand at a time, slow ones, such that write garbage: all others are served
    rights    everybody reads, root and the control group change
    stacks    plan, apply, drift, foreign filters, prune, rollback, wrong files, jobs, events
    plugins   that hang, crash, end the process, answer too much or nonsense: status is answered within a second; two with one noun
"""

import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

FILES = """version: 1
groups: [{name: all, devices: [data, log]}]
devices:
  - {name: data, match: {serial: S1}, stack: [{filter: good, level: 3}]}
  - {name: log, match: {serial: S2}, stack: [{filter: bare}]}
"""
# filterd promises one; the machine is shared with virtual machines and compilers, and what is looked for hangs for ten or sixty.
PROMISED_SECONDS = 3.0


class Daemon:
    def __init__(self, build: Path, folder: Path, plugins: Path):
        self.folder, self.arguments = folder, [build / "bin/filterd-simulated", folder, plugins, "sda=S1", "sdb=S2", "sdc=S3"]
        self.log = folder / "log"
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout.readline() == "ready\n", self.log.read_text()

    def reload(self, files: str) -> None:
        (self.folder / "filterd.yaml").write_text(files)
        self.process.send_signal(signal.SIGHUP)
        assert self.process.stdout.readline() == "reloaded\n"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def peak_kib(self) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


class Client:
    def __init__(self, folder: Path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(str(folder / "control.sock"))
        self.file = self.socket.makefile("r", encoding="utf-8", newline="\n")
        hello = self.read()
        assert hello["protocol"] == 1, hello
        self.last = 0

    def send(self, method: str, **params) -> int:
        self.last += 1
        self.socket.sendall(json.dumps({"id": self.last, "method": method, "params": params}).encode() + b"\n")
        return self.last

    def read(self) -> dict:
        line = self.file.readline()
        assert line, "filterd has ended the connection"
        return json.loads(line)

    def reply(self, number: int) -> dict:
        while True:
            line = self.read()
            if line.get("id") == number and "progress" not in line:
                return line

    def ask(self, method: str, **params) -> dict:
        return self.reply(self.send(method, **params))

    def result(self, method: str, **params) -> dict:
        reply = self.ask(method, **params)
        assert "result" in reply, reply
        return reply["result"]

    def error(self, method: str, **params) -> str:
        reply = self.ask(method, **params)
        assert "error" in reply, reply
        return reply["error"]["code"]

    def is_ended(self) -> bool:
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True


@contextmanager
def daemon(build: Path, files: str = FILES):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "filterd.yaml").write_text(files)
        running = Daemon(build, folder, build / "tests/plugins")
        try:
            yield running
            assert running.process.poll() is None, f"filterd has ended: {running.log.read_text()}"
        finally:
            running.stop()


def status_in_time(folder: Path) -> dict:
    client = Client(folder)
    start = time.monotonic()
    status = client.result("status")
    took = time.monotonic() - start
    assert took < PROMISED_SECONDS, f"status took {took:.2f} s"
    return status


def stack(folder: Path, name: str) -> list[str]:
    status = Client(folder).result("status")
    device = next(device for device in status["devices"] if device["name"] == name)
    return [f"{one['filter']} {one['ownership']} {one['options']}" for one in device["present"][0]["stack"]]


def state(folder: Path, name: str) -> str:
    return next(device["state"] for device in Client(folder).result("status")["devices"] if device["name"] == name)


# --- clients ---


def a_thousand(folder: Path) -> None:
    clients = [Client(folder) for _ in range(1000)]
    for client in clients:
        client.send("status")
    for client in clients:
        assert client.reply(1)["result"]["devices"][0]["name"] == "data"
    status_in_time(folder)


def too_many(folder: Path) -> None:
    clients = []
    for _ in range(1500):
        clients.append(Client(folder))
    with_no_room = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with_no_room.settimeout(30)
    with_no_room.connect(str(folder / "control.sock"))
    assert b"too many clients" in with_no_room.recv(4096)
    for client in clients:
        client.socket.close()


def slow_readers(folder: Path) -> None:
    slow = [Client(folder) for _ in range(20)]
    for client in slow:
        client.socket.settimeout(0.2)
        try:
            for _ in range(20000):
                client.send("status")
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        status_in_time(folder)
    watching = Client(folder)
    watching.send("watch")
    status_in_time(folder)


def garbage(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    for line, wanted in (
        (b"\n", "not a request"),
        (b"[1]\n", "not a request"),
        (b'{"id": -1, "method": "status"}\n', "'id' must be a number"),
        (b'{"id": 1}\n', "'method' must be a text"),
        (b'{"id": 1, "method": "status", "params": 7}\n', "'params' must be an object"),
        (b'{"id": 1, "method": "nonsense"}\n', "no method 'nonsense'"),
        (b'{"id": 1, "method": "\xff\xfe"}\n', "not a request"),
        (b"[" * 60000 + b"\n", "nested too deeply"),
    ):
        client = Client(folder)
        client.socket.sendall(line)
        reply = client.read()
        assert wanted in reply["error"]["message"], (line[:80], reply)
        assert client.result("filters")
    long = Client(folder)
    long.socket.settimeout(10)
    try:
        long.socket.sendall(b"x" * (1 << 20))
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert long.is_ended()
    for _ in range(200):
        client = Client(folder)
        client.socket.sendall(chance.randbytes(chance.randrange(1, 5000)))
        client.socket.close()
    status_in_time(folder)


def clients(build: Path) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with daemon(build) as running:
        a_thousand(running.folder)
        too_many(running.folder)
        slow_readers(running.folder)
        garbage(running.folder, int(os.environ.get("SEED", "1")))
        print(f"filterd's peak: {running.peak_kib()} KiB")
        # 20 clients at most have what a slow one may have.
        assert running.peak_kib() < (20 * 5 + 100) << 10


# --- rights ---


def as_nobody(folder: Path, *groups: str) -> list[str]:
    shutil.copy(__file__, folder / "check.py")  # nobody may not read the repository everywhere
    code = "import sys; sys.path.insert(0, sys.argv[1]); import check; from pathlib import Path\n"
    code += "client = check.Client(Path(sys.argv[2]))\n"
    code += "print(client.result('status')['config']['errors'])\n"
    code += "print(*[client.ask(method).get('error', {}).get('code', 'done') for method in sys.argv[3:]])\n"
    changing = ["plan", "diff", "apply", "confirm", "rollback", "group-point", "stack-attach", "stack-detach", "command", "plugin-reset"]
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", f"--groups={','.join(groups) or '65534'}", "--", sys.executable, "-c", code]
        + [str(folder), str(folder), *changing],
        capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "[]"
    return lines[1].split()


def rights(build: Path) -> None:
    with daemon(build) as running:
        before = stack(running.folder, "data")
        assert set(as_nobody(running.folder)) == {"denied"}
        assert stack(running.folder, "data") == before
        running.reload(FILES + "control: {group: games}\n")
        Client(running.folder).result("status")
        assert set(as_nobody(running.folder)) == {"denied"}
        may = as_nobody(running.folder, "60")  # games, in every Debian
        assert "denied" not in may and may[2] == "done", may


# --- stacks ---


def stacks(build: Path) -> None:
    with daemon(build) as running:
        folder = running.folder
        client = Client(folder)
        assert stack(folder, "data") == ["good declared 3"], stack(folder, "data")
        assert stack(folder, "log") == ["bare declared 5"]
        assert client.result("plan")["plan"][0]["steps"] == []
        # By hand: drift is shown, and repaired when asked.
        assert client.error("stack-detach", device="data", filter="good") == "refused"
        assert client.result("stack-detach", device="data", filter="good", force=True)["changed"]
        assert state(folder, "data") == "drift"
        assert client.result("plan")["plan"][0]["steps"][0]["kind"] == "attach"
        assert client.result("diff")["diff"][0]["filters"][0]["kernel"] is None
        assert client.result("apply")["changed"]
        assert state(folder, "data") == "in sync"
        assert not client.result("apply")["changed"]
        # On request, and by its path; not pruned.
        assert client.result("stack-attach", device="/dev/sda", filter="asks-nothing")["changed"]
        assert not client.result("stack-attach", device="sda", filter="asks-nothing")["changed"]
        assert client.result("apply", prune=True)["changed"] is False
        assert "asks-nothing requested " in stack(folder, "data")
        assert client.result("stack-detach", device="sda", filter="asks-nothing")["changed"]
        assert client.error("stack-detach", device="sda", filter="asks-nothing") == "not-found"
        assert client.error("stack-attach", device="sdx", filter="good") == "not-found"
        # Files that are wrong change nothing.
        running.reload(FILES.replace("level: 3", "level: 30"))
        assert client.error("apply") == "invalid"
        assert client.error("plan") == "invalid"
        assert stack(folder, "data") == ["good declared 3"]
        assert "30" in client.result("status")["config"]["errors"][0]
        # Another one; undone, confirmed.
        (folder / "filterd.yaml").write_text(FILES.replace("level: 3", "level: 4"))
        assert client.result("apply", rollback_after_seconds=2)["changed"]
        assert stack(folder, "data") == ["good declared 4"]
        assert client.error("apply") == "refused"
        deadline = time.monotonic() + 20
        while stack(folder, "data") != ["good declared 3"]:
            assert time.monotonic() < deadline, "not rolled back"
            time.sleep(0.2)
        assert client.result("apply", rollback_after_seconds=600)["changed"]
        client.result("rollback")
        assert stack(folder, "data") == ["good declared 3"]
        assert client.result("apply", rollback_after_seconds=600)["changed"]
        client.result("confirm")
        assert client.error("confirm") == "not-found"
        # Killed: the next one finds what the kernel has; this kernel is gone with it.
        assert client.result("group-point", group="all")["point"]
        assert client.error("group-point", group="none") == "not-found"
        # Orphaned, and pruned.
        watcher = Client(folder)
        number = watcher.send("watch")
        running.reload("version: 1\n")
        assert "good" in [one["filter"] for device in client.result("status")["others"] for one in device["stack"]]
        pruned = client.result("apply", prune=True)
        assert pruned["changed"] and client.result("status")["others"] == []
        # Jobs.
        jobs = client.result("jobs")["jobs"]
        assert jobs[-1]["what"] == "apply" and jobs[-1]["state"] == "done"
        assert client.result("job-show", job=jobs[-1]["job"], wait=True)["result"] == pruned
        assert client.error("job-show", job=10**6) == "not-found"
        # An event of the reload came.
        running.reload(FILES)
        assert watcher.read()["id"] == number


# --- plugins ---


def one_noun_for_two(build: Path) -> None:
    files = "version: 1\ndevices:\n"
    for name, serial in (("a", "S1"), ("b", "S2")):
        files += f"  - {{name: {name}, match: {{serial: {serial}}}, stack: [{{filter: twin-{name}}}]}}\n"
    with daemon(build, files) as running:
        folder = running.folder
        first, second = status_in_time(folder)["plugins"]
        assert (first["name"], first["state"]) == ("twin-a", "ready"), first
        assert (second["name"], second["state"]) == ("twin-b", "failed"), second
        assert second["why"] == "its noun 'twin' is that of the plugin 'twin-a'", second
        assert f"plugin: {second['why']}" in running.log.read_text()
        # The first one keeps the noun and works; the other one's filter is not attached, and who asks is told why.
        assert (state(folder, "a"), state(folder, "b")) == ("in sync", "blocked")
        said = Client(folder).result("command", noun="twin", command="say", arguments={"word": "yes"})
        assert said["text"] == "yes", said
        for arguments, wanted in ((["status"], "blocked"), (["plugin", "list"], second["why"]), (["plan"], second["why"])):
            done = subprocess.run([build / "bin/filterctl", "--socket", folder / "control.sock", *arguments],
                                  capture_output=True, text=True, timeout=60, check=True)
            assert wanted in done.stdout, (arguments, done.stdout)


def commands_that_last(build: Path) -> None:
    files = """version: 1
defaults: {storage: {step: 1MiB}}
groups: [{name: all, devices: [data, log], storage: {step: 2MiB}}]
devices:
  - {name: data, match: {serial: S1}, stack: [{filter: lasting}]}
  - {name: log, match: {serial: S2}, stack: [{filter: good, level: 3}]}
"""
    with daemon(build, files) as running:
        folder = running.folder
        client = Client(folder)

        def tell(**params: object) -> dict:
            return client.result("command", noun="lasting", command="tell", arguments={}, **params)["records"][0]

        assert tell(devices=["log", "sdc"]) == {"devices": "sdb=log sdc=sdc ", "group": None, "step": "1048576", "nothing": None}
        assert tell(group="all") == {"devices": "sda=data sdb=log ", "group": "all", "step": "2097152", "nothing": None}
        assert client.error("command", noun="lasting", command="tell", arguments={}, group="none") == "not-found"
        assert client.error("command", noun="lasting", command="tell", arguments={}, devices=["sdx"]) == "not-found"
        assert client.error("command", noun="lasting", command="tell", arguments={}, devices="sda") == "invalid"

        # One of several that a declaration means is known by the name that it can be asked for again.
        running.reload(files.replace("{name: data, match: {serial: S1}", '{name: some, match: {serial: "S[13]", many: true}')
                       .replace("[data, log]", "[log]"))
        assert tell(devices=["sda", "sdc"])["devices"] == "sda=sda sdc=sdc "
        running.reload(files.replace("{name: data, match: {serial: S1}", '{name: some, match: {serial: "S1*", many: true}')
                       .replace("[data, log]", "[log]"))
        assert tell(devices=["sda"])["devices"] == "sda=some "
        running.reload(files)

        # It lasts longer than any other command may, and the plugin answers others meanwhile.
        waiting = Client(folder)
        number = waiting.send("command", noun="lasting", command="work", arguments={"command": 'sleep 12; [ "$WORD" = seven ] && exit 5'})
        assert waiting.read()["progress"]["text"] == "half way"
        tell(devices=["sda"])
        job = client.result("jobs")["jobs"][-1]
        assert (job["what"], job["state"], job["text"]) == ("lasting work", "running", "half way"), job
        assert waiting.reply(number)["result"]["records"] == [{"status": 5}]
        assert client.result("job-show", job=job["job"], wait=True)["state"] == "done"

        # One that may run beside others waits for none of them, nor does any of them wait for it.
        first, second = Client(folder), Client(folder)
        marks = [running.folder / "first", running.folder / "second"]
        loop = 'touch {}; for i in $(seq 100); do [ -e {} ] && exit 7; sleep 0.1; done'
        for one, mine, others in ((first, *marks), (second, *reversed(marks))):
            one.send("command", noun="lasting", command="work-beside", arguments={"command": loop.format(mine, others)})
        assert [one.reply(1)["result"]["records"] for one in (first, second)] == [[{"status": 7}], [{"status": 7}]]
        assert client.result("command", noun="lasting", command="work", arguments={})["records"] == [{"status": 3}]

        # It hears of each device that has its filter, with the keys; again when the files are read again.
        def heard() -> str:
            return client.result("command", noun="lasting", command="heard", arguments={})["records"][0]["heard"]

        before = heard()
        assert before.endswith("8:0=nothing "), before
        running.reload(files.replace("{filter: lasting}", "{filter: lasting, word: seven}"))
        assert heard() == before + "8:0=seven ", heard()


def plugins(build: Path) -> None:
    one_noun_for_two(build)
    commands_that_last(build)
    device = "  - {name: bad, match: {serial: S3}, stack: [{filter: misbehaves}]}\n"
    with daemon(build, FILES + device) as running:
        folder = running.folder
        client = Client(folder)
        assert stack(folder, "bad") and stack(folder, "data") == ["good declared 3"]
        wrong = "flood flood-text not-json no-object not-utf8 both says-nothing fails-and-succeeds odd-result long-cursor asks-nothing"
        for command in wrong.split():
            assert client.error("command", noun="misbehaves", command=command, device="bad", arguments={}) == "failed", command
        assert client.result("command", noun="misbehaves", command="without-end", arguments={})["cursor"] == "again"
        assert client.result("command", noun="misbehaves", command="odd-progress", arguments={})["records"] == []
        assert client.error("command", noun="misbehaves", command="nothing", arguments={}) == "not-found"
        assert client.error("command", noun="misbehaves", command="flood", arguments={"x": "y"}) == "invalid"
        waiting = Client(folder)
        hanging = waiting.send("command", noun="misbehaves", command="sleep", device="bad", arguments={})
        for _ in range(12):
            status_in_time(folder)
            time.sleep(0.5)
        applied = client.ask("apply")["error"]
        assert applied["code"] == "partly" and [one["steps"] for one in applied["details"]["plan"][:2]] == [[], []], applied
        assert waiting.reply(hanging)["error"]["code"] == "timeout"
        plugin = {one["name"]: one for one in status_in_time(folder)["plugins"]}
        assert plugin["misbehaves"]["state"] == "not responding" and plugin["good"]["state"] == "ready", plugin
        assert client.error("command", noun="misbehaves", command="flood", device="bad", arguments={}) == "timeout"

    # Options that hang: the other devices get theirs, and a second hang costs nothing.
    with daemon(build, FILES + device.replace("misbehaves", "misbehaves, hang: true")) as running:
        assert stack(running.folder, "data") == ["good declared 3"]
        assert state(running.folder, "bad") == "blocked"
        status_in_time(running.folder)

    # Twice crashed, and left out: loudly.
    with daemon(build, FILES + device) as running:
        for command in ("crash", "exit"):
            Client(running.folder).send("command", noun="misbehaves", command=command, device="bad", arguments={})
            running.process.wait(20)
            assert running.process.returncode != 0
            running.start()
        why = {one["name"]: one for one in status_in_time(running.folder)["plugins"]}["misbehaves"]["why"]
        assert "has crashed filterd 2 times" in why, why
        assert "has crashed filterd 2 times" in running.log.read_text()
        assert state(running.folder, "bad") == "blocked" and state(running.folder, "data") == "in sync"
        Client(running.folder).result("plugin-reset", plugin="misbehaves")
        running.stop()
        running.start()
        assert state(running.folder, "bad") == "in sync"


def main() -> None:
    build, test = Path(sys.argv[1]).resolve(), sys.argv[2]
    {"clients": clients, "rights": rights, "stacks": stacks, "plugins": plugins}[test](build)


if __name__ == "__main__":
    main()
