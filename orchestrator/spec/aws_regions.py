"""Which AWS regions exist, as far as the installed botocore knows: its shipped endpoint data, no call to anyone.

The one place below the adapters where a library of a cloud is imported, and only when a fleet file says `kind: aws`:
a region that does not exist is an error of the file, found before anybody has credentials.
"""

from __future__ import annotations

from functools import cache

# The partitions that customers can have accounts in; the isolated ones have no way to reach a Cardano network.
PARTITIONS = ("aws", "aws-us-gov", "aws-cn")


@cache
def aws_regions() -> frozenset[str]:
    """Return the names of all regions that offer EC2."""
    from botocore.session import Session

    session = Session()
    return frozenset(
        region for partition in PARTITIONS for region in session.get_available_regions("ec2", partition_name=partition)
    )
