import pytest
import torch
from torch import nn

from explaindebug.core.errors import UnsupportedModelError
from explaindebug.models import last_activation, logits_only


class Functional(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.end = end

    def forward(self, x):
        return self.end(self.fc(x.flatten(1)))


X = torch.linspace(-1, 1, 4).reshape(1, 1, 2, 2)


def net(*ends):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), *ends)


@pytest.mark.parametrize(
    "ends",
    [
        [nn.Softmax(1)],
        [nn.LogSoftmax(1)],
        [nn.Sigmoid()],
        [nn.Sigmoid(), nn.Flatten()],
        [nn.LogSoftmax(1), nn.Softmax(1)],
    ],
    ids=str,
)
def test_a_last_activation_module_is_taken_off(ends):
    model = net(*ends)
    logits = nn.Sequential(*list(model)[:2])(X)
    assert logits_only(model, X) is model
    assert torch.equal(model(X), logits)


@pytest.mark.parametrize("end", [lambda x: x, torch.relu, torch.tanh, nn.functional.normalize])
def test_logits_stay_as_they_are(end):
    model = Functional(end)
    assert last_activation(model, X) is None
    assert logits_only(model, X) is model


@pytest.mark.parametrize(
    ("end", "name"),
    [
        (lambda x: x.softmax(1), "Softmax"),
        (lambda x: nn.functional.log_softmax(x, 1), "LogSoftmax"),
        (lambda x: torch.sigmoid(x).squeeze(1), "Sigmoid"),
        (lambda x: x.exp() / x.exp().sum(1, keepdim=True), "a softmax"),
    ],
)
def test_an_activation_called_as_a_function_is_refused(end, name):
    with pytest.raises(UnsupportedModelError, match=f"Functional ends in {name}.*logits"):
        logits_only(Functional(end), X)


def test_a_gate_in_the_middle_is_no_end():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 3))
    assert last_activation(model, X) is None


def test_an_activation_that_is_also_used_inside_is_not_taken_off():
    gate = nn.Sigmoid()
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), gate, nn.Linear(4, 3), gate)
    with pytest.raises(UnsupportedModelError, match="ends in Sigmoid"):
        logits_only(model, X)
    assert model[2] is gate


def test_looking_leaves_no_trace():
    model = net(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Softmax(1)).train()
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    with torch.inference_mode():
        assert last_activation(model, X).module == "4"
    assert torch.equal(torch.get_rng_state(), rng)
    assert [m.training for m in model] == [True, True, False, True, True]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_an_output_that_is_no_tensor_is_named():
    with pytest.raises(UnsupportedModelError, match="returns a dict"):
        last_activation(Functional(lambda x: {"logits": x}), X)
