"""Runs the interop tests, prints a line for each, and makes the table in docs/interop.md. Started by interop/run."""

import argparse
import asyncio
import os
import re
import shutil
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import document
import hostile
import lab
from lab import COTURN, FLOE_SERVER, HOSTS, OTHER, PASSWORD, REALM, USER, Agent, Failed, Program, Skipped, check

HERE = Path(__file__).parent
PINGS = 5
SERVERS = {"floe": FLOE_SERVER, "coturn": COTURN}
PATHS = {
    "all": "all paths",
    "blocked": "all paths, the direct one blocked",
    "relay": "relay only",
    "ipv6": "IPv6 only",
    "a": "all paths, UDP blocked on the controlling side",
    "b": "all paths, UDP blocked on the controlled side",
}
TEST_SECONDS = 60
CONNECT_SECONDS = 15  # an agent's own limit
CHANNELS = range(0x4000, 0x8000)  # RFC 5766 section 11: this client draws from all of them


@dataclass(frozen=True)
class Connect:
    """Two agents are to find a path."""

    controlling: str
    controlled: str
    server: str | None
    paths: str
    sdp: bool = False
    tcp: bool = False

    @property
    def server_text(self):
        names = {"floe": "floe serve", None: "none"}
        return names.get(self.server, self.server) + (", over TCP" if self.tcp else "")

    @property
    def paths_text(self):
        return PATHS[self.paths]

    @property
    def name(self):
        agents = f"{self.controlling} to {self.controlled}{' by SDP' if self.sdp else ''}"
        return f"{agents}, {self.paths_text}, {f'through {self.server}' if self.server else 'no server'}\
{' over TCP' if self.tcp else ''}"


def connects():
    for controlling, controlled in (("floe", "floe"), ("floe", "aioice"), ("aioice", "floe"), ("aioice", "aioice")):
        for server in SERVERS:
            for paths in ("all", "blocked", "relay"):
                yield Connect(controlling, controlled, server, paths)
        yield Connect(controlling, controlled, None, "ipv6")
    for controlling, controlled in (("floe", "floe"), ("floe", "aioice"), ("aioice", "floe")):
        for server in SERVERS:
            yield Connect(controlling, controlled, server, "relay", tcp=True)
    # The one whose UDP is blocked knows the server for UDP and TCP, and has to find out.
    for server in SERVERS:
        for host in HOSTS:
            yield Connect("floe", "floe", server, host)
    yield Connect("floe", "aioice", "floe", "a")
    yield Connect("aioice", "floe", "floe", "b")
    yield Connect("floe", "floe", "floe", "all", sdp=True)
    yield Connect("floe", "floe", "floe", "relay", sdp=True)


class Tests:
    def __init__(self, options):
        self.options = options
        self.servers = {}
        self.floe = lab.version([options.floe, "--version"], r"floe (\S+)")
        aioice = "import aioice; print('aioice', aioice.__version__)"
        self.aioice = lab.version([options.python, "-c", aioice], r"aioice (\S+)")
        self.coturn = self.tshark = None
        if shutil.which("turnutils_uclient"):
            self.coturn = lab.version(["turnserver", "--version"], r"(\d+\.\d+\.\d+\S*)")
        if shutil.which("dumpcap"):
            self.tshark = lab.version(["tshark", "--version"], r"TShark \(Wireshark\) (\d[\d.]*\d)")
        self.passed, self.failed, self.skipped = [], [], []
        self.rows = {"connect": [], "turn": [], "hostile": []}

    # Programs.

    def floe_serve(self, *more):
        return Program.start("floe serve", [self.options.floe, "serve", *more])

    async def start_servers(self):
        ip, port = FLOE_SERVER
        user = f"{USER}:{PASSWORD}"
        self.servers["floe"] = await self.floe_serve(
            "--listen", f"{ip}:{port}", "--relay-ip", ip, "--user", user, "--realm", REALM, "--allow-peer", lab.NETWORK
        )
        if self.coturn:
            ip, port = COTURN
            work = self.options.work
            argv = ["turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp-relay"]
            argv += ["--no-rfc5780", "--log-file", "stdout"]
            argv += ["--pidfile", f"{work}/coturn.pid", "-b", f"{work}/coturn.db"]
            argv += ["-L", ip, "-E", ip, "-p", str(port), "-a", "-u", user, "-r", REALM, "-m", "1"]
            self.servers["coturn"] = await Program.start("coturn", argv, cwd=self.options.work)
        for name, program in self.servers.items():
            if not await lab.answers_binding(SERVERS[name]):
                raise Failed(f"{name} does not answer: {program.log[-500:]} {program.lines[-5:]}")

    def agent_argv(self, kind, *more):
        if kind == "floe":
            return [self.options.floe, "connect", "--signal", "stdio", *more]
        return [self.options.python, str(HERE / "aioice_agent.py"), *more]

    async def agent(self, kind, host, role, server="floe", policy="all", password=PASSWORD, tcp=False, **more):
        """Starts an agent that lingers until it is told bye."""
        more = {"pings": PINGS, "timeout": CONNECT_SECONDS, "linger": 30, **more}
        argv = self.agent_argv(kind, "--role", role, "--policy", policy)
        if server:
            address = "%s:%d" % SERVERS[server]
            turn = f"turn:{address}?transport=tcp" if tcp else address
            argv += ["--stun", address, "--turn", turn, "--user", USER, "--pass", password]
        for option, value in more.items():
            argv += [f"--{option}"] if value is True else [f"--{option}", str(value)]
        return await Agent.start(f"{kind}, {role}", argv, host)

    def need(self, *names):
        for name in names:
            if name == "aioice" and not self.aioice:
                raise Skipped("aioice cannot be had")
            if name == "coturn" and not self.coturn:
                raise Skipped("coturn cannot be had")

    # What is asserted of a connection.

    def path_class(self, result, server):
        """`direct` or `relayed`, by the types of the selected pair, which its addresses must agree with."""
        pair = result["selected_pair"]
        relay = SERVERS[server][0] if server else None
        hosts = (HOSTS if server else lab.HOSTS_IPV6).values()
        kinds = []
        for side in ("local", "remote"):
            kind, ip = pair[side]["type"], pair[side]["ip"]
            # A check can overtake the signalling of the relayed candidate that it comes from.
            if kind == "prflx" and ip == relay:
                kind = "relay"
            check(kind in ("host", "srflx", "prflx", "relay"), f"no type of candidate: {kind}")
            check((kind == "relay") == (ip == relay), f"{kind} at {ip}, while the relay is at {relay}")
            check(kind == "relay" or ip in hosts, f"{kind} at {ip}")
            kinds.append(kind)
        return "relayed" if "relay" in kinds else "direct"

    def check_connected(self, agent, server, expected, pings=PINGS):
        result = agent.result
        why = f"{result.get('error')}; {agent.log[-300:]}"
        check(result.get("connected") is True, f"{agent.name} is not connected: {why}")
        found = self.path_class(result, server)
        check(found == expected, f"{agent.name} is connected {found}, not {expected}: {result['selected_pair']}")
        check(result["pings_sent"] == pings, f"{agent.name} sent {result['pings_sent']} pings of {pings}")
        check(result["pongs"] == pings, f"{agent.name}: {result['pongs']} of {pings} pings answered")

    def check_ends_match(self, a, b):
        """That both sides selected the same pair, seen from each."""
        for here, there in ((a, b), (b, a)):
            local, remote = (
                {key: agent.result["selected_pair"][side][key] for key in ("ip", "port")}
                for agent, side in ((here, "local"), (there, "remote"))
            )
            check(local == remote, f"{here.name} is at {local}, {there.name} sends to {remote}")

    async def connected(self, a, b, server, expected, pings=PINGS):
        """Both agents find a path of this class, all pings are answered, both end."""
        a.signal_to(b)
        b.signal_to(a)
        for agent in (a, b):
            await agent.outcome(CONNECT_SECONDS + 10)
        for agent in (a, b):
            self.check_connected(agent, server, expected, pings)
        self.check_ends_match(a, b)
        self.note = f"connected after {a.result['ms']:.0f} ms and {b.result['ms']:.0f} ms"
        await asyncio.gather(a.bye(), b.bye())

    # The tests.

    async def connect(self, case):
        self.need(case.controlling, case.controlled, case.server or "floe")
        policy = "relay" if case.paths == "relay" else "all"
        expected = "direct" if case.paths in ("all", "ipv6") else "relayed"
        more = {"tcp": case.tcp, **({"sdp": True} if case.sdp else {})}
        addresses = [{}, {}]
        lab.block_direct_path(case.paths == "blocked")
        if case.paths in HOSTS:
            lab.block_udp(case.paths, True)
        if case.paths == "ipv6":
            lab.ipv6(True)
            addresses = [{"address": address} for address in lab.HOSTS_IPV6.values()]
        try:
            a = await self.agent(case.controlling, "a", "controlling", case.server, policy, **more, **addresses[0])
            b = await self.agent(case.controlled, "b", "controlled", case.server, policy, **more, **addresses[1])
            await self.connected(a, b, case.server, expected)
        finally:
            lab.block_direct_path(False)
            if case.paths in HOSTS:
                lab.block_udp(case.paths, False)
            if case.paths == "ipv6":
                lab.ipv6(False)
        return f"{expected}, {PINGS} of {PINGS} pings each way"

    async def stun_client(self):
        """turnutils_stunclient"""
        self.need("coturn")
        client = await Program.start("turnutils_stunclient", ["turnutils_stunclient", FLOE_SERVER[0]], "a")
        await client.ended(10)
        output = "\n".join(client.lines + client.errors)
        check(f"UDP reflexive addr: {HOSTS['a']}:" in output, f"no reflexive address: {output[-300:]}")
        return "it learns its address"

    async def turn_client(self, clients, messages, *flags):
        self.need("coturn")
        peer = await Program.start("turnutils_peer", ["turnutils_peer", "-L", OTHER, "-p", "3480"])
        argv = ["turnutils_uclient", "-c", *flags, "-m", str(clients), "-n", str(messages), "-l", "170"]
        argv += ["-u", USER, "-w", PASSWORD, "-e", OTHER, "-r", "3480", FLOE_SERVER[0]]
        client = await Program.start("turnutils_uclient", argv, "a")
        status = await client.ended(25)
        output = "\n".join(client.lines + client.errors)
        await peer.kill()
        check(status == 0, f"status {status}: {output[-500:]}")
        counts = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", output)
        wanted = (str(clients * messages),) * 2
        check(counts and counts[-1] == wanted, f"sent and received {counts[-1:]}, not {wanted}: {output[-500:]}")
        check("Total lost packets 0 " in output, f"lost packets: {output[-300:]}")
        return f"{clients * messages} of {clients * messages} messages came back"

    def check_channels(self, messages):
        binds = lab.channel_binds(messages)
        check(any(bound for _, bound in binds), "no channel was bound")
        for number, bound in binds:
            check(bound == (number in CHANNELS), f"channel {number:#x} {'bound' if bound else 'refused'}")

    async def wrong_password_direct(self):
        """wrong TURN password, all paths"""
        a = await self.agent("floe", "a", "controlling", password="wrong")
        b = await self.agent("floe", "b", "controlled")
        await self.connected(a, b, "floe", "direct")
        # The direct path may be found before the server has answered: then there is nothing to say.
        return "connects directly"

    async def wrong_password_relay(self):
        """wrong TURN password, relay only"""
        a = await self.agent("floe", "a", "controlling", policy="relay", password="wrong", timeout=8)
        b = await self.agent("floe", "b", "controlled", policy="relay")
        a.signal_to(b)
        b.signal_to(a)
        result = await a.outcome(8 + 3)
        check(result["connected"] is False, f"connected without a relay: {result}")
        text = f"{result.get('error')} {a.log}"
        check(result.get("error"), "no error in the result")
        check(re.search(r"401|unauth|password|credential", text, re.I), f"it does not say why: {text!r}")
        check(await a.ended(5) != 0, "exit status 0 after a failure")
        await b.kill()
        return "fails and says why"

    async def garbage_to_server(self):
        """500 garbage datagrams to floe serve"""
        capture = await lab.Capture().start(self.capture_path("garbage")) if self.tshark else None
        await hostile.spray([FLOE_SERVER], 500, seed=1)
        check(await lab.answers_binding(FLOE_SERVER, 3), "it no longer answers")
        if capture:
            await capture.stop()
            try:
                await capture.read()
            except Failed:
                pass  # as it should: this shows that malformed messages would be found
            else:
                raise Failed("tshark takes garbage for good STUN messages")
        return "goes on answering"

    async def garbage_to_agents(self):
        """garbage to all ports of two agents and to their relayed addresses while they connect"""
        a = await self.agent("floe", "a", "controlling", pings=40)
        b = await self.agent("floe", "b", "controlled", pings=40)
        for agent in (a, b):
            await agent.until(lambda agent: "end-of-candidates" in agent.signalled, 5)
        targets = [(m["candidate"].split()[4], int(m["candidate"].split()[5]))
                   for agent in (a, b) for m in agent.signalled.get("candidate", [])]
        check(len(targets) >= 4, f"host and relayed candidates of both: {targets}")
        garbage = asyncio.create_task(hostile.spray(targets, 400, seed=2))
        try:
            await self.connected(a, b, "floe", "direct", pings=40)
        finally:
            await garbage
        return "connects, all pings answered"

    async def malformed_lines(self):
        """malformed lines of signalling"""
        a = await self.agent("floe", "a", "controlling")
        b = await self.agent("floe", "b", "controlled")
        bad = ["", "{", "[]", "null", '"bye"', "{}", '{"type":7}', '{"type":"nonsense"}', '{"type":"params"}',
               '{"type":"params","ufrag":"a","pwd":"b"}', '{"type":"candidate"}', '{"type":"candidate","candidate":7}',
               '{"type":"candidate","candidate":"candidate:nonsense"}', "\x00\x1b[31m", "{" * 5000, "x" * 200_000,
               '{"type":"candidate","candidate":"candidate:1 1 udp 1 10.99.0.300 1 typ host"}']
        for line in bad:
            a.write(line)
        # Not a line of UTF-8.
        a.process.stdin.write(b"\xff\xfe\n")
        await self.connected(a, b, "floe", "direct")
        check(len(a.errors) >= len(bad) - 1, f"{len(a.errors)} lines for {len(bad) + 1} errors: {a.log[-500:]}")
        check("\x1b" not in a.log and "\x00" not in a.log, "control characters of the input in the log")
        check(max(map(len, a.errors)) < 2000, "a line of log as long as the input")
        return "says what is wrong, goes on, connects"

    async def wrong_options(self):
        """wrong options"""
        floe = self.options.floe
        for argv in (
            ["serve", "--nonsense"],
            ["serve", "--listen", "nonsense"],
            ["serve", "--user", "nonsense"],
            ["serve", "--allow-peer", "10.0.0.0/33"],
            ["connect", "--nonsense"],
            ["connect", "--signal", "nonsense"],
            ["connect", "--role", "nonsense"],
            ["connect", "--address", "10.99.0.300"],
            ["connect", "--turn", f"{OTHER}:3478", "--policy", "nonsense"],
            ["connect", "--pings", "-1"],
            ["connect", "--timeout", "nonsense"],
        ):
            program = await Program.start(" ".join(["floe", *argv]), [floe, *argv])
            status = await program.ended(5)
            check(status == 2, f"{program.name}: exit status {status}, not 2")
            check(program.errors and not program.lines, f"{program.name}: no error on stderr")
            program.check_sane()
        return "exit status 2, says which"

    async def address_not_ours(self):
        """an address that is not the host's, a port in use"""
        for argv in (["serve", "--listen", "10.99.0.77:3478"], ["serve", "--listen", "%s:%d" % FLOE_SERVER],
                     ["connect", "--address", "10.99.0.77"]):
            program = await Program.start(" ".join(["floe", *argv]), [self.options.floe, *argv])
            status = await program.ended(5)
            check(status not in (0, 101) and status > 0, f"{program.name}: exit status {status}")
            check("10.99.0." in program.log, f"{program.name} does not name the address: {program.log!r}")
            program.check_sane()
        return "ends at once, names the address"

    async def dead_peer(self):
        """a peer that died after signalling"""
        b = await self.agent("floe", "b", "controlled")
        await b.until(lambda agent: "end-of-candidates" in agent.signalled, 5)
        await b.kill()
        a = await self.agent("floe", "a", "controlling", timeout=4)
        b.signal_to(a)
        result = await a.outcome(4 + 3)
        check(result["connected"] is False and result.get("error"), f"no error: {result}")
        check(await a.ended(5) != 0, "exit status 0 after a failure")
        return "fails within the timeout"

    async def dying_peer(self):
        """a peer that dies while pings are sent"""
        a = await self.agent("floe", "a", "controlling", pings=60, timeout=8)
        b = await self.agent("floe", "b", "controlled", pings=1)
        a.signal_to(b)
        b.signal_to(a)
        await b.outcome(CONNECT_SECONDS + 5)
        await b.kill()
        result = await a.outcome(8 + 3)
        check(result["pongs"] < 60, f"all pings answered: {result}")
        a.close_input()
        await a.ended(5)
        return "ends within the timeout, counts the pongs it got"

    async def end_of_input(self):
        """end of standard input"""
        before = await self.agent("floe", "a", "controlling")
        before.close_input()
        await before.ended(3)
        a = await self.agent("floe", "a", "controlling")
        b = await self.agent("floe", "b", "controlled")
        a.signal_to(b)
        b.signal_to(a)
        for agent in (a, b):
            await agent.outcome(CONNECT_SECONDS + 5)
        for agent in (a, b):
            agent.close_input()
            status = await agent.ended(3)
            check(status == 0, f"{agent.name}: exit status {status} after a good end: {agent.log[-300:]}")
            agent.check_sane()
        before.check_sane()
        return "ends"

    async def serve_alone(self):
        """floe serve without options"""
        server = await self.floe_serve()
        check(await lab.answers_binding(("127.0.0.1", 3478)), f"no answer on loopback: {server.log} {server.lines}")
        said = "\n".join(server.lines + server.errors)
        check("127.0.0.1" in said and "password" in said, f"it does not say how to use it: {said}")
        status = await server.interrupt()
        check(status == 0, f"exit status {status} after an interrupt")
        server.check_sane()
        return "serves loopback with a user made up, ends on an interrupt"

    async def server_ends(self):
        """the end of floe serve after all tests"""
        # What was killed did not release its allocation; the rest did.
        server = self.servers.pop("floe")
        status = await server.interrupt()
        check(status == 0, f"exit status {status} after an interrupt: {server.log[-300:]}")
        server.check_sane()
        said = server.lines + server.errors
        made = re.findall(r"^allocated (\S+)", "\n".join(said), re.M)
        ended = re.findall(r"^ended (\S+) of", "\n".join(said), re.M)
        check(made, f"no line for an allocation: {said[:5]}")
        check(sorted(made) == sorted(ended), f"{len(made)} allocations made, {len(ended)} ended")
        return "a line for each allocation made and ended, exit status 0"

    # Running them.

    def list(self):
        """Kind, name, test; for those that are captured, the least number of STUN messages on the wire, and what
        else is checked of them."""
        yield "turn", "turnutils_stunclient", self.stun_client, 2
        yield "turn", "turnutils_uclient, channels", lambda: self.turn_client(1, 20), 10, self.check_channels
        yield "turn", "turnutils_uclient, Send indications", lambda: self.turn_client(3, 20, "-s"), 60
        yield "turn", "turnutils_uclient, from relay to relay", lambda: self.turn_client(2, 20, "-s", "-y"), 40
        yield "turn", "turnutils_uclient over TCP, channels", lambda: self.turn_client(1, 20, "-t"), 10, self.check_channels
        yield "turn", "turnutils_uclient over TCP, Send indications", lambda: self.turn_client(3, 20, "-t", "-s"), 60
        for case in connects():
            # Whose first check finds the way stops asking servers: two checks and two answers each are all it takes.
            yield "connect", case, lambda case=case: self.connect(case), 8 if case.server else 4
        for test in (self.wrong_password_direct, self.wrong_password_relay, self.malformed_lines, self.end_of_input):
            yield "hostile", test.__doc__, test, 4
        for test in (self.garbage_to_server, self.garbage_to_agents):
            yield "hostile", test.__doc__, test
        for test in (self.dead_peer, self.dying_peer):
            yield "hostile", test.__doc__, test, 4
        for test in (self.wrong_options, self.address_not_ours, self.serve_alone, self.server_ends):
            yield "hostile", test.__doc__, test

    def say(self, word, name, text):
        print(f"{word:<8} {name}: {text}", flush=True)

    async def run_one(self, kind, case, test, least=None, check_messages=None):
        name = case if isinstance(case, str) else case.name
        if self.options.only and self.options.only not in name:
            return
        capture, self.note = None, None
        permanent = set(self.servers.values())
        try:
            async with asyncio.timeout(TEST_SECONDS):
                if least and self.tshark:
                    capture = await lab.Capture().start(self.capture_path(name))
                text = await test()
                said = f"{text}; {self.note}" if self.note else text
                for program in Program.running & permanent:
                    check(program.process.returncode is None, f"{program.name} has ended: {program.log[-500:]}")
                if capture:
                    await capture.stop()
                    await capture.read()
                    seen = len(capture.messages)
                    check(seen >= least, f"{seen} STUN messages captured, not {least} or more")
                    if check_messages:
                        check_messages(capture.messages)
                    said += f"; {seen} STUN messages, none malformed"
        except Skipped as why:
            self.skipped.append(name)
            self.say("skipped", name, why)
        except (Failed, TimeoutError) as why:
            self.fail(kind, case, name, str(why) or f"not done within {TEST_SECONDS} s")
        except Exception:
            self.fail(kind, case, name, traceback.format_exc())
        else:
            self.passed.append(name)
            self.rows[kind].append((case, text))
            self.say("ok", name, said)
        if capture:
            await capture.stop()
        for program in Program.running - permanent:
            await program.kill()
        if self.options.keep_captures:
            self.keep_logs(name)
        Program.started = list(permanent)

    def fail(self, kind, case, name, why):
        self.failed.append(name)
        self.rows[kind].append((case, "**failed**"))
        self.say("FAILED", name, why)
        for program in Program.running:
            if program not in self.servers.values():
                self.log(program)

    def keep_logs(self, name):
        """What the programs of a test said, beside its capture."""
        with open(Path(self.capture_path(name)).with_suffix(".log"), "w") as file:
            for program in (one for one in Program.started if one.name not in ("dumpcap", "tshark")):
                lines, errors = program.lines[program.kept[0] :], program.errors[program.kept[1] :]
                print(f"== {program.name}", *lines, "-- stderr", *errors, sep="\n", file=file)
                program.kept = len(program.lines), len(program.errors)

    def log(self, program):
        for line in program.errors[-15:]:
            print(f"         | {program.name}: {line[:300]}")

    def capture_path(self, name):
        file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".pcapng"
        return os.path.join(self.options.keep_captures or self.options.work, file)

    async def run(self):
        if not self.tshark:
            self.skipped.append("captures")
            self.say("skipped", "captures", "tshark cannot be had")
        try:
            await self.start_servers()
            for one in self.list():
                await self.run_one(*one)
        finally:
            for program in list(Program.running):
                await program.kill()


def options():
    parser = argparse.ArgumentParser()
    for name in ("--floe", "--python", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--keep-captures")
    parser.add_argument("--only")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


async def main():
    tests = Tests(options())
    try:
        lab.build()
        for command in ("serve", "connect"):
            if lab.version([tests.options.floe, command, "--help"], rf"(Usage: .*{command})") is None:
                raise Skipped(f"this floe has no command {command}")
        async with asyncio.timeout(tests.options.seconds):
            await tests.run()
    except Skipped as why:
        tests.skipped.append("all")
        tests.say("skipped", "all", why)
    except Failed as why:
        tests.failed.append("servers")
        tests.say("FAILED", "servers", why)
    except TimeoutError:
        tests.failed.append("time")
        tests.say("FAILED", "time", f"not all done within {tests.options.seconds:g} s")
    complete = not tests.skipped and not tests.options.only
    if tests.options.check and tests.passed:
        different = document.differences(document.text(tests, PINGS), complete)
        for line in different:
            print(f"         | {line}")
        if different:
            tests.failed.append("document")
            tests.say("FAILED", "document", "docs/interop.md is not what was found; interop/run --write makes it anew")
    if tests.options.write:
        if complete and not tests.failed:
            document.DOCUMENT.write_text(document.text(tests, PINGS))
        else:
            tests.failed.append("document")
            tests.say("FAILED", "document", "docs/interop.md is written only when every test was run and passed")
    print(f"{len(tests.passed)} passed, {len(tests.failed)} failed, {len(tests.skipped)} skipped", flush=True)
    return 1 if tests.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
