"""Machines: real systemd on this host, with network and volumes. Linux only; clouds, fleets and relays are unknown here.

What decides that a machine has to exist is elsewhere. All of it is synchronous, needs root, takes its state directory from
the caller, and may be repeated at any point: each call looks at what is there, takes it up, and does the rest. Failures
raise `LabUnavailable`, naming the thing, the cause and the next step.

Values (frozen)::

    image.Progress(what: str, step: int, steps: int)
    image.MachineImage(digest: str, root: Path)
    network.LabNetwork(lab: str, bridge: str, v4: IPv4Network, v6: IPv6Network)   .gateway_v4 .gateway_v6
    layout.Lab(directory: Path, network: LabNetwork, image: MachineImage)
    machine.MachineSpec(instance_id: str, hostname: str, addresses: tuple[IPv4Address | IPv6Address, ...],
                        user_data: bytes = b"", public_keys: tuple[str, ...] = ())
    machine.MachineState                      ABSENT | STOPPED | RUNNING
    disks.Attachment(volume_id, instance_id, device)      device is "nvme1n1", "nvme2n1", ...

What a host lacks::

    host.why_no_lab(machines: int = 20) -> tuple[str, ...]    empty: this host can run a lab of so many

The image, built once, found ever after::

    image.find_or_build_image(images: Path = IMAGES, report: Callable[[Progress], None] = ...) -> MachineImage

The network; `name` is an instance id, or any other word for a namespace without a machine (a partner, a resolver)::

    network.observe_taken_ranges(lab: str) -> tuple[IPv4Network | IPv6Network, ...]
    network.pick_network(lab: str, taken) -> LabNetwork   pure; the caller records the answer
    network.start_network(network)                        bridge, gateway addresses, firewall
    network.connect(network, name, addresses) -> Path     the network namespace, ready to be used
    network.disconnect(network, name)
    network.add_address(network, name, address)           an elastic address, while the machine runs
    network.remove_address(network, name, address)
    network.isolate(network, name) / network.heal(network, name) / network.is_isolated(network, name) -> bool
    network.observe_isolated(network) -> frozenset[str]
    network.observe_addresses(network, pid) -> frozenset[Address]     of a process, e.g. a machine's first
    cuts.cut_regions(network, regions)                    exactly these groups of names reach themselves only
    network.delete_network(network)                       everything of this lab's prefix, nothing else

Machines; they outlive the process that starts them::

    machine.start_machine(lab, spec)                      returns when the process runs; ssh answers seconds later
    machine.poweroff_machine(lab, instance_id)            asks, and returns at once; services are stopped in order
    machine.reboot_machine(lab, instance_id)              asks, and returns at once
    machine.kill_machine(lab, instance_id)                power cut: returns when every process of it is gone
    machine.delete_machine(lab, instance_id)              kill, unplug, forget its disk; volumes are kept
    machine.observe_machine(lab, instance_id) -> MachineState
    machine.observe_machines(lab) -> dict[str, MachineState]
    machine.find_first_process(lab, instance_id) -> int | None    once it is in its own network
    machine.read_console(lab, instance_id) -> str
    machine.run_in_machine(lab, instance_id, command: Sequence[str]) -> subprocess.CompletedProcess[str]
    machine.delete_lab(lab)                               machines, volumes, network, directory

Volumes; kept when their machine goes::

    disks.create_volume(lab, volume_id, size_bytes: int)
    disks.attach_volume(lab, volume_id, instance_id) -> Attachment
    disks.detach_volume(lab, volume_id)
    disks.delete_volume(lab, volume_id)
    disks.observe_volumes(lab) -> tuple[str, ...]
    disks.observe_attachments(lab) -> tuple[Attachment, ...]

Below these, and of no use without them: `firewall`, `cgroups`, `seed` and `sources` render or read one thing each; `commands`,
`processes` and `locks` run programs, keep processes and take turns.
"""
