"""Tables of the store, and its version. A store of a newer version is refused, never guessed at."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, MetaData, String, Table, Text

SCHEMA_VERSION = 1

METADATA = MetaData()

ABOUT = Table(
    "about",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("store_id", String(64), nullable=False),
    Column("magic", BigInteger),
    Column("token", BigInteger, nullable=False),
)

INTENTS = Table(
    "launch_intents",
    METADATA,
    Column("token", String(64), primary_key=True),
    Column("relay", String(64), nullable=False),
    Column("region", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("request_json", Text, nullable=False),
    Column("one_time_public_key", Text, nullable=False),
    Column("subnet", String(64), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("instance_id", String(64)),
    Column("refused", Text),
)

IDENTITIES = Table(
    "identities",
    METADATA,
    Column("instance_id", String(128), primary_key=True),
    Column("relay", String(64), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("confirmed", Boolean, nullable=False),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("relay", String(64), primary_key=True),
    Column("intent", String(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("error", Text, nullable=False),
)

MISSED = Table(
    "missed",
    METADATA,
    Column("instance_id", String(128), primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
)

CONFIRMATIONS = Table("confirmations", METADATA, Column("name", String(128), primary_key=True))

LEASE = Table(
    "lease",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("holder", String(256), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)
