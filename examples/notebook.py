"""Without Lightning, cell by cell: maps of many methods, drawn and compared.

python examples/notebook.py            # or open it as a notebook: the cells begin with `# %%`
"""

# %% [markdown]
# Any network and any images will do. Ours is small and is trained on stripes: do they lie or stand?

# %%
import copy

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from explaindebug.attributions import attribute, not_finite
from explaindebug.evaluation.heatmaps import display
from explaindebug.evaluation.nulls import NULLS, Inputs
from explaindebug.evaluation.postprocessing import ROBUST
from explaindebug.evaluation.similarities import SIMILARITIES
from explaindebug.report.maps.colour import colour
from explaindebug.report.maps.contact_sheet import enlarge, grid

torch.manual_seed(0)


def stripes(n):
    """Pictures (n, 1, 20, 20) with stripes in their middle that lie (0) or stand (1)."""
    labels = torch.arange(n) % 2
    wave = torch.sin(torch.arange(20) * 1.5 + 6 * torch.rand(n, 1))
    lying = wave[:, :, None].expand(-1, -1, 20)
    pictures = torch.where(labels[:, None, None] == 0, lying, lying.transpose(1, 2))
    window = torch.zeros(20, 20)
    window[5:15, 5:15] = 1
    return (pictures * window + 0.3 * torch.randn(n, 20, 20))[:, None], labels


model = nn.Sequential(
    nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(16 * 36, 2),
)  # fmt: skip
fresh = copy.deepcopy(model)  # the same network before it has learned anything
optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(60):
    images, labels = stripes(64)
    loss = F.cross_entropy(model(images), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

images, labels = stripes(12)
accuracy = (model(images).argmax(1) == labels).float().mean().item()
print(f"accuracy {accuracy:.2f}")

# %% [markdown]
# Maps of many methods in one call; those that need the same model passes share them. Nothing
# happens to the model: not to its mode, its gradients or its hooks.

# %%
methods = ["grad", "inputgrad", {"sgrad": {"samples": 8}}, {"intgrad": {"steps": 16}}, "gbp"]
maps = attribute(model, images, targets=labels, methods=methods)
assert not not_finite(maps)
print({name: tuple(raw.shape) for name, raw in maps.items()})

# %% [markdown]
# Drawn: a row per picture, a column per method.

# %%
panels = []
for i in range(4):
    grey = ((images[i, 0] - images[i].min()) / (images[i].max() - images[i].min()) * 255).byte()
    row = [enlarge(grey[..., None].expand(-1, -1, 3).numpy(), 80)]
    for raw in maps.values():
        row.append(enlarge(colour(display(raw[i : i + 1]), signed=True)[0], 80))
    panels.append(row)
names = [["lies", "stands"][label] for label in labels[:4].tolist()]
Image.fromarray(grid(panels, ["input", *maps], names)).save("maps.png")

# %% [markdown]
# Would one of these methods have shown that the network has learned nothing? Then its maps of the
# fresh network are no more like those of the trained one than noise is (the null).

# %%
lost = attribute(fresh, images, targets=labels, methods=methods)
spearman = SIMILARITIES.build("spearman")
found = {}
print(f"{'method':<10} {'trained and fresh':>18} {'noise':>8}")
for name, raw in maps.items():
    noise = NULLS["gaussian"].make(Inputs(raw, torch.arange(len(raw)).numpy(), images, 0))
    trained = ROBUST(raw)
    found[name] = [spearman(trained, ROBUST(x)).mean().item() for x in (lost[name], noise)]
    print(f"{name:<10} {found[name][0]:>18.2f} {found[name][1]:>8.2f}")
