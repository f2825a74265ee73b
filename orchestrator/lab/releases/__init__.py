"""Releases of the lab: tarballs whose `bin/cardano-node` is the lab node, good and bad ones, and a small web server for them.

    tarball   the sources of the lab node → the bytes of a release, the same everywhere
    bad       releases that do something wrong, each kind under a version of its own
    offers    everything that a lab serves, as one list, and into the folder that is served
    server    that folder over HTTP

Which releases a fleet file names, and staging them on hosts, is decided elsewhere.
"""
