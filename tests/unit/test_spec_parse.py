"""The fleet file: one edit to a valid one gives exactly the errors that it should, each with its line."""

from __future__ import annotations

import pytest

from orchestrator.spec.model import FleetSpec
from orchestrator.spec.parse import ParsedFleet, parse_fleet_text
from tests.spec_texts import AWS, KEY, STATIC, edit

CHECKSUM = "0123456789abcdef" * 4


def parsed(text: str) -> FleetSpec:
    fleet = parse_fleet_text(text.encode(), "fleet.yaml")
    assert isinstance(fleet, ParsedFleet), "\n".join(fleet)
    return fleet.spec


def findings(text: str) -> tuple[str, ...]:
    found = parse_fleet_text(text.encode(), "fleet.yaml")
    assert not isinstance(found, ParsedFleet)
    return found


def test_the_valid_files_are_valid() -> None:
    assert parsed(AWS).relay_count("eu-central-1") == 2
    assert parsed(STATIC).relay_count("europe") == 2


NAME = "expected lower-case letters, digits and single hyphens, a letter first, at most 24 characters"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # Shapes of single fields.
        ("fleet: demo", "fleet: My_Fleet", f'1: fleet: found "My_Fleet", {NAME}'),
        ("fleet: demo", "fleet: 7", f"1: fleet: found 7 (a number), {NAME}"),
        ("fleet: demo", "fleet:", f"1: fleet: found nothing, {NAME}"),
        ("  magic: 2", "  magic: yes", '4: network.magic: found "yes" (text), expected a whole number from 0 to 4294967295'),
        ("  magic: 2", "  magic: true", "4: network.magic: found true (true or false), expected a whole number from 0 to 4294967295"),
        ("  magic: 2\n", "", "2: network.magic: found nothing, expected a whole number from 0 to 4294967295"),
        ("  magic: 2", "  magic: 02", '4: network.magic: found "02" (text), expected a whole number from 0 to 4294967295'),
        ("folder: network", "folder: ''", '5: network.folder: found "", expected text that is not empty'),
        ("folder: network", "folder: 1.5", "5: network.folder: found 1.5 (a number), expected text that is not empty"),
        (CHECKSUM, CHECKSUM[1:], f'10: releases.10.5.1.x86_64.sha256: found "{CHECKSUM[1:41]}…" (63 characters), expected 64 hexadecimal digits in lower case'),
        (CHECKSUM, CHECKSUM.upper(), f'10: releases.10.5.1.x86_64.sha256: found "{CHECKSUM[:40].upper()}…" (64 characters), expected 64 hexadecimal digits in lower case'),
        ("  10.5.1:", "  10.5:", '7: releases.10.5: found the key "10.5", expected a version such as 10.5.1'),
        ("x86_64:", "arm64:", '8: releases.10.5.1.arm64: found the key "arm64", expected x86_64 or aarch64; did you mean aarch64?'),
        ("  kind: aws", "  kind: gcp", '13: cloud.kind: found "gcp", expected aws or static'),
        ("cloud:\n  kind: aws", "cloud: aws", '12: cloud: found "aws" (text), expected a mapping with kind, profile'),
        ("count: 2", "count: '2'", '16: regions.eu-central-1.count: found "2" (text), expected a whole number from 0 to 1000'),
        ("count: 2", "count: 2.0", "16: regions.eu-central-1.count: found 2.0 (a number), expected a whole number from 0 to 1000"),
        ("count: 2", "count: 1001", "16: regions.eu-central-1.count: found 1001, expected a whole number from 0 to 1000"),
        ("ami-0123456789abcdef0", "debian", '17: regions.eu-central-1.image: found "debian", expected an image such as ami-0123456789abcdef0'),
        ("r6a.large", "big", '18: regions.eu-central-1.instance_type: found "big", expected an instance type such as r6a.large'),
        ("subnet-0123456789abcdef1", "x", '19: regions.eu-central-1.subnets[1]: found "x", expected a subnet such as subnet-0123456789abcdef0'),
        ("192.0.2.1", "192.0.2.256", '22: partners[0].address: found "192.0.2.256", expected an IP address or a DNS name in lower case, without port'),
        ("192.0.2.1", "http://x/", '22: partners[0].address: found "http://x/", expected an IP address or a DNS name in lower case, without port'),
        ("192.0.2.1", "0.0.0.0", '22: partners[0].address: found "0.0.0.0", expected an address that others can connect to'),
        ("203.0.113.0/24", "203.0.113.1/24", '26: ssh.allowed_from[0]: found "203.0.113.1/24", expected a network such as 203.0.113.0/24, with no bits set behind its prefix'),
        ("ssh:\n", "ssh:\n  user: Root\n", '26: ssh.user: found "Root", expected a Unix user name in lower case, at most 31 characters'),
        ("ssh:\n", "ports: {relay: '3001'}\nssh:\n", '25: ports.relay: found "3001" (text), expected a whole number from 1 to 65535'),
        ("ssh:\n", "ports: {relay: 65536}\nssh:\n", "25: ports.relay: found 65536, expected a whole number from 1 to 65535"),
        ("ssh:\n", "rollout: {retry_after: 10}\nssh:\n", "25: rollout.retry_after: found 10, expected a duration such as 90s, 15m, 2h or 3d, above zero"),
        ("ssh:\n", "rollout: {retry_after: 0s}\nssh:\n", '25: rollout.retry_after: found "0s", expected a duration such as 90s, 15m, 2h or 3d, above zero'),
        ("ssh:\n", "rollout: 3\nssh:\n", "25: rollout: found 3 (a number), expected a mapping with max_unavailable, max_unavailable_per_region, canaries, canary_bake, bake, order, wave_share, healthy_looks, progress_deadline, slowest_restart, on_failure, drain_time, drain_connections, drain_deadline, replace_after, retry_after, boot_deadline"),
        ("ssh:\n", "hardening: {memory_deny_write_execute: no}\nssh:\n", '25: hardening.memory_deny_write_execute: found "no" (text), expected true or false'),
        ("ssh:\n", "controller: {forks: 0}\nssh:\n", "25: controller.forks: found 0, expected a whole number from 1 to 200"),
        # Keys.
        ("  folder:", "  foldr:", "5: network.foldr: found an unknown key, expected one of name, magic, folder, slot_zero; did you mean folder?"),
        ("  folder:", "  foldr:", "2: network.folder: found nothing, expected text that is not empty"),
        ("ssh:\n", "shh: {}\nssh:\n", "25: shh: found an unknown key, expected one of fleet, lab, network, releases, release, cloud, regions, ports, connections, chain_source, partners, topology, rollout, health, trust, publish, ssh, hardening, controller; did you mean ssh?"),
        ("  magic: 2\n", "  magic: 2\n  magic: 2\n", "5: network.magic: found this key again (first on line 4), expected it once"),
        # Rules over several fields.
        ("  magic: 2", "  magic: 1", "4: network.magic: found 1, expected 2, the magic of preview"),
        ("release: 10.5.1", "release: 10.5.2", '11: release: found "10.5.2", expected "10.5.1"'),
        ("https://ex", "http://ex", '9: releases.10.5.1.x86_64.url: found "http://example.org/node.tar.gz", expected https:// (http:// is for a lab only)'),
        ("ssh:\n", "chain_source: mithril\nssh:\n", '25: chain_source: found "mithril", expected "genesis": mithril is not available yet'),
        ("ssh:\n", "connections: {soft_limit: 2000}\nssh:\n", "25: connections.soft_limit: found a soft_limit of 2000 and a hard_limit of 1024, expected soft_limit at most hard_limit"),
        ("ssh:\n", "connections: {hard_limit: 700}\nssh:\n", "25: connections.hard_limit: found a soft_limit of 768 and a hard_limit of 700, expected soft_limit at most hard_limit"),
        ("ssh:\n", "rollout: {max_unavailable_per_region: 2}\nssh:\n", "25: rollout.max_unavailable_per_region: found 2, expected at most max_unavailable, which is 1"),
        ("ssh:\n", "ports: {relay: 12798}\nssh:\n", "25: ports.relay: found 12798 as relay port and as metrics port, expected two different ports"),
        ("ssh:\n", "ports: {relay: 22}\nssh:\n", "25: ports.relay: found 22 as relay port and as SSH port, expected two different ports"),
        ("ssh:\n", "ssh:\n  port: 12798\n", "26: ssh.port: found 12798 as metrics port and as SSH port, expected two different ports"),
        ("name: two", "name: one", '23: partners[1].name: found "one" again (partners[0] has it), expected another name'),
        ("two.example.org", "192.0.2.1", '24: partners[1].address: found "192.0.2.1" with port 3001 again (partners[0] has it), expected another relay'),
        ("name: two", "name: demo-eu-central-1-02", '23: partners[1].name: found "demo-eu-central-1-02", the name of relay 2 of regions.eu-central-1, expected a name that no relay of this fleet can have'),
        ("name: two", "name: demo-eu-central-1-117", '23: partners[1].name: found "demo-eu-central-1-117", the name of relay 117 of regions.eu-central-1, expected a name that no relay of this fleet can have'),
        ("ssh:\n", "topology: {peer_snapshot: s.json}\nssh:\n", '25: topology.peer_snapshot: found "s.json" while ledger peers are off, expected use_ledger_after_slot of at least 0, or no snapshot: the node would never read it'),
        ("[203.0.113.0/24]", "[]", "26: ssh.allowed_from: found no network that may reach SSH, expected the networks of your controllers, such as 203.0.113.7/32"),
        ("ssh:\n  allowed_from: [203.0.113.0/24]\n", "", "1: ssh.allowed_from: found no network that may reach SSH, expected the networks of your controllers, such as 203.0.113.7/32"),
        ("203.0.113.0/24", "0.0.0.0/0", "26: ssh.allowed_from: found 0.0.0.0/0, which is the whole world, expected only the networks of your controllers"),
        ("203.0.113.0/24", "'::/0'", "26: ssh.allowed_from: found ::/0, which is the whole world, expected only the networks of your controllers"),
        ("203.0.113.0/24", "0.0.0.0/1, 128.0.0.0/1", "26: ssh.allowed_from: found 0.0.0.0/1, 128.0.0.0/1, which is the whole world, expected only the networks of your controllers"),
        # Rules about regions.
        ("  eu-central-1:", "  eu-centrall-1:", '15: regions.eu-centrall-1: found the region "eu-centrall-1", expected one that AWS has, such as eu-central-1; did you mean eu-central-1?'),
        ("    count: 2\n", "", "15: regions.eu-central-1.count: found nothing, expected a whole number from 0 to 1000: cloud.kind is aws"),
        ("    image: ami-0123456789abcdef0\n", "", "15: regions.eu-central-1.image: found nothing, expected an image such as ami-0123456789abcdef0: cloud.kind is aws"),
        ("    count: 2", "    count: 2\n    hosts: []", "17: regions.eu-central-1.hosts: found a key that is for static only, expected none of it: cloud.kind is aws"),
        ("    count: 2", "    count: 0", "14: regions: found 0 relays in all regions together, expected at least 1"),
        ("    count: 2", "    count: 2\n    architecture: aarch64", "17: regions.eu-central-1.architecture: found aarch64, expected one that release 10.5.1 has an archive for (x86_64)"),
        ("abcdef1]", "abcdef0]", "19: regions.eu-central-1.subnets[1]: found \"subnet-0123456789abcdef0\" again (regions.eu-central-1.subnets[0] is it), expected each subnet once"),
    ],
)  # fmt: skip
def test_each_mistake_in_an_aws_fleet_is_one_line_that_says_what_is_expected(old: str, new: str, expected: str) -> None:
    found = findings(edit(AWS, old, new))
    assert f"fleet.yaml:{expected}" in found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  europe:\n    hosts:", "  europe:\n    count: 2\n    hosts:", "11: regions.europe.count: found a key that is for aws only, expected none of it: cloud.kind is static"),
        ("  kind: static", "  kind: static\n  profile: x", "9: cloud.profile: found a key that is for aws only, expected none of it: cloud.kind is static"),
        ("  kind: static", "  kind: aws", "19: regions.america.hosts: found a key that is for static only, expected none of it: cloud.kind is aws"),
        ("198.51.100.3", "198.51.100.1", "20: regions.america.hosts[0].address: found \"198.51.100.1\" again (regions.europe.hosts[0] has it), expected each host once"),
        (f"{KEY}c", f"{KEY}a x@y", "21: regions.america.hosts[0].host_key: found the host key of regions.europe.hosts[0] again, expected each host to have a key of its own"),
        ("192.0.2.1", "198.51.100.3", '24: partners[0].address: found "198.51.100.3", a host of this fleet, expected a relay outside of it'),
        ("        number: 2", "        number: 1", "17: regions.europe.hosts[1].number: found the number of regions.europe.hosts[0] again, expected each host of a region to have its own"),
        (f"{KEY}c", "ssh-rsa AAAAB3", "21: regions.america.hosts[0].host_key: found a value that is not shown here, expected the one line of /etc/ssh/ssh_host_ed25519_key.pub, which begins with ssh-ed25519"),
        (f"      - address: 198.51.100.3\n        host_key: {KEY}c\n        number: 1", "      []", "19: regions.america.hosts: found nothing, expected a list: cloud.kind is static"),
    ],
)  # fmt: skip
def test_each_mistake_in_a_static_fleet_is_one_line_that_says_what_is_expected(
    old: str, new: str, expected: str
) -> None:
    found = findings(edit(STATIC, old, new))
    assert f"fleet.yaml:{expected}" in found


@pytest.mark.parametrize(
    "name", ["demo-eu-central-1", "demo-eu-west-1-01", "friends-eu-central-1-01", "demo-eu-central-1-1"]
)
def test_a_partner_may_be_called_what_no_relay_can_be(name: str) -> None:
    assert parsed(edit(AWS, "name: two", f"name: {name}")).partners[1].name == name


def test_one_mistake_gives_one_finding() -> None:
    assert findings(edit(AWS, "count: 2", "count: two")) == (
        'fleet.yaml:16: regions.eu-central-1.count: found "two" (text), expected a whole number from 0 to 1000',
    )


def test_all_errors_are_reported_together_in_the_order_of_the_file() -> None:
    text = edit(edit(edit(AWS, "magic: 2", "magic: 9"), "count: 2", "count: x"), "203.0.113.0/24", "0.0.0.0/0")
    assert [line.split(":")[1] for line in findings(text)] == ["4", "16", "26"]


def test_a_wrong_field_does_not_hide_rules_over_others_nor_cause_errors_there() -> None:
    text = edit(edit(AWS, "address: 192.0.2.1", "address: '!'"), "abcdef1]", "abcdef0]")
    found = findings(text)
    assert [line.split(":")[1] for line in found] == ["19", "22"]
    assert not any("sources of blocks" in line for line in found)


PARTNERS = """\
partners:
  - name: one
    address: 192.0.2.1
  - name: two
    address: two.example.org
"""


@pytest.mark.parametrize(
    ("partners", "topology", "count"),
    [
        ("", "", "0 sources"),
        ("partners: [{name: one, address: 192.0.2.1}]\n", "", "1 source"),
        ("", "topology: {use_ledger_after_slot: 0}\n", "1 source"),
        # The same relay as partner and as public root is one source.
        ("partners: [{name: one, address: '2001:DB8::1'}]\n", "topology: {public_roots: [{address: '2001:db8:0::1'}]}\n", "1 so"),
    ],
)  # fmt: skip
def test_fewer_than_two_sources_of_blocks_outside_the_fleet_are_refused(
    partners: str, topology: str, count: str
) -> None:
    found = findings(edit(AWS, PARTNERS, partners + topology))
    assert len(found) == 1
    assert f"found {count}" in found[0]
    assert (
        "of blocks outside the fleet, expected at least 2: partners, topology.public_roots, or ledger peers" in found[0]
    )


@pytest.mark.parametrize(
    "text",
    [
        "partners: [{name: one, address: 192.0.2.1}]\ntopology: {use_ledger_after_slot: 0}\n",
        "topology: {public_roots: [{address: a.org}, {address: b.org}]}\n",
        "partners: [{name: one, address: 192.0.2.1}]\ntopology: {public_roots: [{address: a.org}]}\n",
    ],
)
def test_partners_public_roots_and_ledger_peers_count_as_sources(text: str) -> None:
    assert parsed(edit(AWS, PARTNERS, text))


def test_two_relays_of_one_partner_behind_one_address_are_one_source() -> None:
    same = edit(AWS, "address: two.example.org", "address: 192.0.2.1\n    port: 3002")
    assert any("found 1 source of blocks" in line for line in findings(same))


def test_http_is_for_a_lab() -> None:
    assert parsed("lab: demo\n" + edit(AWS, "https://ex", "http://ex"))


def test_a_region_of_another_partition_exists() -> None:
    assert parsed(edit(AWS, "eu-central-1", "us-gov-west-1"))


def test_no_relay_can_have_a_name_that_is_no_host_name() -> None:
    text = edit(edit(STATIC, "fleet: demo", f"fleet: {'f' * 24}"), "  europe:", f"  {'r' * 24}:")
    spec = parsed(text)
    longest = f"{spec.fleet}-{max(spec.regions, key=len)}-1000"
    assert len(longest) <= 63
    assert findings(edit(text, "f" * 24, "f" * 25))
    assert findings(edit(text, "r" * 24, "r" * 25))


@pytest.mark.parametrize(
    "text",
    [
        edit(AWS, "ssh:\n", "controller: {store: ['postgresql://fleet:hunter2@db/x']}\nssh:\n"),
        edit(AWS, "ssh:\n", "controller: {stor: 'postgresql://fleet:hunter2@db/x'}\nssh:\n"),
        edit(AWS, "https://example.org/node.tar.gz", "ftp://me:hunter2@example.org/node.tar.gz"),
        edit(AWS, "https://example.org/node.tar.gz", "http://example.org/node.tar.gz?signature=hunter2"),
        edit(AWS, "cloud:\n", "aws_secret_access_key: hunter2\ncloud:\n"),
        edit(STATIC, f"{KEY}c", "'-----BEGIN OPENSSH PRIVATE KEY----- hunter2'"),
        edit(AWS, "fleet: demo", "fleet: '-----BEGIN PRIVATE KEY----- hunter2'"),
    ],
)
def test_secrets_are_never_printed(text: str) -> None:
    found = findings(text)
    assert found
    assert "hunter2" not in "\n".join(found)
