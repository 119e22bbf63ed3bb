"""What a session's container is created with, as the engine's JSON. Nothing here is optional.

The container has no network, no capability but the few the guest needs to become another user and
to keep the workspace in order, no swap, and nothing of the host but two named volumes.
"""

from typing import Any

from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec
from sessions.sandbox.limits import MIB, Limits
from sessions.sandbox.setup import Mount

GUEST_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
MAX_OPEN_FILES = 4096
"""Per process. The kernel's own default ceiling: an engine may be unable to grant more."""
SHARED_MEMORY_BYTES = 64 * MIB
NANO = 1_000_000_000


def guest_argv(verb: str) -> list[str]:
    """The guest in its own Python, independent of anything in the image."""
    return [
        f"{names.GUEST_PATH}/lib/ld.so",
        "--library-path",
        f"{names.GUEST_PATH}/lib",
        f"{names.GUEST_PATH}/bin/python3",
        "-I",
        "-S",
        f"{names.GUEST_PATH}/guest/__main__.py",
        verb,
    ]


def container_config(
    spec: ContainerSpec, *, installation: str, guest_volume: str, has_disk_quota: bool = False
) -> dict[str, Any]:
    labels = names.ownership_labels(installation, spec.session_id)
    host = _host_config(spec, labels, guest_volume)
    if has_disk_quota:
        _set_disk_quota(host, spec.limits.disk_bytes)
    return {
        "Image": spec.image,
        "Hostname": names.HOSTNAME,
        "User": "0:0",
        "WorkingDir": "/",
        "Entrypoint": [*guest_argv("serve"), "--disk-limit", str(spec.limits.disk_bytes)],
        "Cmd": [],
        "Tty": False,
        "OpenStdin": False,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "Labels": labels,
        "HostConfig": host,
    }


def engine_limits(limits: Limits) -> dict[str, int]:
    """Those that the engine enforces, and can change while the container runs."""
    return {
        "Memory": limits.memory_bytes,
        # Equal to the memory limit means no swap at all.
        "MemorySwap": limits.memory_bytes,
        "NanoCpus": round(limits.cpus * NANO),
        "PidsLimit": limits.pids,
    }


def _set_disk_quota(host: dict[str, Any], disk_bytes: int) -> None:
    """The container's layer and a workspace made now get the size each; the guest counts both
    together. A workspace that exists keeps its own."""
    size = {"size": str(disk_bytes)}
    host["StorageOpt"] = size
    workspace = host["Mounts"][0]["VolumeOptions"]
    workspace["DriverConfig"] = {"Name": "local", "Options": size}


def _host_config(spec: ContainerSpec, labels: dict[str, str], guest_volume: str) -> dict[str, Any]:
    return {
        "NetworkMode": "none",
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "none", "Config": {}},
        "Privileged": False,
        "CapDrop": ["ALL"],
        "CapAdd": list(GUEST_CAPABILITIES),
        "SecurityOpt": ["no-new-privileges:true"],
        "IpcMode": "private",
        "Init": False,
        **engine_limits(spec.limits),
        "OomKillDisable": False,
        "ShmSize": SHARED_MEMORY_BYTES,
        "Ulimits": [
            {"Name": "nofile", "Soft": MAX_OPEN_FILES, "Hard": MAX_OPEN_FILES},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Mounts": [
            {
                "Type": "volume",
                "Source": spec.workspace_volume,
                "Target": names.WORKSPACE_PATH,
                "ReadOnly": False,
                "VolumeOptions": {"Labels": labels},
            },
            {
                "Type": "volume",
                "Source": guest_volume,
                "Target": names.GUEST_PATH,
                "ReadOnly": True,
                "VolumeOptions": {"NoCopy": True},
            },
            *(_mount(mount) for mount in spec.mounts),
        ],
    }


def _mount(mount: Mount) -> dict[str, Any]:
    """A folder that is missing at the engine is not made: the container is refused."""
    source = mount.source
    return {
        "Type": "bind" if source.is_folder else "volume",
        "Source": source.source,
        "Target": mount.target,
        "ReadOnly": not source.is_writable,
        **(
            {"BindOptions": {"Propagation": "rprivate", "CreateMountpoint": False}}
            if source.is_folder
            else {"VolumeOptions": {"NoCopy": True}}
        ),
    }
