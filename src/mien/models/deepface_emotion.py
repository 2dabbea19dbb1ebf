"""Model B of paper 000: the emotion network that the DeepFace library made popular."""

from __future__ import annotations

from torch import nn

from mien.models.registry import register


@register(
    "deepface-emotion",
    paper="Atanasov & Pilev 2020, Table III (the emotion network of Serengil's DeepFace)",
    trained=1_485_831,
    running=0,
)
def deepface_emotion(classes: int = 7, *, dropout: float = 0.2) -> nn.Module:
    """DeepFace's emotion network (Model B of paper 000): five convolutions and three dense layers.

    Sides after each layer, all 'valid': conv 5x5 44, max-pool 5/2 20, conv 18, conv 16, average-pool 3/2 7, conv 5,
    conv 3, average-pool 3/2 1; dense 1024, 1024, 7. Weights: convolutions 1,664 + 36,928 + 36,928 + 73,856 + 147,584,
    dense layers 132,096 + 1,049,600 + 7,175, together 1,485,831.
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 64, 5), nn.ReLU(), nn.MaxPool2d(5, 2)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.AvgPool2d(3, 2)),
        *(nn.Conv2d(64, 128, 3), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU(), nn.AvgPool2d(3, 2)),
        nn.Flatten(),
        *(nn.Linear(128, 1024), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(1024, classes),
    )
