"""The lab node: what `cardano-node` is in the lab. The same command line, files, signals, exit codes, metrics and wire
protocol as the real one; a synthetic chain instead of a ledger.

It follows headers and fetches blocks from the peers its topology names, keeps the longest chain on disk, and serves it on. Without
peers there is no tip. It runs from a copied folder on Debian 12's own Python with cbor2 and nothing else, which is how a
lab release carries it (`orchestrator.lab.releases`); it therefore imports nothing of ours but `orchestrator.ouroboros` and
`orchestrator.spec.genesis`.

Pure parts:
    version    which release it pretends to be, and what that release knows
    cli        arguments → RunOptions, or usage
    config     config.json and the genesis files it names → NodeConfig
    topology   topology.json → Topology, with the node's own refusals and silent clamps
    snapshot   the peer snapshot a topology names: fatal, told, or fine
    header     one block's header, and the hash that names it
    block      one block's body, and how both travel together
    chain      the chain: extend, roll back, intersect, and which of two chains is better
    lottery    which slots an issuer leads, and which claims to have led one are believed
    faults     what the lab may want done wrong, as values and as a file
    flaws      what a bad release does wrong by itself, as values and as an entry of its release.json
    metrics    figures → Prometheus text, in the dialect of the release
    startup    a topology in the words of the log

Parts that touch the world:
    database   the database folder: lock, markers, blocks on disk
    settings   what the lab asks of this node beyond the real command line: GENESIS_LAB_* and files in the database
    log        lines on stdout as the node's tracing prints them
    prometheus the strict little metrics server
    replay     opening the chain, and how long that takes
    reception  the listening sockets and the limit on accepted connections
    peers      the connections out, as the topology says
    sessions   what is said on each connection, in and out
    view       the adopted chain between its disk, its followers and the wire
    follow     what a peer shows, fetched and taken in
    forge      blocks of our own, in a partner's node, or on a fork that the lab asks for
    clock      slots and the time of day
    behaviour  what the lab wants at the moment, how far strangers are trusted, whose blocks are made
    node       all of it put together; `python -m orchestrator.lab.node` starts it

What the lab may ask (environment of the process):
    GENESIS_LAB_REPLAY_SECONDS           start-up over an existing database, before the port opens (default 0)
    GENESIS_LAB_REPLAY_UNCLEAN_SECONDS   the same when the `clean` marker is missing (default: 5 times as long)
    GENESIS_LAB_STOP_SECONDS             how long a clean stop takes (default 0); `<db>/lab-stop-seconds` overrides it
    GENESIS_LAB_FORGE=ISSUER             make blocks as this one of the genesis' issuers, counted from 0
    GENESIS_LAB_VERSION, GENESIS_LAB_FLAW   what a release says of itself, for `python -m` without one (see `flaws`)

What the lab may want at run time: `<db>/lab-fault` (see `faults`; `genesis-fleet lab fault` writes it). How many issuers there
are is a key of the lab's own in the Shelley genesis, `labIssuers`: every node needs it to tell a block from a forgery.
"""
