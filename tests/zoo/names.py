"""The names of the zoo's models, which are those of their builders in models.py; readable without Keras."""

NAMES = (
    "resnet8",
    "mobilenet_v2",
    "mobilenet_v3",
    "separable",
    "vit",
    "mlp",
    "cnn_1d",
    "lstm",
    "gru",
    "autoencoder",
    "two_inputs",
)
TRAINED = {"mlp": 0.9, "cnn_1d": 0.9}  # the accuracy that they are to have at least
