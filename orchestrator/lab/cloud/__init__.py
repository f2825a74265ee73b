"""The lab's AWS API: moto's EC2, corrected where it would make tests lie. It knows no machine; the supervisor asks it and tells it.

    places      regions, zones, subnets and images, by ids that never change
    addresses   where addresses come from
    faults      what can be made to go wrong, and what is on

    gate        who gets through, and what goes wrong on the way
    signature   whether a request is signed with a key of the lab
    api         requests and answers
    ec2         one region: launches, and the parts below put together
    lifecycle   what an instance does after its launch
    elastic     public addresses
    storage     volumes
    instances   one instance, and how the supervisor sees it
    region      what the parts of a region share

Nothing is imported here: `places`, which fleet files are written from, works without moto.
`orchestrator.lab.aws` puts it all behind an address.
"""
