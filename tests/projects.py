"""Kinds of Lightning project, each as small as it can be: what its callbacks should find."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from lightning_modules import Module
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

SIDE = 12
INPUTS = 6


@dataclass
class Kind:
    """A kind of project; `remedy` is what it is told where it can't be measured."""

    name: str
    make: Callable[[], pl.LightningModule]
    item: Callable[[int], Any] = lambda i: (image(i), i % 3)
    remedy: str = ""
    options: dict[str, Any] = field(default_factory=dict)  # the callbacks'
    trainer: dict[str, Any] = field(default_factory=dict)
    collate: Any = None
    callbacks: Callable[[], list[Any]] = list  # of the project itself

    @property
    def loader(self) -> DataLoader[Any]:
        """Batches of three."""
        items: Any = [self.item(i) for i in range(INPUTS)]
        return DataLoader(items, batch_size=3, collate_fn=self.collate)


def image(i: int) -> Tensor:
    return torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(i))


def cnn(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(16, outputs),
    )


def trained(
    network: Callable[[], nn.Module] = cnn,
    loss: Callable[[Any, Any], Tensor] | None = None,
    forward: Callable[[Any, Tensor], Any] | None = None,
    init: Callable[[Any], None] | None = None,
) -> Callable[[], pl.LightningModule]:
    """A project that differs in its network, loss, forward, or in what it notes about itself."""

    class Project(Module):
        def __init__(self) -> None:
            super().__init__(network())
            if init:
                init(self)

        def forward(self, images: Tensor) -> Any:
            return forward(self, images) if forward else self.network(images)

        def loss(self, batch: Any) -> Tensor:
            return loss(self, batch) if loss else super().loss(batch)

    return Project


def on(image: Any, label: Any) -> Callable[[Any, Any], Tensor]:
    """The usual loss on a batch's items of these keys or places."""
    return lambda self, batch: F.cross_entropy(self(batch[image]), batch[label])


def binary(self: Any, batch: Any) -> Tensor:
    return F.binary_cross_entropy_with_logits(self(batch[0]).reshape(-1), batch[1].float())


def squared(self: Any, batch: Any) -> Tensor:
    return F.mse_loss(self(batch[0]), batch[1].float().reshape(len(batch[1]), -1))


def rebuilt(self: Any, batch: Any) -> Tensor:
    return (self(batch[0]).flatten(1) - batch[0].flatten(1)).square().mean()


def contrasted(self: Any, batch: Any) -> Tensor:
    one, other = (F.normalize(self(view)) for view in batch[0])
    return F.cross_entropy(one @ other.T, torch.arange(len(one)))


def multilabel(self: Any, batch: Any) -> Tensor:
    return F.binary_cross_entropy_with_logits(self(batch[0]), batch[1])


class Metric(Module):
    """Its metric keeps the graph of the losses that it was given."""

    def __init__(self) -> None:
        super().__init__(cnn())
        self.train_loss = MeanMetric()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.train_loss(loss)
        self.log("train_loss", self.train_loss)
        return loss


class Several(Module):
    """Its forward takes more than an image."""

    def __init__(self) -> None:
        super().__init__(cnn())
        self.meta = nn.Linear(4, 3)

    def forward(self, images: Tensor, meta: Tensor) -> Tensor:  # type: ignore[override]
        return self.network(images) + self.meta(meta)

    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch[0], batch[1]), batch[2])


class Steps(pl.LightningModule):
    """No forward: steps call the children."""

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    def loss(self, batch: Any) -> Tensor:
        x = batch[0]
        for child in self.children():
            x = child(x)
        return F.cross_entropy(x, batch[1])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Unvalidated(pl.LightningModule):
    """Training and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.network = cnn()

    def forward(self, images: Tensor) -> Any:
        return self.network(images)

    training_step = Steps.training_step
    loss = Module.loss
    configure_optimizers = Steps.configure_optimizers


class Manual(Module):
    def __init__(self) -> None:
        super().__init__(cnn())
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.loss(batch))
        optimizer.step()


class Adversarial(pl.LightningModule):
    """Two networks and two optimizers; forward takes noise."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = nn.Linear(8, 3 * SIDE * SIDE), cnn(1)

    def forward(self, noise: Tensor) -> Any:
        return self.generator(noise).view(-1, 3, SIDE, SIDE)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        made = self(torch.randn(len(batch[0]), 8))
        losses = -self.critic(made).mean(), self.critic(made.detach()).mean()
        for optimizer, loss in zip(self.optimizers(), losses, strict=True):  # type: ignore[arg-type]
            optimizer.zero_grad()
            self.manual_backward(loss, retain_graph=True)
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.step()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.critic(batch[0])

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(x.parameters(), 0.01) for x in (self.generator, self.critic)]


def keeps(self: Any, images: Tensor) -> Any:
    """A forward that notes what it computes, with the graph."""
    self.last = self.network(images)
    self.outputs.append(self.last)
    return self.last


def lists(self: Any) -> None:
    self.outputs = []


def belongings(self: Any) -> None:
    """What modules hold that can't be copied."""
    self.lock, self.numbers = threading.Lock(), (i for i in range(3))
    self.teacher = [cnn().requires_grad_(False)]
    self.activation = lambda x: self.network(x)


def watches(self: Any) -> None:
    """A hook that keeps features, in the module and around it."""
    self.seen = []
    self.network[0].register_forward_hook(lambda module, args, output: self.seen.append(output))


def scales(self: Any) -> None:
    """A hook that is part of the function."""
    self.network[0].register_forward_hook(lambda module, args, output: 2 * output)


def weight_normed() -> nn.Module:
    network = cnn()
    torch.nn.utils.weight_norm(network[0])
    return network


def weight_averaging() -> list[Any]:
    return [pl.callbacks.EMAWeightAveraging(decay=0.9)]


def swa() -> list[Any]:
    return [pl.callbacks.StochasticWeightAveraging(0.01, swa_epoch_start=1)]


class Hyper(Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.save_hyperparameters()


class Detector(Steps):
    def __init__(self) -> None:
        super().__init__(network=cnn())

    def forward(self, images: Any) -> Any:
        return [{"scores": torch.rand(2)} for _ in images]

    def loss(self, batch: Any) -> Tensor:
        return self.network(torch.stack(batch[0])).sum()  # type: ignore[no-any-return,operator]


def by_columns(rows: Any) -> Any:
    return tuple(zip(*rows, strict=True))


def segmenter() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))


def mask(i: int) -> Any:
    return image(i), torch.full((SIDE, SIDE), i % 3)


def bytes_of(i: int) -> Any:
    return (30 * image(i) + 120).clamp(0, 255).to(torch.uint8), i % 3


def flat_autoencoder() -> nn.Module:
    size = 3 * SIDE * SIDE
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.Linear(8, size))


def words() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 8), nn.Flatten(), nn.Linear(8 * 12, 2))


def pooled(conv: nn.Module, pool: nn.Module) -> nn.Module:
    return nn.Sequential(conv, nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, 2))


VIEWS = "`unpack=lambda batch: (batch[0][0], batch[1])`"
NO_IMAGES = "only images (n, c, h, w) can be explained; `unpack=` finds them elsewhere in a batch"
LOGITS = "leave the last layer out, or name a submodule: `forward=`"
NO_LOGITS = "a map explains one output: wrap the model, or name a submodule: `forward=`"
BY_HAND = "`unpack=` that gives images as `forward` gets them"

KINDS = [
    Kind("a classifier", trained()),
    Kind("a metric is fed with the loss (`MeanMetric`)", Metric),
    Kind("`save_hyperparameters` with a network in it", lambda: Hyper(cnn())),
    Kind("`forward` keeps activations", trained(forward=keeps, init=lists)),
    Kind("the module holds a lock, a generator, a lambda, a teacher", trained(init=belongings)),
    Kind("a forward hook keeps features", trained(init=watches)),
    Kind("a forward hook changes the output", trained(init=scales)),
    Kind("`weight_norm`, old interface", trained(weight_normed)),
    Kind("one logit", trained(lambda: cnn(1), binary), lambda i: (image(i), i % 2)),
    Kind(
        "one logit, squeezed (n,)",
        trained(lambda: cnn(1), binary, lambda self, x: self.network(x).squeeze(1)),
        lambda i: (image(i), i % 2),
    ),
    Kind(
        "several classes at once",
        trained(loss=multilabel),
        lambda i: (image(i), torch.tensor([1.0, 1.0, float(i % 2)])),
    ),
    Kind("regression", trained(lambda: cnn(1), squared), lambda i: (image(i), i / 7)),
    Kind(
        "regression, four outputs",
        trained(lambda: cnn(4), squared),
        lambda i: (image(i), torch.linspace(0, 2, 4) * i),
    ),
    Kind("autoencoder, flat", trained(flat_autoencoder, rebuilt)),
    Kind(
        "autoencoder",
        trained(lambda: nn.Conv2d(3, 3, 3, padding=1), rebuilt),
        remedy=NO_LOGITS,
    ),
    Kind("segmentation", trained(segmenter), mask, remedy=NO_LOGITS),
    Kind(
        "segmentation, outputs in a mapping",
        trained(
            segmenter,
            lambda self, batch: F.cross_entropy(self(batch[0])["out"], batch[1]),
            lambda self, x: {"out": self.network(x)},
        ),
        mask,
        remedy="name the logits: `output=`",
    ),
    Kind(
        "softmax at the end",
        trained(forward=lambda self, x: self.network(x).softmax(1)),
        remedy=LOGITS,
    ),
    Kind(
        "log-softmax at the end",
        trained(forward=lambda self, x: self.network(x).log_softmax(1)),
        remedy=LOGITS,
    ),
    Kind(
        "softmax at the end, with `forward=`",
        trained(forward=lambda self, x: self.network(x).softmax(1)),
        options={"forward": "network"},
    ),
    Kind(
        "several views ((view, view), label)",
        trained(loss=contrasted),
        lambda i: ((image(i), image(i + 99)), i % 3),
        remedy=VIEWS,
    ),
    Kind(
        "several views, with `unpack=`",
        trained(loss=contrasted),
        lambda i: ((image(i), image(i + 99)), i % 3),
        options={"unpack": lambda batch: (batch[0][0], batch[1])},
    ),
    Kind("(image, label, id, path)", trained(), lambda i: (image(i), i % 3, i, f"{i}.jpg")),
    Kind("(label, image)", trained(loss=on(1, 0)), lambda i: (i % 3, image(i))),
    Kind(
        "a mapping: `img`, `target`, `path`, `meta`",
        trained(loss=on("img", "target")),
        lambda i: {"path": f"{i}", "img": image(i), "target": i % 3, "meta": torch.ones(7)},
    ),
    Kind(
        "a mapping: `inputs`, `labels`",
        trained(loss=on("inputs", "labels")),
        lambda i: {"inputs": image(i), "labels": i % 3},
    ),
    Kind(
        "a mapping with one image and one integer: `scan`, `diagnosis`",
        trained(loss=on("scan", "diagnosis")),
        lambda i: {"scan": image(i), "diagnosis": i % 3},
    ),
    Kind(
        "a mapping with two images of unknown names",
        trained(loss=on("before", "change")),
        lambda i: {"before": image(i), "after": image(i + 99), "change": i % 3},
        remedy="`unpack=lambda batch: (batch['before'], batch['change'])`",
    ),
    Kind(
        "several inputs: `forward(image, meta)`",
        Several,
        lambda i: (image(i), torch.ones(4), i % 3),
        remedy="name the submodule that takes the image: `forward=`",
    ),
    Kind("no `forward`, one network", lambda: Steps(backbone=cnn())),
    Kind(
        "no `forward`, several networks",
        lambda: Steps(backbone=cnn(8), head=nn.Linear(8, 3)),
        remedy="name the submodule that maps images to logits: `forward=`",
    ),
    Kind("no validation", Unvalidated, remedy="`after='training'`"),
    Kind("no validation, with `after=`", Unvalidated, options={"after": "training"}),
    Kind("manual optimization", Manual),
    Kind("GAN, `forward` takes noise", Adversarial, remedy="name the critic: `forward=`"),
    Kind("GAN, with `forward=`", Adversarial, options={"forward": "critic"}),
    Kind("a compiled network", trained(lambda: torch.compile(cnn(), backend="eager"))),  # type: ignore[arg-type,return-value]
    Kind("`bf16-mixed`", trained(), trainer={"precision": "bf16-mixed"}),
    Kind("`bf16-true`", trained(), trainer={"precision": "bf16-true"}),
    Kind("`16-true`", trained(), trainer={"precision": "16-true"}),
    Kind(
        "`64-true`",
        trained(),
        lambda i: (image(i).double(), i % 3),
        trainer={"precision": "64-true"},
    ),
    Kind(
        "float64 weights, and a cast in `forward`",
        trained(lambda: cnn().double(), forward=lambda self, x: self.network(x.double())),
    ),
    Kind("TorchScript", trained(lambda: torch.jit.script(cnn())), remedy="the Python module"),
    Kind("accumulation and clipping", trained(), trainer={"gradient_clip_val": 0.5}),
    Kind("`inference_mode=False`", trained(), trainer={"inference_mode": False}),
    Kind("weight averaging (EMA)", trained(), callbacks=weight_averaging),
    Kind("weight averaging (SWA)", trained(), callbacks=swa, trainer={"max_epochs": 2}),
    Kind(
        "uint8 images, normalised in `forward`",
        trained(forward=lambda self, x: self.network(x.float() / 255)),
        bytes_of,
    ),
    Kind(
        "uint8 images, normalised in the step",
        trained(loss=lambda self, b: F.cross_entropy(self(b[0].float() / 255), b[1])),
        bytes_of,
        remedy=BY_HAND,
    ),
    Kind(
        "images with channels last",
        trained(forward=lambda self, x: self.network(x.permute(0, 3, 1, 2))),
        lambda i: (image(i).permute(1, 2, 0).contiguous(), i % 3),
        remedy="`unpack=` that gives (n, c, h, w), and the submodule that takes these: `forward=`",
    ),
    Kind(
        "channels last, with `unpack=` and `forward=`",
        trained(forward=lambda self, x: self.network(x.permute(0, 3, 1, 2))),
        lambda i: (image(i).permute(1, 2, 0).contiguous(), i % 3),
        options={"unpack": lambda b: (b[0].permute(0, 3, 1, 2), b[1]), "forward": "network"},
    ),
    Kind(
        "volumes",
        trained(lambda: pooled(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1))),
        lambda i: (torch.ones(3, 6, 8, 8), i % 2),
        remedy=NO_IMAGES,
    ),
    Kind(
        "waveforms",
        trained(lambda: pooled(nn.Conv1d(1, 4, 5), nn.AdaptiveAvgPool1d(1))),
        lambda i: (torch.ones(1, 64), i % 2),
        remedy=NO_IMAGES,
    ),
    Kind(
        "tables",
        trained(lambda: nn.Linear(5, 2)),
        lambda i: (torch.ones(5), i % 2),
        remedy=NO_IMAGES,
    ),
    Kind("text", trained(words), lambda i: (torch.arange(12), i % 2), remedy=NO_IMAGES),
    Kind(
        "text, in a mapping",
        trained(words, on("input_ids", "labels")),
        lambda i: {"input_ids": torch.arange(12), "labels": i % 2},
        remedy=NO_IMAGES,
    ),
    Kind(
        "detection: lists of images and boxes",
        Detector,
        lambda i: (image(i), {"boxes": torch.ones(2, 4)}),
        remedy=NO_IMAGES,
        collate=by_columns,
    ),
]
