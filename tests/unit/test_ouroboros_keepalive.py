"""Keep-alive's codec against known bytes, and whose turn it is."""

import pytest

from orchestrator.ouroboros.errors import ProtocolError
from orchestrator.ouroboros.keepalive import (
    KeepAlive,
    KeepAliveDone,
    KeepAliveResponse,
    decode_keep_alive,
    encode_keep_alive,
    expect_question,
    expect_response,
)


@pytest.mark.parametrize(
    ("message", "encoded"),
    [(KeepAlive(12345), "8200193039"), (KeepAliveResponse(12345), "8201193039"), (KeepAliveDone(), "8102")],
)
def test_messages_have_the_known_bytes(message, encoded):
    assert encode_keep_alive(message).hex() == encoded
    assert decode_keep_alive(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("82001a00010000", "cookie is 65536, above 65535"),
        ("820020", "cookie is a negative integer"),
        ("8100", "message key 0 in a list of 1"),
        ("820200", "message key 2 in a list of 2"),
        ("8103", "message key 3 in a list of 1"),
        ("81f4", "message key is a simple value"),
        ("820001ff", "1 bytes follow the message"),
        ("00", "message is an integer, not a list"),
    ],
)
def test_bad_messages_are_refused(message, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_keep_alive(bytes.fromhex(message))


@pytest.mark.parametrize("answer", [KeepAliveResponse(8), KeepAlive(7), KeepAliveDone()])
def test_an_answer_must_return_the_cookie(answer):
    expect_response(KeepAlive(7), KeepAliveResponse(7))
    with pytest.raises(ProtocolError, match="was answered by"):
        expect_response(KeepAlive(7), answer)


def test_an_answer_to_nothing_is_refused():
    with pytest.raises(ProtocolError, match="nothing was asked"):
        expect_question(KeepAliveResponse(7))
