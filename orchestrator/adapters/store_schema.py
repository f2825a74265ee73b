"""Tables of the store, and its version. A store of a newer version is refused, never guessed at."""

from __future__ import annotations

import uuid

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    update,
)

from orchestrator.errors import StoreRefused

SCHEMA_VERSION = 4
"""1: the beginning. 2: evidence and pins. 3: rollouts. 4: revisions. An older store is given the tables it lacks."""

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

EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

PINS = Table(
    "pins",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("point", String(128), nullable=False),
    Column("user", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

ROLLOUTS = Table(
    "rollouts",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

BUNDLES = Table(
    "bundles",
    METADATA,
    Column("digest", String(128), primary_key=True),
    Column("version", String(128), nullable=False),
    Column("image", String(256), nullable=False),
    Column("instance_type", String(64), nullable=False),
    Column("document", Text, nullable=False),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("verb", String(32), nullable=False),
    Column("user", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("relay", String(64), nullable=False),
)

EVENTS = Table(
    "rollout_events",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("target", String(128), nullable=False),
    Column("version", String(128), nullable=False),
    Column("what", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("user", String(256), nullable=False),
)

REVISIONS = Table(
    "revisions",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("user", String(256), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("afresh", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("files", Text, nullable=False),
)

TOLD = Table(
    "told",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("holder", String(256), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("afresh", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("ending", String(32), nullable=False),
    Column("document", Text, nullable=False),
)

LEASE = Table(
    "lease",
    METADATA,
    Column("fleet", String(64), primary_key=True),
    Column("holder", String(256), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)


def make_or_check(engine: Engine, fleet: str) -> None:
    """Make the tables of a new store, or take up the one that is there. Raises StoreRefused."""
    with engine.begin() as connection:
        if inspect(connection).has_table(ABOUT.name):
            check_about(connection, fleet)
            complete(connection)
            return
        METADATA.create_all(connection)
        store_id = uuid.uuid4().hex[:16]
        connection.execute(
            insert(ABOUT).values(fleet=fleet, schema_version=SCHEMA_VERSION, store_id=store_id, magic=None, token=0)
        )


def complete(connection: Connection) -> None:
    """Give a store of an older version the tables it lacks: so far, versions have only added some."""
    older = ABOUT.c.schema_version < SCHEMA_VERSION
    if connection.execute(select(ABOUT.c.fleet).where(older)).first() is not None:
        METADATA.create_all(connection)
        connection.execute(update(ABOUT).where(older).values(schema_version=SCHEMA_VERSION))


def check_about(connection: Connection, fleet: str) -> None:
    """Raise StoreRefused for a store of another fleet, or of a newer version."""
    version = connection.execute(select(ABOUT.c.schema_version)).scalars().first()
    owner = connection.execute(select(ABOUT.c.fleet)).scalars().first()
    if version is not None and version > SCHEMA_VERSION:
        raise StoreRefused(
            f"the store has schema version {version}, this program knows {SCHEMA_VERSION}",
            next_step="use the newer genesis-fleet that wrote it",
        )
    if owner != fleet:
        raise StoreRefused(
            f"the store belongs to fleet {owner}, the fleet file is for {fleet}",
            next_step="a fleet keeps its name for life: name it as before, or give the new fleet a store of its own",
        )
