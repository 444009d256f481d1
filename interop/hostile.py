"""Datagrams that no sane program sends, the same each time."""

import asyncio
import random
import socket
import struct

import lab

COOKIE = 0x2112A442


def datagrams(count, seed):
    """Bytes of every kind that can go wrong: noise, and messages cut, bent and lying about their length."""
    chance = random.Random(seed)
    noise = chance.randbytes

    def attribute(kind, value, length=None):
        head = struct.pack("!HH", kind, len(value) if length is None else length)
        return head + value + bytes(-len(value) % 4)

    def message(kind, body, length=None):
        return struct.pack("!HHI", kind, len(body) if length is None else length, COOKIE) + noise(12) + body

    kinds = [0x0001, 0x0003, 0x0004, 0x0008, 0x0009, 0x0011, 0x0016, 0x0017, 0x0101, 0x0103, 0x0111, 0x3FFF]
    attributes = [0x0001, 0x0006, 0x0008, 0x0009, 0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0019, 0x001C]
    attributes += [0x0020, 0x0024, 0x0025, 0x8028, 0x8029, 0x802A, 0x7777, 0xFFFF]

    def plausible():
        body = b"".join(
            attribute(chance.choice(attributes), noise(chance.randrange(40))) for _ in range(chance.randrange(6))
        )
        return message(chance.choice(kinds), body)

    def cut():
        whole = plausible()
        return whole[: chance.randrange(len(whole))]

    def bent():
        whole = bytearray(plausible())
        for _ in range(chance.randrange(1, 8)):
            whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        return bytes(whole)

    makers = [
        lambda: noise(chance.randrange(1400)),
        lambda: bytes([chance.randrange(4)]) + noise(chance.randrange(200)),
        lambda: struct.pack("!HH", chance.randrange(0x4000, 0x8000), chance.randrange(65536)) + noise(20),
        plausible,
        cut,
        bent,
        lambda: message(chance.choice(kinds), noise(8), length=chance.randrange(65536)),
        lambda: message(chance.choice(kinds), attribute(chance.choice(attributes), noise(4), chance.randrange(65536))),
        lambda: b"",
    ]
    return [makers[number % len(makers)]() for number in range(count)]


async def spray(targets, count, seed):
    """Sends this many to each of the targets, in about a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((lab.OTHER, 0))
        for number, datagram in enumerate(datagrams(count, seed)):
            for target in targets:
                try:
                    sock.sendto(datagram, target)
                except OSError:
                    pass  # refused by a port that is closed, or no room just now
            if number % 10 == 9:
                await asyncio.sleep(0.02)
