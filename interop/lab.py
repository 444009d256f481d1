"""The network that the tests run in, and the programs in it.

    host a  10.99.0.11 ──┐
                         ├── bridge of this namespace: 10.99.0.1 floe serve, 10.99.0.2 coturn,
    host b  10.99.0.12 ──┘                             10.99.0.3 everything else

There is no route to anywhere else. The network ends with the namespace.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import struct
import subprocess

NETWORK = "10.99.0.0/24"
FLOE_SERVER = ("10.99.0.1", 3478)
COTURN = ("10.99.0.2", 3478)
OTHER = "10.99.0.3"
HOSTS = {"a": "10.99.0.11", "b": "10.99.0.12"}
HOSTS_IPV6 = {"a": "fd99::a", "b": "fd99::b"}  # only while a test asks for them

USER = "alice"
PASSWORD = "the-password-of-alice"
REALM = "interop.example"

STDERR_LINES = 2000  # kept of each program
LINE_BYTES = 1 << 20  # of the longest line read from a program


class Failed(Exception):
    """A test has failed, and why."""


class Skipped(Exception):
    """A test cannot be run here, and why."""


def check(condition, why):
    if not condition:
        raise Failed(why)


def in_host(host):
    """What goes before a command for it to run on this host."""
    return ["nsenter", f"--net=/run/netns/{host}"] if host else []


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise Skipped(f"ip {' '.join(words)}: {done.stderr.strip()}")


def build():
    """Builds the network. This process must have fresh network and mount namespaces."""
    if os.environ.get("OUTER_NETWORK", "") in ("", os.readlink("/proc/self/ns/net")):
        raise Skipped("the tests must have a network namespace of their own: start them with interop/run")
    # The names of the hosts stay private to this mount namespace.
    os.makedirs("/run/netns", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "hosts", "/run/netns"], check=True, timeout=10)
    ip("link", "set", "lo", "up")
    ip("link", "add", "hub", "type", "bridge", "mcast_snooping", "0")
    for address in (FLOE_SERVER[0], COTURN[0], OTHER):
        ip("address", "add", f"{address}/24", "dev", "hub")
    for host, address in HOSTS.items():
        ip("netns", "add", host)
        ip("link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0", "netns", host)
        ip("link", "set", f"to-{host}", "master", "hub", "addrgenmode", "none", "up")
        ip("-n", host, "link", "set", "lo", "up")
        ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", host, "link", "set", "eth0", "addrgenmode", "none", "up")
    ip("link", "set", "hub", "addrgenmode", "none", "up")


def block_direct_path(blocked):
    """Whether the two hosts reach the servers only, and not each other."""
    for host in HOSTS:
        ip("link", "set", f"to-{host}", "type", "bridge_slave", "isolated", "on" if blocked else "off")


def block_udp(host, blocked):
    """Whether nothing but TCP leaves this host."""
    ip("-n", host, "rule", "add" if blocked else "del", "ipproto", "udp", "blackhole", "priority", "10")


def ipv6(wanted):
    """Whether the two hosts have IPv6 addresses too."""
    for host, address in HOSTS_IPV6.items():
        ip("-n", host, "address", *(["add"] if wanted else ["del"]), f"{address}/64", "dev", "eth0", "nodad")


class Program:
    """A running program, whose output is read as it comes."""

    running = set()
    started = []  # since the last test

    @classmethod
    async def start(cls, name, argv, host=None, **more):
        self = cls()
        self.name, self.errors, self.lines, self.on_line = name, [], [], None
        self.process = await asyncio.create_subprocess_exec(
            *in_host(host),
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            **more,
        )
        self.kept = 0, 0  # of its lines, in the log of a test
        Program.running.add(self)
        Program.started.append(self)
        self.readers = [
            asyncio.create_task(self.read(self.process.stdout, self.take_line)),
            asyncio.create_task(self.read(self.process.stderr, self.take_error)),
        ]
        return self

    async def read(self, stream, take):
        try:
            while line := await stream.readline():
                take(line.decode(errors="replace").rstrip("\n"))
        except ValueError:
            self.take_error("(a line too long to be read)")

    def take_line(self, line):
        self.lines.append(line)
        if self.on_line:
            self.on_line(line)

    def take_error(self, line):
        if len(self.errors) < STDERR_LINES:
            self.errors.append(line)

    def write(self, line):
        """Best effort: the program may have ended."""
        if not self.process.stdin.is_closing():
            self.process.stdin.write(line.encode() + b"\n")

    def close_input(self):
        self.process.stdin.close()

    async def ended(self, seconds):
        """Its exit status; fails if it has not ended by then."""
        try:
            async with asyncio.timeout(seconds):
                status = await self.process.wait()
                await asyncio.gather(*self.readers)
        except TimeoutError:
            raise Failed(f"{self.name} has not ended after {seconds:g} s") from None
        Program.running.discard(self)
        return status

    async def until(self, condition, seconds):
        """Waits until the condition, of this program, holds; whether it does."""
        try:
            async with asyncio.timeout(seconds):
                while not condition(self):
                    if self.process.returncode is not None and all(task.done() for task in self.readers):
                        return condition(self)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True

    async def interrupt(self, seconds=5):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        return await self.ended(seconds)

    async def kill(self):
        Program.running.discard(self)
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        for reader in self.readers:
            reader.cancel()
        await asyncio.gather(*self.readers, return_exceptions=True)

    @property
    def log(self):
        return "\n".join(self.errors)

    def check_sane(self):
        """That it has neither panicked nor told the password."""
        output = "\n".join(self.errors + self.lines)
        check("panicked at" not in output, f"{self.name} panicked: {output[-500:]}")
        check(PASSWORD not in output, f"{self.name} tells the password")


class Agent(Program):
    """A program that speaks JSON lines as `floe connect --signal stdio` does."""

    @classmethod
    async def start(cls, name, argv, host):
        self = await super().start(name, argv, host)
        self.peer, self.unread, self.result, self.bad = None, [], None, None
        self.signalled = {}  # type -> messages
        for line in self.lines:
            self.take_message(line)
        self.on_line = self.take_message
        return self

    def take_message(self, line):
        try:
            message = json.loads(line)
            self.signalled.setdefault(message["type"], []).append(message)
        except (ValueError, KeyError, TypeError):
            self.bad = f"{self.name} says what is no message: {line[:200]}"
            return
        if message["type"] == "result":
            self.result = message
        elif self.peer:
            self.peer.write(line)
        else:
            self.unread.append(line)

    def signal_to(self, peer):
        """From now on, and what it has said before."""
        self.peer = peer
        for line in self.unread:
            peer.write(line)
        self.unread.clear()

    async def outcome(self, seconds):
        """Its result; fails if there is none by then."""
        await self.until(lambda agent: agent.result or agent.bad, seconds)
        check(not self.bad, self.bad)
        if not self.result:
            status = self.process.returncode
            state = "ended" if status is not None else "still runs"
            raise Failed(f"{self.name} gave no result within {seconds:g} s ({state}): {self.log[-500:]}")
        return self.result

    async def bye(self):
        self.write('{"type":"bye"}')
        status = await self.ended(5)
        check(status == 0, f"{self.name} ended with status {status}: {self.log[-500:]}")

    def host_addresses(self):
        """The transport addresses of its host candidates."""
        found = []
        for message in self.signalled.get("candidate", []):
            words = message["candidate"].split()
            if words[7:8] == ["host"]:
                found.append((words[4], int(words[5])))
        return found


class Capture:
    """What goes over the bridge and inside this namespace during one test."""

    async def start(self, path):
        self.path, self.messages = path, []
        argv = ["dumpcap", "-q", "-i", "hub", "-i", "lo", "-w", path, "-a", "duration:90", "-a", "filesize:20000"]
        self.program = await Program.start("dumpcap", argv)
        if not await self.program.until(lambda dumpcap: "File:" in dumpcap.log, 10):
            why = self.program.log[-300:]
            await self.program.kill()
            raise Skipped(f"dumpcap does not start: {why}")
        return self

    async def stop(self):
        if self.program not in Program.running:
            return
        await asyncio.sleep(0.4)  # for the kernel to hand over what it has seen
        await self.program.interrupt(10)

    FIELDS = (
        "frame.number frame.protocols ip.src ip.dst ipv6.src ipv6.dst udp.payload tcp.payload stun.type "
        "stun.att.crc32.status _ws.expert.message _ws.expert.severity"
    ).split()

    async def read(self):
        """Collects the STUN messages. Fails at one that tshark finds malformed, and at a packet to another
        network."""
        argv = ["tshark", "-n", "-r", self.path, "-T", "fields", "-E", "separator=|", "-E", "occurrence=a"]
        for field in self.FIELDS:
            argv += ["-e", field]
        tshark = await Program.start("tshark", argv)
        status = await tshark.ended(30)
        check(status == 0, f"tshark: {tshark.log[-300:]}")
        for line in tshark.lines:
            fields = line.split("|")[: len(self.FIELDS)]
            number, layers, source, target, source6, target6, payload, segment, kind, crc, expert, severity = fields
            payload = payload or segment
            if "icmp" in layers or not payload:
                continue
            source, target = source or source6, target or target6
            for address in (source, target):
                inside = address.startswith(("10.99.0.", "127.", "fd99::"))
                check(inside, f"frame {number}: {source} to {target}, outside of the network of the tests")
            looks = payload[8:16] == "2112a442" and payload[0] in "0123"
            if not (looks or kind):
                continue
            self.messages += [bytes.fromhex(payload)] if not segment else stun_messages(bytes.fromhex(segment))
            check(kind or not looks, f"frame {number} is not taken for STUN: {payload[:80]}")
            # Warnings and errors; a note says that a request was repeated.
            bad = any(int(level or "0", 0) >= 0x600000 for level in severity.split(","))
            check(not bad, f"frame {number}: {expert}: {payload[:400]}")
            check(set(crc.split(",")) <= {"", "1", "Good"}, f"frame {number} has a wrong FINGERPRINT: {payload[:400]}")
            check("_ws.malformed" not in layers, f"frame {number} is malformed: {payload[:400]}")


def stun_messages(segment):
    """The STUN messages in a segment of a TCP connection that begins with a frame; ChannelData is passed over."""
    messages = []
    while len(segment) >= 4:
        length = int.from_bytes(segment[2:4])
        is_stun = segment[0] >> 6 == 0
        end = 20 + length if is_stun else 4 + (length + 3) // 4 * 4
        if is_stun:
            messages.append(segment[:end])
        segment = segment[end:]
    return messages


def channel_binds(messages):
    """The channel numbers that ChannelBind requests with credentials asked for, and whether they got them."""
    asked, answered = {}, {}
    for message in messages:
        kind, transaction = int.from_bytes(message[:2]), message[8:20]
        values, at = {}, 20
        while kind == 0x0009 and at + 4 <= len(message):
            attribute, length = struct.unpack_from("!HH", message, at)
            values[attribute] = message[at + 4 : at + 4 + length]
            at += 4 + (length + 3) // 4 * 4
        if 0x000C in values and 0x0008 in values:
            asked[transaction] = int.from_bytes(values[0x000C][:2])
        elif kind in (0x0109, 0x0119):
            answered[transaction] = kind == 0x0109
    return [(number, answered[transaction]) for transaction, number in asked.items() if transaction in answered]


def binding_request():
    return struct.pack("!HHI12s", 1, 0, 0x2112A442, secrets.token_bytes(12))


async def answers_binding(server, seconds=5.0):
    """Whether the server answers a Binding request within this time."""
    loop = asyncio.get_running_loop()
    asked = set()  # an answer may come late, when another request is under way
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1" if server[0].startswith("127.") else OTHER, 0))
        try:
            async with asyncio.timeout(seconds):
                while True:
                    request = binding_request()
                    asked.add(request[8:])
                    sock.sendto(request, server)
                    try:
                        answer = await asyncio.wait_for(loop.sock_recv(sock, 1500), 0.1)
                    except (TimeoutError, OSError):
                        await asyncio.sleep(0.02)
                        continue
                    if answer[:2] == b"\x01\x01" and answer[8:20] in asked:
                        return True
        except TimeoutError:
            return False


def version(argv, pattern):
    """The version that a program tells, or None."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else None
