"""The handshake's codec against known bytes, its strictness, and the responder's decision."""

import pytest

from orchestrator.ouroboros.errors import ProtocolError
from orchestrator.ouroboros.handshake import (
    AcceptVersion,
    ProposeVersions,
    QueryReply,
    Refuse,
    RefusedVersion,
    UndecodableVersion,
    VersionData,
    VersionMismatch,
    decode_proposal,
    decode_reply,
    encode_handshake,
    is_about_magic,
    magic_in_refusal,
    negotiate,
    offer,
)

MAINNET = 764824073
REFUSAL_OF_A_NODE = (
    "version data mismatch: NodeToNodeVersionData {networkMagic = NetworkMagic {unNetworkMagic = 1}} "
    "/= NodeToNodeVersionData {networkMagic = NetworkMagic {unNetworkMagic = 2}}"
)


def some_data(magic=MAINNET, *, initiator_only=False, peer_sharing=True, query=False):
    return VersionData(magic, initiator_only, peer_sharing, query)


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (
            ProposeVersions(offer((13, 14, 15), some_data(initiator_only=True, peer_sharing=False))),
            "8200a30d841a2d964a09f500f40e841a2d964a09f500f40f841a2d964a09f500f4",
        ),
        (
            ProposeVersions(offer((15, 14), some_data(1, initiator_only=True, peer_sharing=False, query=True))),
            "8200a20e8401f500f50f8401f500f5",
        ),
    ],
)
def test_proposals_have_the_known_bytes(message, encoded):
    assert encode_handshake(message).hex() == encoded
    assert decode_proposal(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (AcceptVersion(15, some_data(2)), "83010f8402f401f4"),
        (QueryReply(offer((14, 15), some_data(query=True))), "8203a20e841a2d964a09f401f50f841a2d964a09f401f5"),
        (Refuse(VersionMismatch((14, 15))), "82028200820e0f"),
        (Refuse(VersionMismatch((7, 8, 9, 10))), "82028200840708090a"),
        (Refuse(UndecodableVersion(1, "foo")), "820283010163666f6f"),
        (Refuse(RefusedVersion(2, "foo")), "820283020263666f6f"),
        (Refuse(RefusedVersion(15, REFUSAL_OF_A_NODE)), "820283020f78ab" + REFUSAL_OF_A_NODE.encode().hex()),
    ],
)
def test_replies_have_the_known_bytes(message, encoded):
    assert encode_handshake(message).hex() == encoded
    assert decode_reply(bytes.fromhex(encoded)) == message


def test_versions_not_known_here_are_skipped_whatever_their_data():
    old = decode_proposal(bytes.fromhex("8200a4078202f4088202f4098202f40a8202f4"))
    assert old == ProposeVersions({}, (7, 8, 9, 10))
    new = decode_proposal(bytes.fromhex("8200a20f8402f401f4108502f401f4f5"))
    assert new == ProposeVersions({15: some_data(2)}, (16,))


@pytest.mark.parametrize(
    ("proposal", "complaint"),
    [
        ("8200a20f8401f500f40e8401f500f4", "version 14 after 15, versions must ascend"),
        ("8200a20f8401f500f40f8401f500f4", "version 15 after 15, versions must ascend"),
        ("8200a210801080", "version 16 after 16, versions must ascend"),
        ("8200a10f8301f500", "version data is a list of 3, not of 4"),
        ("8200a10f8501f500f4f4", "version data is a list of 5, not of 4"),
        ("8200a10f8401f502f4", "peer sharing is 2, above 1"),
        ("8200a10f84010000f4", "initiator-only flag is an integer"),
        ("8200a10f841b0000000100000000f500f4", "network magic is 4294967296, above 4294967295"),
        ("8200a120f6", "version is a negative integer"),
        ("8200bf0f8401f500f4ff", "does not begin anything that is allowed here"),
        ("8201a0", "message key 1, only a proposal"),
        ("8300a000", "message is a list of 3, not of 2"),
        ("8200a000", "1 bytes follow the message"),
        ("9f00a0ff", "message is an indefinite list"),
        ("820080", "version table is a list, not a map"),
        ("", "ends before message"),
    ],
)
def test_bad_proposals_are_refused(proposal, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_proposal(bytes.fromhex(proposal))


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ("83010a8202f4", "version 10 accepted, which was never offered"),
        ("82010f", "message key 1 in a list of 2"),
        ("8200a0", "message key 0 in a list of 2"),
        ("8204a0", "message key 4 in a list of 2"),
        ("8202820380", "refuse reason key 3 in a list of 2"),
        ("8202830080f6", "refuse reason key 0 in a list of 3"),
        ("820283020f4161", "reason is bytes, not text"),
        ("820283020f61ff", "reason is not UTF-8"),
        ("83010f8402f401f400", "1 bytes follow the message"),
    ],
)
def test_bad_replies_are_refused(reply, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_reply(bytes.fromhex(reply))


def test_the_highest_common_version_is_accepted_with_what_both_agree_on():
    proposal = ProposeVersions(offer((13, 14), some_data(initiator_only=True, peer_sharing=True)), (16,))
    accepted = AcceptVersion(14, some_data(initiator_only=True, peer_sharing=True))
    assert negotiate(proposal, offer((14, 15), some_data())) == accepted


def test_peer_sharing_needs_both_sides():
    proposal = ProposeVersions(offer((15,), some_data(peer_sharing=False)))
    assert negotiate(proposal, offer((15,), some_data())) == AcceptVersion(15, some_data(peer_sharing=False))


def test_no_common_version_is_refused_with_our_versions():
    proposal = ProposeVersions(offer((13,), some_data()))
    assert negotiate(proposal, offer((15, 14), some_data())) == Refuse(VersionMismatch((14, 15)))


def test_another_network_is_refused_in_words_that_name_both():
    reply = negotiate(ProposeVersions(offer((15,), some_data(2))), offer((15,), some_data(1)))
    assert reply == Refuse(RefusedVersion(15, REFUSAL_OF_A_NODE))


def test_a_query_is_answered_with_every_version():
    own = offer((14, 15), some_data())
    assert negotiate(ProposeVersions(offer((14,), some_data(query=True))), own) == QueryReply(own)


@pytest.mark.parametrize(
    ("reason", "about_magic", "magic"),
    [
        (RefusedVersion(15, REFUSAL_OF_A_NODE), True, 1),
        (RefusedVersion(15, REFUSAL_OF_A_NODE.replace("= 2", "= 1")), False, 1),
        (RefusedVersion(15, "network magic mismatch"), True, None),
        (RefusedVersion(15, "too many friends"), False, None),
        (UndecodableVersion(15, "bad magic"), False, None),
        (VersionMismatch((1,)), False, None),
    ],
)
def test_a_refusal_for_another_network_is_told_by_its_words(reason, about_magic, magic):
    assert is_about_magic(reason) is about_magic
    assert magic_in_refusal(reason) == magic


@pytest.mark.parametrize("versions", [(), (12,), (15, 16)])
def test_only_known_versions_can_be_offered(versions):
    with pytest.raises(ValueError, match="cannot offer versions"):
        offer(versions, some_data())
