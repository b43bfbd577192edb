"""Relevance propagation for transformers."""

from dataclasses import dataclass

from torch import nn

from explaindebug.attributions._autograd.backward import Backward
from explaindebug.attributions._autograd.composite import AttentionRule, Composite, Entry
from explaindebug.attributions._autograd.lrp_rules import Epsilon, Gamma
from explaindebug.attributions._autograd.places import LAYERS, OfClass
from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.attributions._support.options import one_of
from explaindebug.attributions.lrp import Relevance


@ATTRIBUTIONS.register("attnlrp")
@dataclass(frozen=True)
class AttnLRP(Relevance):
    """TODO"""

    attention: AttentionRule = "cp"
    gamma: float = 0.0
    epsilon: float = 1e-6

    label = "AttnLRP"
    source = "Achtibat et al. 2024"
    for_transformers = True

    def __post_init__(self) -> None:
        one_of(("cp", "attnlrp"), "attention", self.attention, self.label)
        Gamma(self.gamma), Epsilon(self.epsilon)

    @property
    def entries(self) -> tuple[Entry, ...]:
        rule = Gamma(self.gamma) if self.gamma else Epsilon(self.epsilon)
        return ((OfClass(nn.Module), rule),)

    @property
    def passes(self) -> Backward:
        return Backward(Composite(self.label, self.entries, attention=self.attention))
