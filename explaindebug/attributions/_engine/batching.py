"""Batch sizes and workers, chosen by memory, cores and the size of the network."""

import torch

from explaindebug.attributions._engine.inputs import Survey
from explaindebug.core.parallel import cores

MEMORY = 2**32  # most bytes of activations of all workers
CHUNK = 2**28  # most bytes of activations of one chunk
CACHE = 2**25  # those with which a core is fastest if weights are small (measured)
BLOCK = 24 * 2**20  # most bytes of one tensor: glibc does not reuse blocks of 32 MiB or more
FEW = 4  # images that go together where CHUNK allows; one by one, SqueezeNet takes a fifth longer
LARGE = 2**20  # bytes of activations per image from which a network occupies several cores


def fitting(chunk: int, network: Survey, device: torch.device) -> int:
    """The number of images, up to `chunk`, that go through the network at once."""
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0] // 4
        return max(1, min(chunk, room // max(1, network.bytes)))
    # Large weights are read once per chunk, so larger chunks pay off.
    room = min(CHUNK, max(CACHE, 4 * network.weights, FEW * network.bytes))
    return max(1, min(chunk, room // max(1, network.bytes), BLOCK // max(1, network.block)))


def division(
    workers: int | None, jobs: int, chunk: int, network: Survey, device: torch.device
) -> tuple[int, int | None]:
    """The number of workers, and of torch threads for each; None keeps torch's setting.

    One thread each is best while there are jobs for all cores: torch's own threads gain less, and
    suffer if other programs run. Spare cores help all but tiny networks.
    """
    if device.type != "cpu":
        return 1, None
    if workers is not None:
        return workers, 1
    room = MEMORY // max(1, chunk * network.bytes)
    workers = max(1, min(jobs, cores(), room))
    return workers, max(1, cores() // workers) if network.bytes >= LARGE else 1
