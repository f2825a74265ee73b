"""Run by tests/unit/test_render_firewall.py inside a network namespace of its own: a relay with the given rules, and a world beside it.

Prints one JSON object: what got through. Needs root; touches nothing outside its two namespaces, which end with it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable

METADATA = "169.254.169.254"
# Beside the rules under test: what of the relay port the kernel tracked after all.
WITNESS = """
table inet witness {
    chain input {
        type filter hook input priority -10;
        iifname "eth0" tcp dport 3001 ct state != untracked counter
    }
    chain output {
        type filter hook output priority 10;
        oifname "eth0" tcp sport 3001 ct state != untracked counter
    }
}
"""
RELAY = {4: "192.0.2.1", 6: "2001:db8::1"}
WORLD = {4: "192.0.2.2", 6: "2001:db8::2"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_world() -> subprocess.Popen[str]:
    """Start a process in a namespace beside ours, connect both by a pair of interfaces."""
    world = subprocess.Popen(
        ["unshare", "--net", sys.executable, __file__, "world"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ask(world, "ready")
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(world.pid))
    run("ip", "link", "set", "lo", "up")
    for address in RELAY.values():
        run("ip", "address", "add", f"{address}/{32 if '.' in address else 128}", "dev", "eth0", "nodad")
    run("ip", "link", "set", "eth0", "up")
    for address in WORLD.values():
        run("ip", "route", "add", address, "dev", "eth0")
    run("ip", "route", "add", METADATA, "dev", "eth0", "src", RELAY[4])
    ask(world, "plug")
    return world


def ask(world: subprocess.Popen[str], *request: object) -> object:
    assert world.stdin is not None
    assert world.stdout is not None
    world.stdin.write(json.dumps(request) + "\n")
    world.stdin.flush()
    return json.loads(world.stdout.readline())


def listen(version: int, port: int) -> socket.socket:
    server = socket.socket(FAMILY[version], socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if version == 6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(("", port))
    server.listen(8)
    return server


def reaches(version: int, address: str, port: int, from_port: int = 0) -> bool:
    """Tell whether a connection is made."""
    with socket.socket(FAMILY[version], socket.SOCK_STREAM) as client:
        client.settimeout(0.5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        client.bind(("", from_port))
        try:
            client.connect((address, port))
        except OSError:
            return False
        return True


def plug_world() -> bool:
    run("ip", "link", "set", "lo", "up")
    for address in WORLD.values():
        run("ip", "address", "add", f"{address}/{32 if '.' in address else 128}", "dev", "eth0", "nodad")
    run("ip", "address", "add", f"{METADATA}/32", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    for address in RELAY.values():
        run("ip", "route", "add", address, "dev", "eth0")
    return True


def serve_world() -> None:
    """Answer the relay's side: it listens on 3001 in both families, and dials when asked."""
    servers: list[socket.socket] = []
    answers: dict[str, Callable[..., object]] = {
        "ready": lambda: True,
        "plug": plug_world,
        "listen": lambda version, port: servers.append(listen(version, port)) is None,
        "reach": lambda version, port: reaches(version, RELAY[version], port),
        "ping": lambda version: (
            subprocess.run(["ping", "-c1", "-W1", RELAY[version]], check=False, capture_output=True).returncode == 0
        ),
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(answers[name](*arguments)), flush=True)


def dial_metadata() -> list[str]:
    code = f"import socket; socket.create_connection(({METADATA!r}, 80), timeout=0.5)"
    return ["/usr/bin/python3", "-c", f"import sys; sys.stderr = None; {code}"]


def count_tracked() -> int:
    listed = json.loads(run("nft", "--json", "list", "table", "inet", "witness"))["nftables"]
    expressions = [part for entry in listed for part in entry.get("rule", {}).get("expr", [])]
    return sum(part["counter"]["packets"] for part in expressions if "counter" in part)


def main(rules: str) -> None:
    world = make_world()
    run("nft", "-f", rules)
    # As on every change: the table is replaced, not doubled.
    run("nft", "-f", rules)
    subprocess.run(["nft", "-f", "-"], input=WITNESS, text=True, check=True)
    seen: dict[str, object] = {}
    for version in (4, 6):
        servers = [listen(version, port) for port in (22, 3001, 9999)]
        ask(world, "listen", version, 3001)
        for port in (22, 3001, 9999):
            seen[f"v{version} in {port}"] = ask(world, "reach", version, port)
        seen[f"v{version} out from 3001"] = reaches(version, WORLD[version], 3001, 3001)
        seen[f"v{version} out from any"] = reaches(version, WORLD[version], 3001)
        seen[f"v{version} loopback"] = reaches(version, "127.0.0.1" if version == 4 else "::1", 9999)
        for server in servers:
            server.close()
    ask(world, "listen", 4, 80)
    seen["metadata for root"] = reaches(4, METADATA, 80)
    seen["metadata for others"] = subprocess.run(dial_metadata(), check=False, user=65534).returncode == 0
    seen["tracked packets of the relay port"] = count_tracked()
    world.stdin.close() if world.stdin else None
    world.wait()
    print(json.dumps(seen))


if __name__ == "__main__":
    serve_world() if sys.argv[1] == "world" else main(sys.argv[1])
