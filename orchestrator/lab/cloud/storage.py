"""EBS volumes of one lab region: attaching and detaching take as long as the machine takes, and have conditions."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import InvalidVolumeIdError
from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment

from .instances import LabInstance
from .region import ApiError, LabBackend


class Volumes(LabBackend):
    """Volumes that are plugged into machines."""

    def get_volume(self, volume_id: str) -> Volume:
        """Find a volume that may be seen already. moto shows each at once."""
        if self._is_hidden(volume_id):
            raise InvalidVolumeIdError(volume_id)
        return super().get_volume(volume_id)

    def describe_volumes(self, volume_ids: list[str] | None = None, filters: Any = None) -> list[Volume]:  # noqa: ANN401
        """List the volumes that may be seen already."""
        for volume_id in volume_ids or []:
            if self._is_hidden(volume_id):
                raise InvalidVolumeIdError(volume_id)
        return [each for each in super().describe_volumes(volume_ids, filters) if not self._is_hidden(each.id)]

    def _is_hidden(self, volume_id: str) -> bool:
        return self.setup.now() < self.volume_visible_at.get(volume_id, 0.0)

    def attach_volume(
        self,
        volume_id: str,
        instance_id: str,
        device_path: str,
        delete_on_termination: bool = False,  # noqa: FBT001, FBT002  # moto's own signature
    ) -> VolumeAttachment | None:
        """Begin to attach, under AWS's conditions: moto attaches twice, across zones, and to the dead."""
        volume, instance = self.get_volume(volume_id), self.get_instance(instance_id)
        if not isinstance(instance, LabInstance):  # a root disk, inside moto's run_instances
            return super().attach_volume(volume_id, instance_id, device_path, delete_on_termination)
        if instance.state not in ("running", "stopped"):
            raise ApiError("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
        if volume.attachment:
            raise ApiError("VolumeInUse", f"{volume_id} is already attached to an instance")
        if volume.availability_zone != instance.availability_zone:
            text = f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'"
            raise ApiError("InvalidVolume.ZoneMismatch", text)
        if device_path in dict(instance.get_block_device_mapping):
            text = f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use"
            raise ApiError("InvalidParameterValue", text)
        attachment = super().attach_volume(volume_id, instance_id, device_path, delete_on_termination)
        if attachment and instance.state == "running":
            attachment.status = "attaching"
        self.setup.changed()
        return attachment

    def detach_volume(self, volume_id: str, instance_id: str | None, device_path: str) -> VolumeAttachment:
        """Begin to detach; the volume is in use until the machine let go of it. moto: at once."""
        attachment = self.get_volume(volume_id).attachment
        if attachment is None:
            raise ApiError("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
        instance = attachment.instance
        if instance_id not in (None, instance.id):
            text = f"The volume '{volume_id}' is not attached to instance '{instance_id}'"
            raise ApiError("InvalidAttachment.NotFound", text)
        if not isinstance(instance, LabInstance) or instance.state not in ("running", "stopping"):
            return super().detach_volume(volume_id, instance.id, device_path)
        attachment.status = "detaching"
        self.setup.changed()
        return attachment

    def delete_volume(self, volume_id: str) -> Volume:
        """Delete what is free, and have its bytes deleted."""
        deleted = super().delete_volume(volume_id)
        self.setup.changed()
        return deleted

    def mark_attached(self, volume_id: str) -> None:
        """Note that the machine has the volume."""
        with self.lock:
            volume = self.volumes.get(volume_id)
            if volume and volume.attachment and volume.attachment.status == "attaching":
                volume.attachment.status = "attached"

    def mark_detached(self, volume_id: str) -> None:
        """Note that the machine let go of the volume."""
        with self.lock:
            volume = self.volumes.get(volume_id)
            if volume and volume.attachment and volume.attachment.status == "detaching":
                super().detach_volume(volume_id, volume.attachment.instance.id, volume.attachment.device)
