"""How much is computed at once: by memory, cores and the size of the network."""

import torch

from explaindebug.attributions._engine.inputs import Survey
from explaindebug.core.parallel import cores

MEMORY = 2**32  # bytes that the activations of all workers may take
CHUNK = 2**28  # those of one chunk, at most
CACHE = 2**25  # those of one chunk that a core is fastest with (measured), where weights are small
BLOCK = 24 * 2**20  # one tensor of a chunk: glibc asks the system anew for each block of 32 MiB
LARGE = 2**20  # those of one image, from which on a network fills several cores by itself


def fitting(chunk: int, network: Survey, device: torch.device) -> int:
    """So many images as can go through the network at once."""
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0] // 4
        return max(1, min(chunk, room // max(1, network.bytes)))
    # Large weights want many images, for which they are read once.
    room = min(CHUNK, max(CACHE, 4 * network.weights))
    return max(1, min(chunk, room // max(1, network.bytes), BLOCK // max(1, network.block)))


def division(
    workers: int | None, jobs: int, chunk: int, network: Survey, device: torch.device
) -> tuple[int, int | None]:
    """How many workers, and how many threads for each; None leaves torch's setting.

    One thread each is best while there are jobs for all cores: torch's own threads win less, and
    lose much where other programs run. Cores to spare help all but tiny networks.
    """
    if device.type != "cpu":
        return 1, None
    if workers is not None:
        return workers, 1
    room = MEMORY // max(1, chunk * network.bytes)
    workers = max(1, min(jobs, cores(), room))
    return workers, max(1, cores() // workers) if network.bytes >= LARGE else 1
