"""Ranges, names and firewall of a lab: chosen and rendered without touching this host."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.cuts import render_cuts
from orchestrator.lab.machines.firewall import render_firewall
from orchestrator.lab.machines.network import find_overlaps, parse_fib_trie, parse_if_inet6, pick_network

LONGEST_LINK_NAME = 15


def test_a_name_always_gives_the_same_network() -> None:
    assert pick_network("demo", ()) == pick_network("demo", ())


def test_two_names_get_networks_that_do_not_overlap() -> None:
    one = pick_network("one", ())
    assert find_overlaps(pick_network("two", (one.v4, one.v6)), (one.v4, one.v6)) == ()


def test_a_range_in_use_is_passed_over() -> None:
    first = pick_network("demo", ())
    inside = IPv4Network((int(first.v4.network_address) + 256, 24))
    second = pick_network("demo", [inside])
    assert second.v4 != first.v4
    assert not second.v4.overlaps(inside)


def test_when_all_of_10_is_routed_elsewhere_no_network_is_picked() -> None:
    with pytest.raises(LabUnavailable, match=r"10\.64"):
        pick_network("demo", [IPv4Network("10.0.0.0/8")])


def test_ranges_of_the_other_family_never_overlap() -> None:
    network = pick_network("demo", ())
    assert find_overlaps(network, [IPv6Network("2001:db8::/32")]) == ()


def test_port_names_fit_and_begin_with_the_bridge() -> None:
    network = pick_network("a-lab-with-a-rather-long-name", ())
    port = network.port(network.v4[-2])
    assert port.startswith(network.bridge)
    assert len(port) <= LONGEST_LINK_NAME


def test_every_address_of_a_lab_has_a_port_name_of_its_own() -> None:
    network = pick_network("demo", ())
    names = {network.port(network.v4[offset]) for offset in range(0, 65536, 7)}
    assert len(names) == len(range(0, 65536, 7))


def test_gateways_are_the_first_addresses() -> None:
    network = pick_network("demo", ())
    assert network.gateway_v4 == network.v4.network_address + 1
    assert network.gateway_v6 == network.v6.network_address + 1


def test_the_firewall_lets_a_lab_reach_its_own_range_only() -> None:
    text = render_firewall("gf-12345", IPv4Network("10.99.0.0/16"), IPv6Network("fd00:1:2::/48"))
    assert 'iifname "gf-12345" ip daddr != { 10.99.0.0/16, 224.0.0.0/4 } drop' in text
    assert 'forward iifname "gf-12345" oifname != "gf-12345" drop' in text


def test_loading_the_firewall_again_keeps_who_is_isolated() -> None:
    text = render_firewall("gf-12345", IPv4Network("10.99.0.0/16"), IPv6Network("fd00:1:2::/48"))
    assert "flush set" not in text
    assert "delete" not in text


def test_a_cut_region_reaches_itself_and_nobody_else() -> None:
    text = render_cuts("gf-12345", [("gf-123450101", "gf-123450102")])
    inside = '{ "gf-123450101", "gf-123450102" }'
    for hook, match in (
        ("input", f"iifname {inside}"),
        ("output", f"oifname {inside}"),
        ("forward", f"iifname {inside} oifname != {inside}"),
        ("forward", f"iifname != {inside} oifname {inside}"),
    ):
        assert f"cut_{hook} ether type {{ ip, ip6 }} {match} drop\n" in text


def test_without_a_cut_region_what_was_cut_is_flushed_and_nothing_dropped() -> None:
    text = render_cuts("gf-12345", [])
    assert text.count("flush chain") == 3
    assert "drop" not in text


def test_addresses_are_read_from_the_kernels_trie() -> None:
    trie = (
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.75.0.0\n        /16 link UNICAST\n"
        "     |-- 10.75.1.1\n        /32 host LOCAL\n     |-- 10.75.255.255\n        /32 link BROADCAST\n"
    )
    assert parse_fib_trie(trie) == {IPv4Address("10.75.1.1")}


def test_v6_addresses_are_read_from_the_kernels_list() -> None:
    line = "fd26055a6e9700000000000000000101 02 30 00 82     ens5\n"
    assert parse_if_inet6(line) == {IPv6Address("fd26:55a:6e97::101")}
