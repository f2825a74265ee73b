"""Reading HOST:PORT."""

import pytest

from orchestrator.ouroboros.targets import BadTarget, Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("192.0.2.1:3001", Target("192.0.2.1", 3001)),
        ("[2001:DB8::0:1]:3001", Target("2001:db8::1", 3001)),
        ("relay-1.example.org:1", Target("relay-1.example.org", 1)),
        ("relay.example.org.:65535", Target("relay.example.org.", 65535)),
        ("localhost:3001", Target("localhost", 3001)),
    ],
)
def test_the_three_shapes_are_read(text, target):
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["192.0.2.1:3001", "[2001:db8::1]:3001", "relay.example.org:3001"])
def test_a_target_is_written_as_it_is_read(text):
    assert str(parse_target(text)) == text


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no port"),
        ("relay.example.org", "no port"),
        ("relay.example.org:", "port '' is not a number"),
        ("relay.example.org:0", "port '0'"),
        ("relay.example.org:65536", "port '65536'"),
        ("relay.example.org:３００１", "is not a number"),
        ("relay.example.org:+1", "is not a number"),
        ("relay.example.org:3001\n", "is not a number"),
        (":3001", "neither an address nor a host name"),
        ("-relay:3001", "neither an address nor a host name"),
        ("a b:3001", "neither an address nor a host name"),
        ("a" * 64 + ":3001", "neither an address nor a host name"),
        ("a." * 127 + "a:3001", "neither an address nor a host name"),
        ("192.0.2.256:3001", "is not an IPv4 address"),
        ("1.2.3:3001", "is not an IPv4 address"),
        ("2001:db8::1", "an IPv6 address needs brackets"),
        ("[192.0.2.1]:3001", "is not an IPv6 address"),
        ("[2001:db8::1]", "an IPv6 address needs brackets"),
        ("[]:3001", "is not an IPv6 address"),
    ],
)
def test_bad_targets_are_refused_with_the_cause(text, cause):
    with pytest.raises(BadTarget, match=cause):
        parse_target(text)


def test_a_bad_target_is_a_value_error_that_says_what_to_write():
    with pytest.raises(ValueError, match=r"give name:port, 192\.0\.2\.1:port or \[2001:db8::1\]:port"):
        parse_target("nonsense")
