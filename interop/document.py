"""docs/interop.md, made from what the tests found."""

from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "interop.md"


def text(tests, pings):
    """The page. Nothing in it changes from run to run but the versions of the programs."""
    return f"""# Interop

floe on real sockets with programs that share no line with it, in a network of two hosts and a server.
This page is made by `interop/run --write`, which runs all of it again; `interop/run --help` says more.

The programs: floe {tests.floe}; [aioice](https://github.com/aiortc/aioice) {tests.aioice}, an ICE agent;
[coturn](https://github.com/coturn/coturn) {tests.coturn}, a TURN server and clients;
[tshark](https://www.wireshark.org) {tests.tshark}, which read the captures of the connections and clients
and found no malformed STUN message.

## Connections

Each side sends {pings} pings over the pair that it selected, both sides select the same pair, and its class is
asserted. Where the direct path is blocked, the hosts reach the server only.

{connections(tests.rows["connect"])}

## TURN clients

coturn's clients with `floe serve`. EVEN-PORT is not built yet, so `turnutils_uclient` runs with `-c`.

{plain("Client", tests.rows["turn"])}

## Bad input

{plain("What happens", tests.rows["hostile"])}
"""


def connections(rows):
    lines = ["| Controlling | Controlled | Signalling | Server | Paths | Result |", "|---|---|---|---|---|---|"]
    for case, result in rows:
        signalling = "offer, answer" if case.sdp else "candidates"
        lines.append(
            f"| {case.controlling} | {case.controlled} | {signalling} | {case.server_text} | {case.paths_text} | {result} |"
        )
    return "\n".join(lines)


def plain(title, rows):
    return "\n".join([f"| {title} | Result |", "|---|---|", *(f"| {name} | {result} |" for name, result in rows)])


def differences(made, complete):
    """Rows of the tables that are not as in the page: versions may differ, results may not. Rows that were not
    made count only if all tests were run."""
    try:
        kept = DOCUMENT.read_text()
    except OSError as error:
        return [f"no {DOCUMENT.name}: {error.strerror}"]
    kept, made = ([line for line in page.splitlines() if line.startswith("| ")] for page in (kept, made))
    found = [f"new: {row}" for row in made if row not in kept]
    if complete:
        found += [f"gone: {row}" for row in kept if row not in made]
    return found
