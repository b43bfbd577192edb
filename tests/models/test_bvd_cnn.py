import pytest
import torch
from torch import nn

from explaindebug.core.errors import ConfigError
from explaindebug.models import BVDCNN


@pytest.mark.parametrize("outputs", [1, 10])
@pytest.mark.parametrize(
    ("size", "last_map"), [(28, 3), (32, 4), (48, 3), (64, 4), (128, 4), (224, 7)]
)
def test_gives_one_row_of_logits_per_image_at_any_size(size, last_map, outputs):
    model = BVDCNN(outputs, size, channels=1, widths=(2, 2, 2, 2, 3), hidden=(4, 4)).eval()
    assert model(torch.randn(2, 1, size, size)).shape == (2, outputs)
    assert model.fc1.in_features == 3 * last_map**2


def test_has_the_papers_eight_layers_under_plain_names_and_no_batchnorm():
    model = BVDCNN()
    parametric = [n for n, m in model.named_children() if list(m.parameters())]
    assert parametric == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"]
    kinds = {type(m) for m in model.children()}
    assert kinds == {nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Linear, nn.Dropout}


def test_every_relu_is_its_own_module_and_not_in_place():
    model = BVDCNN(size=32)
    relus = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == 7
    assert not any(relu.inplace for relu in relus)
    calls = []
    for relu in relus:
        relu.register_forward_hook(lambda m, x, y: calls.append(m))
    model(torch.randn(1, 3, 32, 32))
    assert calls == relus


def test_images_still_differ_after_all_layers_of_the_untrained_network():
    torch.manual_seed(0)
    model = BVDCNN(outputs=64, size=64).eval()
    logits = model(torch.randn(32, 3, 64, 64))
    assert 0.2 < logits.std(0).mean() < 2  # 0.0003 from PyTorch's own start


def test_learns_where_a_bar_lies_in_a_few_steps():
    torch.manual_seed(0)
    images = 0.1 * torch.randn(64, 1, 28, 28)
    labels = torch.arange(64) % 2
    for image, label in zip(images, labels, strict=True):
        image[0, 6 + 12 * label : 9 + 12 * label] += 1
    model = BVDCNN(1, 28, 1, widths=(8, 8, 8, 8, 8), hidden=(32, 16))
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(15):
        loss = nn.functional.binary_cross_entropy_with_logits(model(images)[:, 0], labels.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert ((model.eval()(images)[:, 0] > 0) == labels).float().mean() > 0.95


def test_captum_takes_the_network():
    captum_attr = pytest.importorskip("captum.attr")
    model = BVDCNN(2, 28, 1, widths=(4, 4, 4, 4, 4), hidden=(8, 8)).eval()
    x = torch.randn(2, 1, 28, 28, requires_grad=True)
    relevance = captum_attr.LRP(model).attribute(x, target=1)
    assert relevance.shape == x.shape
    assert relevance.isfinite().all()


def test_repr_says_the_input():
    assert "input: 1 x 28 x 28" in repr(BVDCNN(1, 28, 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 5}, "size=5"),
        ({"size": -224}, "size=-224"),
        ({"outputs": 0}, "outputs=0"),
        ({"channels": 0}, "channels=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"widths": ()}, "widths="),
        ({"hidden": (512, 0)}, "hidden="),
    ],
)
def test_refuses_impossible_options_by_name(options, said):
    with pytest.raises(ConfigError, match=said):
        BVDCNN(**options)


def test_an_image_of_another_size_is_named_with_both_shapes():
    with pytest.raises(ConfigError, match=r"\(n, 1, 28, 28\), got \(2, 3, 32, 32\)"):
        BVDCNN(1, 28, 1)(torch.zeros(2, 3, 32, 32))
