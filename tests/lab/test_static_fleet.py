"""A fleet on hosts that exist already, for real: machines that somebody else made, known by address and pinned key alone.

The tests run in the order they stand in: the last ones let a host go.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.lab.cloud.places import plan_place
from orchestrator.lab.fleet_file import WANTED, render_lab_fleet
from orchestrator.lab.machines.machine import run_in_machine
from orchestrator.lab.releases.offers import VERSIONS
from orchestrator.lab.releases.tarball import build_release
from orchestrator.lab.running import KEY, RELEASES, lab_environment, start_lab, stop_lab
from orchestrator.rendering.user_data import render_user_data
from tests.lab_fleet import ROOT, Fleet, wait_for

pytestmark = pytest.mark.lab

LAB = "statics"
REGION = "eu-central-1"
KEEP = "GENESIS_TEST_LAB_KEEP"
FOLDER = Path("/var/lib/genesis-fleet/tests") / LAB
NETWORK = ROOT / "inventory" / "lab" / "network"
HOSTS = (("europe", 1), ("europe", 2), ("america", 1))
RELAYS = ("statics-america-01", "statics-europe-01", "statics-europe-02")
OTHER_STORE = "other"
SSH_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(frozen=True)
class Host:
    """One machine as its owner knows it."""

    region: str
    number: int
    instance_id: str
    address: str
    key: str


@dataclass(frozen=True)
class Metal(Fleet):
    """The fleet, and the machines that it is given."""

    hosts: tuple[Host, ...]

    def on(self, relay: str, script: str) -> str:
        """Run a script as root on a relay's machine, past network and SSH."""
        (host,) = (h for h in self.hosts if f"{LAB}-{h.region}-{h.number:02d}" == relay)
        done = run_in_machine(self.plan.lab, host.instance_id, ["sh", "-euc", script])
        assert done.returncode == 0, f"{relay}: {script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def of_another_store(self) -> Path:
        """Write the same fleet file for a controller with a store of its own."""
        return self.variant(
            OTHER_STORE, lambda document: document["controller"].update(store=f"sqlite:///{self.folder}/other.db")
        )

    def with_host(self, name: str, region: str, number: int, **values: Any) -> Path:
        """Write the fleet file with something else said of one host; None says nothing of it any more."""

        def change(document: dict[str, Any]) -> None:
            hosts = document["regions"][region]["hosts"]
            (host,) = (h for h in hosts if h["number"] == number)
            host.update(values)
            if not values:
                hosts.remove(host)

        return self.variant(name, change)


@pytest.fixture(scope="module")
def metal() -> Iterator[Metal]:
    """Start the lab and three plain machines in it. Two test runs take turns."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        stop_lab(LAB)
        shutil.rmtree(FOLDER)
        FOLDER.mkdir()
        plan = start_lab(LAB, (REGION,), NETWORK, lambda _progress: None)
        hosts = launch_hosts(lab_environment(plan), (plan.lab.directory / f"{KEY}.pub").read_text())
        metal = Metal(plan, FOLDER, hosts)
        write_fleet(metal)
        yield metal
        if not os.environ.get(KEEP):
            stop_lab(LAB)
            shutil.rmtree(FOLDER)


@pytest.fixture(scope="module")
def serving(metal: Metal) -> Metal:
    """The fleet after its first apply."""
    metal.converge()
    return metal


def launch_hosts(environment: Any, authorized_key: str) -> tuple[Host, ...]:
    """Launch machines as somebody would who knows nothing of fleets: their keys are for good, and no tag is ours."""
    ec2 = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    place = plan_place(REGION)
    (default,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=default["GroupId"], IpPermissions=[everything])
    launched = []
    for region, number in HOSTS:
        key = Ed25519Keys().make_host_key("")
        user_data = render_user_data(
            hostname=f"box-{region}-{number}",
            user="admin",
            authorized_key=authorized_key,
            one_time_private_key=key.private,
            one_time_public_key=key.public,
        )
        answer = ec2.run_instances(
            ImageId=place.image_id,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            UserData=user_data,
            NetworkInterfaces=[
                {"DeviceIndex": 0, "SubnetId": place.zones[0].subnet_id, "AssociatePublicIpAddress": True}
            ],
        )
        launched.append((region, number, answer["Instances"][0]["InstanceId"], key.public))

    def addresses() -> dict[str, str] | None:
        answer = ec2.describe_instances(InstanceIds=[instance_id for _, _, instance_id, _ in launched])
        found = [i for reservation in answer["Reservations"] for i in reservation["Instances"]]
        running = {i["InstanceId"]: i["PublicIpAddress"] for i in found if i["State"]["Name"] == "running"}
        return running if len(running) == len(launched) else None

    where = wait_for(addresses)
    return tuple(Host(region, number, name, where[name], key) for region, number, name, key in launched)


def write_fleet(metal: Metal) -> None:
    """Write the fleet file of these hosts, as their owner would; the rest is what every lab fleet has."""
    releases = [build_release(version, metal.plan.lab.directory / RELEASES) for version in VERSIONS]
    document = yaml.safe_load(render_lab_fleet(LAB, releases, network_folder=str(NETWORK)))
    document["cloud"], document["regions"] = {"kind": "static"}, {}
    for host in metal.hosts:
        region = document["regions"].setdefault(host.region, {"memory_gib": 2, "cores": 2, "hosts": []})
        region["hosts"].append({"number": host.number, "address": host.address, "host_key": host.key})
    document["rollout"]["retry_after"] = "1s"
    document["controller"] = {"lease": "8s", "look_every": "1s"}
    metal.file.write_text(yaml.safe_dump(document, sort_keys=False))


def test_named_hosts_come_to_serve(serving: Metal) -> None:
    relays = serving.relays()
    assert tuple(sorted(relays)) == RELAYS
    assert {(r["phase"], r["health"], r["release"]) for r in relays.values()} == {("serving", "healthy", WANTED)}
    assert {r["address"] for r in relays.values()} == {host.address for host in serving.hosts}


def test_a_second_apply_plans_nothing(serving: Metal) -> None:
    again = serving.run("apply", "--yes")
    assert again.code == 0
    assert "Nothing to do" in again.out
    assert "started" not in again.err


def test_a_pinned_key_stays_the_hosts_own(serving: Metal) -> None:
    for host in serving.hosts:
        relay = f"{LAB}-{host.region}-{host.number:02d}"
        assert serving.on(relay, f"cat {SSH_KEY}").split()[:2] == host.key.split()[:2]
        assert f"hostkey {SSH_KEY.removesuffix('.pub')}" in serving.on(relay, "sshd -T").splitlines()


def test_every_host_knows_its_store(serving: Metal) -> None:
    stores = {serving.on(relay, "cat /var/lib/genesis-fleet/store-id") for relay in RELAYS}
    assert len(stores) == 1
    assert stores != {""}


def test_a_host_with_another_key_than_the_pinned_one_is_refused_and_named(serving: Metal) -> None:
    other = Ed25519Keys().make_host_key("").public
    file = serving.with_host("wrong-key", "europe", 2, host_key=other)
    planned = serving.run("plan", "--json", file=file)
    relays = {r["name"]: r for r in planned.document["relays"]}
    address = next(h.address for h in serving.hosts if (h.region, h.number) == ("europe", 2))
    assert relays["statics-europe-02"]["phase"] == "unknown"
    assert address in relays["statics-europe-02"]["reason"]
    assert "key" in relays["statics-europe-02"]["reason"].lower()
    assert planned.document["actions"] == []
    # Nobody is touched; but who cannot be vouched for leaves the names.
    gone = {record["set_id"] for record in planned.document["names"]["delete"] if "set_id" in record}
    assert (planned.code, gone) == (2, {"statics-europe-02"})
    assert relays["statics-europe-01"]["phase"] == "serving"


def test_a_controller_with_another_store_only_reads(serving: Metal) -> None:
    refused = serving.run("apply", "--yes", file=serving.of_another_store())
    assert refused.code == 4
    assert serving.on(RELAYS[0], "cat /var/lib/genesis-fleet/store-id") in refused.err
    assert "genesis-fleet adopt" in refused.err


def test_a_host_refuses_another_stores_playbooks_by_itself(serving: Metal) -> None:
    done = serving.ansible("stop", "-e", "genesis_token=1000000", file=serving.of_another_store())
    assert done.returncode != 0
    for relay in RELAYS:
        assert re.search(rf"fatal: \[{relay}\].*not ours: this host belongs to store", done.stdout)
    assert serving.on(RELAYS[0], "systemctl is-active cardano-node") == "active"


def test_adoption_hands_the_hosts_over_and_back(serving: Metal) -> None:
    first, other = serving.file, serving.of_another_store()
    taken = serving.run("adopt", "--yes", file=other)
    assert taken.code == 0, taken.err
    assert serving.run("apply", "--yes", file=first).code == 4
    back = serving.run("adopt", "--yes", file=first)
    assert back.code == 0, back.err
    assert serving.run("plan").code == 0


def test_a_host_that_retires_is_stopped_and_given_back(serving: Metal) -> None:
    file = serving.with_host("retiring", "europe", 2, retire=True)
    (gone,) = (h for h in serving.hosts if (h.region, h.number) == ("europe", 2))
    ended = serving.converge(file=file)
    relays = {r["name"]: r for r in ended.document["relays"]}
    assert relays["statics-europe-02"]["phase"] == "gone"
    assert ended.document["summary"]["serving"] == ended.document["summary"]["wanted"] == 2
    ours = "find /etc /opt /var/lib/genesis-fleet -name '*genesis*' -o -name 'cardano-node*'; nft list tables"
    assert serving.on("statics-europe-02", ours) == "/var/lib/genesis-fleet"
    assert serving.on("statics-europe-02", "systemctl is-active cardano-node || true") == "inactive"
    assert serving.on("statics-europe-02", "ls /var/lib/cardano-node/db") != ""
    for relay in ("statics-europe-01", "statics-america-01"):
        topology = json.loads(serving.on(relay, "cat /etc/cardano-node/topology.json"))
        assert gone.address not in json.dumps(topology)
    assert serving.run("plan", file=file).code == 0


def test_the_entry_of_a_retired_host_may_be_deleted(serving: Metal) -> None:
    file = serving.with_host("deleted", "europe", 2)
    planned = serving.run("plan", "--json", file=file)
    assert planned.code == 0, planned.out
    assert [r["name"] for r in planned.document["relays"]] == ["statics-america-01", "statics-europe-01"]
    assert planned.document["holds"] == []
