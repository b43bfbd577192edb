import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.models import BVDCNN, create_model, known_models
from explaindebug.models.heads import find_head, head_outputs, replace_head

DATA = Path(os.environ.get("EXPLAINDEBUG_DATA", Path(__file__).parents[3] / "shared/data"))
SQUEEZENET = DATA / "squeezenet_imagenet/squeezenet1_0_torchvision_norm_fp16.pt"


def small(**options):
    return create_model("bvd_cnn", size=28, channels=1, hidden=(8, 8), **options)


def stored(tmp_path, content, name="weights.pt"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_bvd_cnn_by_name_with_its_options():
    model = create_model("bvd_cnn", outputs=10, size=28, channels=1, dropout=0.1)
    assert isinstance(model, BVDCNN)
    assert model.input_shape == (1, 28, 28)
    assert head_outputs(model) == 10
    assert model.drop1.p == 0.1
    assert head_outputs(create_model("bvd_cnn", size=32)) == 1


@pytest.mark.parametrize(
    "name",
    ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "regnet_y_400mf", "shufflenet_v2_x0_5"],
)
def test_torchvision_models_give_the_asked_number_of_logits(name):
    model = create_model(name, outputs=3).eval()
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)


def test_the_head_of_every_torchvision_family_is_found():
    # one of each family; regnets can't be built without storage, the test above builds one
    family = {re.split(r"_|\d", name)[0]: name for name in known_models()}
    del family["regnet"]
    with torch.device("meta"):
        outputs = {n: head_outputs(create_model(n)) for n in family.values()}
    assert len(outputs) > 15
    assert outputs.pop("bvd_cnn") == 1
    assert set(outputs.values()) == {1000}


def test_vision_transformers_are_built_for_the_size_of_the_images():
    with torch.device("meta"):
        model = create_model("vit_b_16", size=64, outputs=2).eval()
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_training_only_heads_are_left_out(name):
    with torch.device("meta"):
        model = create_model(name, outputs=2)
        assert isinstance(model(torch.zeros(2, 3, 96, 96)), torch.Tensor)


def test_a_fresh_squeezenet_head_can_say_no():
    model = create_model("squeezenet1_1", outputs=1).eval()
    nn.init.constant_(model.classifier[1].bias, -100.0)
    assert (model(torch.randn(2, 3, 64, 64)) < 0).all()


def test_a_head_that_fits_stays_and_another_is_exchanged_alone():
    model = small(outputs=4)
    before = dict(model.named_parameters())
    replace_head(model, 4)
    assert model.get_parameter("fc3.weight") is before["fc3.weight"]
    replace_head(model, 2)
    after = dict(model.named_parameters())
    assert {k for k in before if after[k] is not before[k]} == {"fc3.weight", "fc3.bias"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"net.{k}": v for k, v in s.items()} | {"acc.n": torch.ones(1)}},
        lambda s: {k: v.double() for k, v in s.items()},
    ],
    ids=["plain", "wrapped", "model", "DataParallel", "Lightning", "float64"],
)
def test_weights_are_read_from_what_people_store(wrap, tmp_path):
    trained = small(outputs=3)
    path = stored(tmp_path, wrap(trained.state_dict()))
    assert same(small(weights=path), trained)
    assert same(small(weights=str(path), outputs=3), trained)


def test_a_prefix_is_not_mistaken_for_a_layer_of_the_same_name(tmp_path):
    # resnet18's first tensor, conv1.weight, ends the names of eight others
    trained = create_model("resnet18", outputs=2)
    state = {f"model.{k}": v for k, v in reversed(trained.state_dict().items())}
    loaded = create_model("resnet18", weights=stored(tmp_path, {"state_dict": state}, "a.ckpt"))
    assert same(loaded, trained)


def test_half_precision_becomes_float32(tmp_path):
    trained = small()
    path = stored(tmp_path, {k: v.half() for k, v in trained.state_dict().items()})
    loaded = small(weights=path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.fc1.weight, trained.fc1.weight.half().float())


def test_safetensors_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    trained = small()
    safetensors.save_file(trained.state_dict(), tmp_path / "w.safetensors")
    assert same(small(weights=tmp_path / "w.safetensors"), trained)


def test_other_outputs_than_the_weights_exchange_the_head_only(tmp_path):
    trained = small(outputs=7)
    model = small(outputs=2, weights=stored(tmp_path, trained.state_dict()))
    assert head_outputs(model) == 2
    assert torch.equal(model.fc2.weight, trained.fc2.weight)


@pytest.mark.skipif(not SQUEEZENET.exists(), reason=f"no real SqueezeNet weights at {SQUEEZENET}")
def test_real_imagenet_weights_recognise_birds_and_fish():
    from PIL import Image
    from torchvision.transforms import v2

    folder = DATA / "imagenet_sample"
    rows = [line.split() for line in (folder / "classes.txt").read_text().splitlines()]
    place = {wnid: int(index) for index, wnid, *_ in rows}
    files = sorted(folder.glob("n*.jpg"))[:20]  # birds and fish
    prepare = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = torch.stack([prepare(Image.open(f).convert("RGB")) for f in files])
    with torch.no_grad():
        said = create_model("squeezenet1_0", weights=SQUEEZENET).eval()(images).argmax(1)
    truth = torch.tensor([place[f.name.split("_")[0]] for f in files])
    assert (said == truth).float().mean() > 0.4  # 0.61 over all classes; chance is 0.001


def test_unknown_names_get_the_nearest():
    with pytest.raises(ConfigError, match=r"'resnet_18'.*'resnet18'"):
        create_model("resnet_18")
    with pytest.raises(ConfigError, match=r"'bvdcnn'.*'bvd_cnn'"):
        create_model("bvdcnn")


def test_unknown_options_and_weight_names_are_sentences():
    with pytest.raises(ConfigError, match="dropuot"):
        create_model("bvd_cnn", dropuot=0.1)
    with pytest.raises(ConfigError, match=r"resnet18 can't be built with.*nonsense"):
        create_model("resnet18", nonsense=1)
    with pytest.raises(ConfigError, match="vit_b_16 can't be built"):
        create_model("vit_b_16", size=33)
    with pytest.raises(ConfigError, match=r"IMAGENET1K_V7.*IMAGENET1K_V1"):
        create_model("resnet18", weights="IMAGENET1K_V7")
    with pytest.raises(ConfigError, match="bvd_cnn has no published weights"):
        create_model("bvd_cnn", weights="IMAGENET1K_V1")
    with pytest.raises(ConfigError, match="outputs=0"):
        create_model("resnet18", outputs=0)


def test_a_checkpoint_of_another_architecture_is_counted(tmp_path):
    path = stored(tmp_path, small().state_dict())
    with pytest.raises(ConfigError, match=r"weights\.pt does not fit ResNet: of 122 tensors, 101 "):
        create_model("resnet18", weights=path)
    wider = create_model("bvd_cnn", size=28, channels=1, hidden=(9, 8))
    with pytest.raises(ConfigError, match=r"fc1.weight is \(9, 1152\), not \(8, 1152\)"):
        small(weights=stored(tmp_path, wider.state_dict()))


def test_unreadable_weights_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no weights at .*nowhere\.pt"):
        small(weights="nowhere.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(DataError, match=r"text\.pt can't be read"):
        small(weights=tmp_path / "text.pt")
    with pytest.raises(DataError, match=r"whole\.pt can't be read.*state_dict"):
        small(weights=stored(tmp_path, nn.Linear(1, 1), "whole.pt"))
    with pytest.raises(DataError, match=r"empty\.pt holds no tensors"):
        small(weights=stored(tmp_path, {"epoch": 1}, "empty.pt"))
    with pytest.raises(DataError, match="a list, but a state dict"):
        small(weights=stored(tmp_path, [1], "list.pt"))
    broken = small().state_dict() | {"fc3.bias": torch.tensor([float("nan")])}
    with pytest.raises(DataError, match=r"fc3\.bias holds NaN"):
        small(weights=stored(tmp_path, broken, "nan.pt"))


def test_without_a_network_the_remedy_is_named(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(DataError, match=r"resnet18 could not be downloaded.*no route.*https://.*"):
        create_model("resnet18", weights="IMAGENET1K_V1")


def test_timm_models_with_and_without_weights(tmp_path):
    timm = pytest.importorskip("timm")
    trained = timm.create_model("test_resnet.r160_in1k", num_classes=5)
    path = stored(tmp_path, trained.state_dict())
    assert same(create_model("timm/test_resnet", weights=path), trained)
    assert head_outputs(create_model("timm/test_resnet", weights=path, outputs=2)) == 2
    with pytest.raises(ConfigError, match=r"timm/resnet_18'.*'resnet18'"):
        create_model("timm/resnet_18")


def test_the_head_of_a_model_without_layers_is_refused():
    with pytest.raises(TypeError, match=r"Flatten has no nn\.Linear"):
        find_head(nn.Flatten())


class _Runs:
    """What makes a file where it is unpickled without care."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> Any:
        return Path.touch, (self.made,)


def test_no_code_is_run_from_weights_that_were_downloaded_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision compares a file's digest only when it downloads it."""
    from torchvision.models import SqueezeNet1_1_Weights

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    cached = tmp_path / "hub" / "checkpoints" / SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(_Runs(tmp_path / "ran"), cached)
    with pytest.raises(DataError, match="squeezenet1_1"):
        create_model("squeezenet1_1", weights="IMAGENET1K_V1")
    assert not (tmp_path / "ran").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
