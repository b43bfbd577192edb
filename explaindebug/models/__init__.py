"""Networks to debug: the paper's own, and torchvision's and timm's by name."""

from explaindebug.models.bvd_cnn import BVDCNN
from explaindebug.models.factory import create_model, known_models, timm_model
from explaindebug.models.logits import last_activation, logits_only

__all__ = ["BVDCNN", "create_model", "known_models", "last_activation", "logits_only", "timm_model"]
