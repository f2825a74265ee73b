"""A whole cloud on one machine: real systemd machines on a bridge of their own, behind the real AWS API.

Built in layers; each knows only those below it. import-linter holds them (`pyproject.toml`).

What commands and tests call:
    running       start a lab, find it, talk to it, end it
    relay_faults  tell running nodes to do wrong: files that the lab node reads, and crowds
    fleet_file    the fleet file of a lab, as text
    consumers/    nodes that bootstrap from the fleet by its names, and what they saw

The process that is a lab (`python -m orchestrator.lab.daemon FOLDER`):
    daemon        the API, the release server, the resolver and the partners' nodes, until SIGTERM
    aws           the endpoint, put together: `cloud` behind its gate, the supervisor, the control pages
    resolver      answers for the names of the fleets, from the cloud's hosted zone
    control       the way behind the API: kill, isolate, cut, faults, quotas
    supervisor/   makes the machines agree with the API, and the API admit what became of them

What both sides name:
    places        addresses, ports and keys, known before the lab runs
    releases      tarballs of the lab node, and the server that gives them out

What they stand on; none of these knows another:
    machines/     Linux: image, machines, network, firewall, volumes
    cloud/        the AWS API: moto, corrected
    node/         the lab node, in the place of `cardano-node`; releases carry it as a copied folder
    crowd         a process that fills a relay's connections up to its hard limit
"""
