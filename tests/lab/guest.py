# SPDX-License-Identifier: MIT
"""One guest: a qemu process, its folder below build/lab/guests/, and the channel to its agent.

Its root is the host's, or a disk of its own that tests/lab/image.sh made (Options.image): then it can be booted again.

The folder holds everything that is known of a guest, so that a later process finds a running one:
pid, agent.sock (second serial port), console.log (first one), job.env and output (of the test that runs).
"""

import gzip
import lzma
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SRC = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BLKFILTER_BUILD", SRC / "build")).resolve()
LAB = BUILD / "lab"
INITRAMFS_MODULES = ["9p", "9pnet_virtio", "virtio_pci", "overlay"]
BOOT_TIMEOUT = 300


class GuestError(Exception):
    """A guest that does not start, or died, or does not answer."""


def prepared(what: str, name: str, script: str) -> dict[str, str]:
    """What SCRIPT left in build/lab/WHAT-NAME.env."""
    try:
        lines = (LAB / f"{what}-{name}.env").read_text().splitlines()
    except FileNotFoundError:
        raise GuestError(f"{what} {name} is not prepared: run {script} {name}") from None
    return dict(line.split("=", 1) for line in lines)


@dataclass
class Kernel:
    """What tests/lab/kernels.sh prepared under one of the names 6.1, 6.12, debug."""

    name: str
    release: str
    image: Path
    modules: Path  # the folder that holds lib/modules/<release>

    @staticmethod
    def find(name: str) -> "Kernel":
        value = prepared("kernel", name, "tests/lab/kernels.sh")
        return Kernel(name, value["RELEASE"], Path(value["IMAGE"]), Path(value["MODULES"]))


@dataclass
class Options:
    """How a guest is started."""

    mode: str = "agent"  # agent, shell, or probe: power off at once
    append: str = ""
    smp: int | None = None
    memory: int | None = None  # MiB
    disk: int | None = None  # MiB: an empty virtio disk
    icount: bool = False  # one instruction is one virtual nanosecond: for benchmarks
    image: bool = False  # boots from an overlay of the disk that tests/lab/image.sh made


def build_initramfs(kernel: Kernel, target: Path) -> None:
    """Packs busybox, guest/initramfs.sh and the modules that mounting the root takes."""
    tree = target.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "dev", "proc", "sys", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin")
    for applet in ("sh", "mount", "umount", "insmod", "mkdir", "switch_root", "echo"):
        (tree / "bin" / applet).symlink_to("busybox")
    shutil.copy(SRC / "tests/lab/guest/initramfs.sh", tree / "init")
    (tree / "init").chmod(0o755)

    files: list[Path] = []
    for name in INITRAMFS_MODULES:
        shown = subprocess.run(
            ["modprobe", "-d", kernel.modules, "-S", kernel.release, "--show-depends", name],
            check=True, capture_output=True, text=True, env={**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"},
        ).stdout  # fmt: skip
        files += [Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod")]
    names = []
    for file in dict.fromkeys(files):
        name = file.name.removesuffix(".xz")
        content = file.read_bytes()
        (tree / "modules" / name).write_bytes(lzma.decompress(content) if file.suffix == ".xz" else content)
        names.append(name)
    (tree / "modules/order").write_text("".join(f"{name}\n" for name in names))

    listing = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=tree, input=listing.encode(), check=True,
        capture_output=True,
    ).stdout  # fmt: skip
    target.write_bytes(gzip.compress(archive, 1))
    shutil.rmtree(tree)


class Guest:
    """A guest under a name: that of its kernel, or any other for a private one."""

    def __init__(self, kernel: str, name: str | None = None):
        self.kernel_name = kernel
        self.dir = LAB / "guests" / (name or kernel)
        self.console = self.dir / "console.log"
        self.output = self.dir / "output"
        self.channel: socket.socket | None = None
        self.received = b""

    # Life

    def pid(self) -> int | None:
        """The process that runs this guest, if it does run."""
        try:
            pid = int((self.dir / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if f"lab.dir=/job/{self.dir.relative_to(BUILD)} ".encode() in command else None

    def command(self, options: Options) -> list[str]:
        """The qemu command line; writes the initramfs, or the overlay of the disk."""
        kernel = Kernel.find(self.kernel_name)
        memory = options.memory or (3072 if kernel.name == "debug" else 2048)
        # norandmaps: TCG reuses translated code only at equal addresses. kmemleak costs a third; a test turns it on with
        # "# lab: append kmemleak=on".
        kmemleak = "" if "kmemleak=" in options.append else "kmemleak=off"
        append = (
            "console=ttyS0 loglevel=7 printk.devkmsg=on log_buf_len=4M panic=-1 panic_on_oops=1 oops=panic mitigations=off no5lvl "
            f"norandmaps {kmemleak} net.ifnames=0 lab.dir=/job/{self.dir.relative_to(BUILD)} lab.mode={options.mode} "
            f"lab.kernel={kernel.name} lab.modules={kernel.modules} {options.append}"
        )
        if options.image:
            boot = self.image(append)
        else:
            initramfs = self.dir / "initramfs.gz"
            build_initramfs(kernel, initramfs)
            boot = ["-kernel", str(kernel.image), "-initrd", str(initramfs), "-append", append]
        if options.icount:
            machine = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "max", "-smp", "1"]
        elif accelerator() == "kvm":
            machine = ["-accel", "kvm", "-cpu", "host", "-smp", str(options.smp or 2)]
        else:
            machine = ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(options.smp or 2)]
        command = ["qemu-system-x86_64", *machine, "-m", str(memory), "-display", "none"]
        # Not the default machine: interpreting its ACPI interrupt tables takes the debug kernel 90 s.
        command += ["-machine", "q35", "-nodefaults", "-no-reboot", *boot]
        for tag, path, readonly in (("root", Path("/"), True), ("src", SRC, True), ("job", BUILD, False)):
            share = f"local,id={tag},path={path},security_model=none,multidevs=remap"
            command += ["-fsdev", share + (",readonly=on" if readonly else "")]
            command += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        if options.disk:
            # Booted again it keeps what is on it.
            with open(self.dir / "disk", "ab") as disk:
                disk.truncate(options.disk << 20)
            command += ["-drive", "file=disk,format=raw,if=none,id=disk,cache=unsafe,discard=unmap"]
            command += ["-device", "virtio-blk-pci,drive=disk,serial=data0"]
        return command

    def image(self, append: str) -> list[str]:
        """What boots from the disk image; what was written to the overlay stays when the guest is started again."""
        image = prepared("image", self.kernel_name, "tests/lab/image.sh")
        overlay = self.dir / "root.qcow2"
        if not overlay.exists():
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image["DISK"], "-F", "qcow2", overlay], check=True
            )
        return [
            "-kernel", image["IMAGE"], "-initrd", image["INITRD"], "-append", f"root=PARTUUID={image['PARTUUID']} rw {append}",
            "-drive", "file=root.qcow2,format=qcow2,if=none,id=root,cache=unsafe", "-device", "virtio-blk-pci,drive=root",
        ]  # fmt: skip

    def wait_ended(self, timeout: float) -> None:
        """Waits until it has powered off or rebooted by itself."""
        limit = time.monotonic() + timeout
        while self.pid():
            if time.monotonic() > limit:
                raise GuestError(f"guest {self.dir.name} did not shut down within {timeout:.0f} s\n{self.tail()}")
            time.sleep(0.1)

    def start(self, options: Options | None = None, again: bool = False) -> float:
        """Boots it, or boots it AGAIN with the disk it had, and waits for the agent. Returns the seconds that took; raises GuestError."""
        began = time.monotonic()
        self.stop()
        if not again:
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir.mkdir(parents=True)
        command = self.command(options or Options())
        command += ["-chardev", "file,id=console,path=console.log", "-serial", "chardev:console"]
        command += ["-chardev", "socket,id=agent,path=agent.sock,server=on,wait=off", "-serial", "chardev:agent"]
        with open(self.dir / "qemu.log", "wb") as log:
            # A forgotten guest ends by itself; a session of its own, so that ctest does not wait for it.
            qemu = subprocess.Popen(
                ["timeout", "--foreground", "6h", *command],
                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (self.dir / "pid").write_text(f"{qemu.pid}\n")
        while time.monotonic() - began < BOOT_TIMEOUT:
            if qemu.poll() is not None:
                raise GuestError(f"guest {self.dir.name} died while booting\n{self.tail()}")
            try:
                self.connect(timeout=1)
                return time.monotonic() - began
            except GuestError:
                time.sleep(0.1)
        self.stop()
        raise GuestError(f"guest {self.dir.name} did not boot within {BOOT_TIMEOUT} s\n{self.tail()}")

    def stop(self) -> None:
        """Ends it. Nothing in it is worth an orderly shutdown."""
        if self.channel:
            self.channel.close()
            self.channel = None
        pid = self.pid()
        if pid:
            os.killpg(pid, signal.SIGKILL)
            while self.pid():
                time.sleep(0.01)
        (self.dir / "pid").unlink(missing_ok=True)

    # Channel

    def connect(self, timeout: float) -> None:
        """Opens the channel and makes sure that the agent answers within TIMEOUT seconds."""
        if self.channel:
            self.channel.close()
        self.channel = socket.socket(socket.AF_UNIX)
        self.received = b""
        # A socket's path is limited to 107 bytes, a build folder's is not.
        folder = os.open(self.dir, os.O_PATH)
        try:
            self.channel.connect(f"/proc/self/fd/{folder}/agent.sock")
        except OSError as error:
            raise GuestError(f"no channel to guest {self.dir.name}: {error}") from None
        finally:
            os.close(folder)
        token = f"{os.getpid()}-{time.monotonic_ns()}"
        self.ask(f"ping {token}", f"pong {token}", timeout)

    def ask(self, question: str, answer: str, timeout: float) -> str:
        """Sends a line, and waits as hear() does."""
        assert self.channel
        try:
            self.channel.settimeout(timeout)
            self.channel.sendall(question.encode() + b"\n")
        except TimeoutError:
            raise GuestError(f"no answer within {timeout:.0f} s") from None
        except OSError:
            raise GuestError("the guest died") from None
        return self.hear(answer, timeout)

    def hear(self, answer: str, timeout: float) -> str:
        """Returns the rest of the first line received that begins with ANSWER."""
        assert self.channel
        limit = time.monotonic() + timeout
        try:
            while True:
                while b"\n" in self.received:
                    line, self.received = self.received.split(b"\n", 1)
                    text = line.decode(errors="replace").strip()
                    if text.startswith(answer):
                        return text.removeprefix(answer).strip()
                self.channel.settimeout(max(0.01, limit - time.monotonic()))
                more = self.channel.recv(4096)
                if not more:
                    raise GuestError("the guest died")
                self.received += more
        except TimeoutError:
            raise GuestError(f"no answer within {timeout:.0f} s") from None
        except OSError:
            raise GuestError("the guest died") from None

    # What it says

    def tail(self, lines: int = 40) -> str:
        """The end of the console, and what qemu itself had to say."""
        text = ""
        for file in (self.dir / "qemu.log", self.console):
            if file.exists():
                text += "".join(f"| {line}\n" for line in read(file).splitlines()[-lines:])
        return text

    def write_job(self, variables: dict[str, str]) -> None:
        """Leaves the variables of the next test for the agent."""
        self.output.write_text("")
        job = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        (self.dir / "job.env").write_text(job)


def read(file: Path, offset: int = 0) -> str:
    """The text of FILE from OFFSET bytes on, whatever its bytes are."""
    with open(file, "rb") as stream:
        stream.seek(offset)
        return stream.read().decode(errors="replace").replace("\r", "")


def accelerator() -> str:
    """kvm if a virtual machine really runs with it, else tcg. Tried once per boot of this machine."""
    forced = os.environ.get("BLKFILTER_ACCEL")
    if forced:
        return forced
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = LAB / f"accelerator-{boot}"
    if not verdict.exists():
        LAB.mkdir(parents=True, exist_ok=True)
        verdict.write_text("kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and kvm_works() else "tcg")
    return verdict.read_text()


def kvm_works() -> bool:
    """Boots any prepared kernel up to its panic for want of a root: that takes a working KVM."""
    for file in LAB.glob("kernel-*.env"):
        kernel = Kernel.find(file.stem.removeprefix("kernel-"))
        try:
            tried = subprocess.run(
                ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512", "-display", "none", "-nodefaults",
                 "-no-reboot", "-serial", "stdio", "-kernel", kernel.image, "-append", "console=ttyS0 panic=-1"],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return b"Kernel panic" in tried.stdout
    return False
