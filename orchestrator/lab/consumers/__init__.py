"""Consumers: nodes that know nothing yet, bootstrap from the fleet by its names, and go away. They tell what they saw.

Who uses a fleet does so to get a chain: what these see is what an upgrade that nobody notices must not spoil.

    lookup     one question to the resolver
    names      what its answers are good for: addresses, for as long as they hold, in an order of one's own
    trail      what one has of the chain: every header checked against the one before
    progress   since when nothing more has come, and the end of its patience
    download   one connection: headers, blocks, until near enough to the tip
    consumer   one consumer's life, from the first question to its outcome
    visitors   so many of them at a time, for as long as is wanted
    outcome    what each saw, and all of them together

Many share one process with little work: headers are read once for all, and each takes blocks no faster than it is told to.
"""
