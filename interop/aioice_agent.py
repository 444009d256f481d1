"""An ICE agent over aioice that speaks the JSON lines of `floe connect --signal stdio`.

It is the model for wiring any other implementation to `floe connect`: signalling on stdin and stdout, logs on
stderr, `PING n` / `PONG n` over the path that was found.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
import time

import aioice
from aioice import ice

PING_INTERVAL = 0.05  # seconds
PING_TRIES = 20


def log(text):
    print(f"aioice: {text}", file=sys.stderr, flush=True)


def write(message):
    print(json.dumps(message), flush=True)


def turn_server(text):
    """IP:PORT or turn:IP:PORT?transport=tcp: the address and the transport."""
    text, _, transport = text.removeprefix("turn:").partition("?transport=")
    return address(text), transport or "udp"


def address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--signal", choices=["stdio"], default="stdio")
    parser.add_argument("--address", action="append", help="gather on this local address only; repeatable")
    parser.add_argument("--role", choices=["controlling", "controlled"], default="controlling")
    parser.add_argument("--stun", type=address, metavar="IP:PORT")
    parser.add_argument("--turn", type=turn_server, default=(None, "udp"), metavar="SERVER")
    parser.add_argument("--user")
    parser.add_argument("--pass", dest="password")
    parser.add_argument("--policy", choices=["all", "relay"], default="all")
    parser.add_argument("--pings", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=30, help="seconds until giving up")
    parser.add_argument("--linger", type=float, default=2, help="seconds to stay after the result")
    return parser.parse_args()


def read_lines(loop, queue):
    """Puts the lines of stdin into the queue, then None; in a thread, so that stdin may be anything."""

    def read():
        rest = b""
        while chunk := os.read(0, 4096):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                loop.call_soon_threadsafe(queue.put_nowait, line)
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()


class Agent:
    def __init__(self, options):
        self.options = options
        policy = aioice.TransportPolicy.RELAY if options.policy == "relay" else aioice.TransportPolicy.ALL
        self.connection = aioice.Connection(
            ice_controlling=options.role == "controlling",
            stun_server=options.stun,
            turn_server=options.turn[0],
            turn_transport=options.turn[1],
            turn_username=options.user,
            turn_password=options.password,
            transport_policy=policy,
        )
        if options.address:
            ice.get_host_addresses = lambda use_ipv4, use_ipv6: options.address
        self.known = asyncio.Event()  # the credentials of the other side are
        self.known_at = 0.0
        self.pongs = {}  # number of the ping -> event

    async def signal(self, lines):
        """Takes the messages of the other side; returns when it has no more to say."""
        while (line := await lines.get()) is not None:
            try:
                message = json.loads(line)
                kind = message["type"]
                if kind == "params":
                    self.connection.remote_username = message["ufrag"]
                    self.connection.remote_password = message["pwd"]
                    self.known_at = time.monotonic()
                    self.known.set()
                elif kind == "candidate":
                    text = message["candidate"].removeprefix("candidate:")
                    await self.connection.add_remote_candidate(aioice.Candidate.from_sdp(text))
                elif kind == "end-of-candidates":
                    await self.connection.add_remote_candidate(None)
                elif kind == "bye":
                    return
                elif kind != "result":
                    log(f"unknown message type {kind!r}")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log(f"bad message: {error!r}")

    async def receive(self):
        """Answers pings and takes note of pongs, for as long as there is a path."""
        try:
            while True:
                word, _, number = (await self.connection.recv()).partition(b" ")
                if word == b"PING":
                    await self.connection.send(b"PONG " + number)
                elif word == b"PONG" and number.isdigit() and int(number) in self.pongs:
                    self.pongs[int(number)].set()
        except ConnectionError as error:
            log(error)

    async def ping(self):
        for number in range(1, self.options.pings + 1):
            answered = self.pongs[number] = asyncio.Event()
            for _ in range(PING_TRIES):
                await self.connection.send(f"PING {number}".encode())
                await asyncio.sleep(PING_INTERVAL)
                if answered.is_set():
                    break

    async def connect(self, result):
        started = time.monotonic()
        write({"type": "params", "ufrag": self.connection.local_username, "pwd": self.connection.local_password})
        await self.connection.gather_candidates()
        result["gather_ms"] = round((time.monotonic() - started) * 1000)
        for candidate in self.connection.local_candidates:
            write({"type": "candidate", "candidate": f"candidate:{candidate.to_sdp()}"})
        write({"type": "end-of-candidates"})
        await self.known.wait()
        await self.connection.connect()
        result["ms"] = round((time.monotonic() - self.known_at) * 1000)
        result["connected"] = True
        # aioice has no public name for the pair.
        pair = self.connection._nominated[1]
        for side, candidate in (("local", pair.local_candidate), ("remote", pair.remote_candidate)):
            result["selected_pair"][side] = {
                "type": candidate.type,
                "ip": candidate.host,
                "port": candidate.port,
            }

    async def run(self):
        lines = asyncio.Queue()
        read_lines(asyncio.get_running_loop(), lines)
        signal = asyncio.create_task(self.signal(lines))
        work = asyncio.create_task(self.work())
        await asyncio.wait([signal, work], return_when=asyncio.FIRST_COMPLETED)
        for task in (signal, work):
            task.cancel()
        await asyncio.gather(signal, work, return_exceptions=True)
        await asyncio.wait_for(self.connection.close(), 2)

    async def work(self):
        result = {"type": "result", "connected": False, "selected_pair": {}, "pings_sent": 0, "pongs": 0}
        result["impl"] = "aioice"
        receive = None
        try:
            async with asyncio.timeout(self.options.timeout):
                await self.connect(result)
            receive = asyncio.create_task(self.receive())
            await self.ping()
        except TimeoutError:
            result["error"] = f"not connected within {self.options.timeout:g} s"
        except (ConnectionError, OSError) as error:
            result["error"] = str(error)
        result["pings_sent"] = len(self.pongs)
        result["pongs"] = sum(answered.is_set() for answered in self.pongs.values())
        write(result)
        await asyncio.sleep(self.options.linger)
        if receive:
            receive.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(Agent(arguments()).run())
    except (KeyboardInterrupt, BrokenPipeError, TimeoutError):
        pass
    sys.stdout.flush()
    os._exit(0)  # the thread that reads stdin may still wait for a line
