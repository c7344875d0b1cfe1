"""Common kinds of models, small and with seeded weights, as Keras code: each must pass through every image."""

import keras
from keras import layers, ops

IMAGE, CLASSES = (32, 32, 3), 10
Tensor = keras.KerasTensor


def normalized(x: Tensor) -> Tensor:
    """BatchNormalization as after training: nothing in it is 0 or 1."""
    return layers.BatchNormalization(
        beta_initializer=keras.initializers.RandomNormal(0, 0.2),
        gamma_initializer=keras.initializers.RandomUniform(0.7, 1.3),
        moving_mean_initializer=keras.initializers.RandomNormal(0, 0.2),
        moving_variance_initializer=keras.initializers.RandomUniform(0.7, 1.3),
    )(x)


def convolution(x: Tensor, filters: int, kernel: int = 3, strides: int = 1, activation: str | None = "relu") -> Tensor:
    x = normalized(layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x))
    return layers.Activation(activation)(x) if activation else x


def depthwise(x: Tensor, kernel: int, strides: int, activation: str) -> Tensor:
    x = layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False)(x)
    return layers.Activation(activation)(normalized(x))


def classified(x: Tensor) -> Tensor:
    return layers.Dense(CLASSES, activation="softmax", bias_initializer="random_normal")(x)


def resnet8() -> keras.Model:
    """Of MLPerf Tiny, half as wide."""
    inputs = keras.Input(IMAGE)
    x = convolution(layers.Rescaling(1 / 255)(inputs), 8)
    for filters, strides in ((8, 1), (16, 2), (32, 2)):
        y = convolution(convolution(x, filters, strides=strides), filters, activation=None)
        x = x if strides == 1 else layers.Conv2D(filters, 1, strides, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, classified(x))


def mobilenet_v2() -> keras.Model:
    """Inverted residuals with ReLU6, and the padding that Keras' own has before a stride."""
    inputs = keras.Input(IMAGE)
    x = convolution(layers.Rescaling(1 / 127.5, -1)(inputs), 8, strides=2, activation="relu6")
    for filters, strides in ((8, 1), (12, 2), (12, 1)):
        y = convolution(x, 4 * x.shape[-1], 1, activation="relu6")
        if strides == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
            y = layers.DepthwiseConv2D(3, 2, use_bias=False)(y)
            y = layers.ReLU(6.0)(normalized(y))
        else:
            y = depthwise(y, 3, 1, "relu6")
        y = convolution(y, filters, 1, activation=None)
        x = layers.Add()([x, y]) if strides == 1 and x.shape[-1] == filters else y
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(convolution(x, 32, 1, activation="relu6")))
    return keras.Model(inputs, classified(x))


def squeezed(x: Tensor, gate: str) -> Tensor:
    """Squeeze and excite."""
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(x.shape[-1] // 4, 1, activation="relu")(y)
    return layers.Multiply()([x, layers.Conv2D(x.shape[-1], 1, activation=gate)(y)])


def mobilenet_v3() -> keras.Model:
    """A block of MobileNetV3 (hard-swish, hard sigmoid) and one of EfficientNet (swish, sigmoid)."""
    inputs = keras.Input(IMAGE)
    x = convolution(layers.Rescaling(1 / 127.5, -1)(inputs), 8, strides=2, activation="hard_swish")
    for activation, gate in (("hard_swish", "hard_sigmoid"), ("swish", "sigmoid")):
        y = depthwise(convolution(x, 24, 1, activation=activation), 5, 1, activation)
        x = layers.Add()([x, convolution(squeezed(y, gate), 8, 1, activation=None)])
    x = layers.GlobalAveragePooling2D()(convolution(x, 32, 1, activation="swish"))
    return keras.Model(inputs, classified(x))


def separable() -> keras.Model:
    """Depthwise-separable convolutions, ELU and PReLU, and a pooling for the greatest value."""
    inputs = keras.Input(IMAGE)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.SeparableConv2D(12, 3, padding="same", activation="elu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.PReLU(alpha_initializer=keras.initializers.Constant(0.1), shared_axes=[1, 2])(
        normalized(layers.SeparableConv2D(24, 3, strides=2, padding="same")(x))
    )
    return keras.Model(inputs, classified(layers.GlobalMaxPooling2D()(x)))


def vit() -> keras.Model:
    """Two blocks of a vision transformer: LayerNormalization, attention of two heads, GELU."""
    inputs = keras.Input(IMAGE)
    x = layers.Conv2D(16, 8, 8)(layers.Rescaling(1 / 127.5, -1)(inputs))
    x = layers.Reshape((16, 16))(x)
    positions = layers.Embedding(16, 16)(ops.arange(16)[None])
    x = layers.Add()([x, positions])
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(y, y)])
        y = layers.Dense(32, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, layers.Dense(16)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(inputs, classified(x))


def mlp() -> keras.Model:
    """Eight columns of a table, two classes."""
    inputs = keras.Input((8,))
    x = layers.Normalization(mean=[0.1] * 8, variance=[1.5] * 8)(inputs)
    for units in (32, 16):
        x = layers.Dropout(0.1)(layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x))))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def cnn_1d() -> keras.Model:
    """Signals of 64 steps on two channels, three classes."""
    inputs = keras.Input((64, 2))
    x = layers.Conv1D(8, 5, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Conv1D(16, 3, padding="causal", dilation_rate=2)(x)
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def lstm() -> keras.Model:
    inputs = keras.Input((16, 4))
    x = layers.LSTM(12)(inputs)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def gru() -> keras.Model:
    """All of a sequence, both ways, with dense layers behind."""
    inputs = keras.Input((16, 4))
    x = layers.Bidirectional(layers.GRU(8, return_sequences=True))(inputs)
    x = layers.GlobalMaxPooling1D()(layers.Dense(16, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def autoencoder() -> keras.Model:
    """Its decoder has the transposed convolution whose padding is uneven, and one by upsampling."""
    inputs = keras.Input((32, 32, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


def two_inputs() -> keras.Model:
    """An image and six columns of a table."""
    image, table = keras.Input(IMAGE, name="image"), keras.Input((6,), name="table")
    x = layers.GlobalAveragePooling2D()(convolution(layers.Rescaling(1 / 255)(image), 8, strides=2))
    y = layers.Dense(8, activation="tanh")(table)
    x = layers.Dense(16, activation="relu")(layers.Concatenate()([x, y]))
    return keras.Model([image, table], classified(x))
