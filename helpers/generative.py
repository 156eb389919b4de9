"""Models that draw images, a bound of their likelihood, and scores of what they draw.

Images are (n, h, w, 1) with values in [0, 1]; a gray value is the probability that a pixel is
white. So a model's `draw` returns gray values, and `binarise` makes black and white of them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.spatial.distance import cdist

from helpers import session, validation
from helpers.backend import keras, tf

layers = keras.layers
DIGIT = (28, 28, 1)
AT_ONCE = 500  # images in one call of a network
DRAWN = {
    "full": "597095f4f0ba11d7135fe054cfc8bb9c392b4feb2eacfffdf9badeb2c7a81d64",
    "lite": "c3c697bf9d0e5a794f37f68d66322de4379024c73e7bb38543407b761cbfd032",
}


def binarise(images, seed):
    """Draw each pixel black or white: its gray value is the probability of white.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    seed : int

    Returns
    -------
    float32 array of shape (n, h, w, c) of 0 and 1

    Examples
    --------
    >>> binarise(np.array([0.0, 1.0]).reshape(1, 1, 2, 1), seed=0).ravel()
    array([0., 1.], dtype=float32)
    """
    images = validation.images(images, "images")
    lot = np.random.default_rng(validation.seed(seed)).random(images.shape, dtype=np.float32)
    return (lot < images).astype(np.float32)


def drawn_digits(mnist):
    """Draw the test images of MNIST in black and white, once, from a fixed seed.

    Parameters
    ----------
    mnist : Dataset

    Returns
    -------
    float32 array of shape (n, 784) of 0 and 1

    Raises
    ------
    RuntimeError
        If the images drawn are others than those that all numbers here are about.

    Examples
    --------
    >>> from helpers import data
    >>> drawn_digits(data.load("mnist", "lite")).shape
    MNIST: 4,000 training and 1,000 test images from data/samples, verified
    (1000, 784)
    """
    digits = binarise(mnist.x_test, seed=0).reshape(len(mnist.x_test), -1)
    found = hashlib.sha256(np.packbits(digits == 1).tobytes()).hexdigest()
    if found != DRAWN[mnist.profile]:
        raise RuntimeError(
            f"the digits drawn have the SHA-256 {found[:12]}…, expected "
            f"{DRAWN[mnist.profile][:12]}…: another NumPy draws other numbers"
        )
    return digits


def train(model, images, optimizer, *, epochs, batch_size=100, seed=None, watch=None):
    """Train a model in place, on images that it need not know the labels of.

    Parameters
    ----------
    model : BetaVAE or GAN
        Its weights are drawn where it is built.
    images : array of shape (n, 28, 28, 1), values in [0, 1]
        Those that fill no batch are left out.
    optimizer : keras.optimizers.Optimizer
    epochs, batch_size : int
    seed : int, optional
        Of the order and of all that is drawn at random. Default: the seed of the session.
    watch : callable ``(epoch, losses)``, optional
        Called after each epoch, counted from 1.

    Returns
    -------
    dict of str to list of float
        Each loss that the model's `train_step` names, over the epochs.

    Raises
    ------
    ValueError
        For arguments that do not fit.
    RuntimeError
        If a loss is no longer a number.

    Examples
    --------
    >>> vae = dense_vae(latent=2, units=8)
    >>> adam = keras.optimizers.Adam(1e-3)
    >>> list(train(vae, np.zeros((8, 28, 28, 1)), adam, epochs=1, batch_size=4, seed=0))
    ['distortion', 'rate']
    """
    images = validation.images(images, "images", DIGIT)
    epochs = validation.whole_number(epochs, "epochs", 1)
    batch_size = validation.whole_number(batch_size, "batch_size", 1, len(images))
    images = images[: len(images) // batch_size * batch_size]
    keras.utils.set_random_seed(session.seed() if seed is None else validation.seed(seed))
    model.compile(optimizer, jit_compile=False)
    steps = epochs * len(images) // batch_size
    with session.progress_bar(steps, "training", delay=1) as bar:
        hooks = [keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **logs: bar.update())]
        if watch is not None:
            after = keras.callbacks.LambdaCallback(on_epoch_end=lambda i, logs: watch(i + 1, logs))
            hooks.append(after)
        history = model.fit(
            images, batch_size=batch_size, epochs=epochs, callbacks=hooks, verbose=0
        ).history
    if not all(np.isfinite(values[-1]) for values in history.values()):
        raise RuntimeError("the training diverged: a smaller learning rate may help")
    return history


# --- variational autoencoders


class BetaVAE(keras.Model):
    r"""A variational autoencoder whose decoder says how probable it is that a pixel is white.

    Its loss is the distortion :math:`-E_{q(z|x)} \log p(x|z)` plus beta times the rate
    :math:`KL(q(z|x) \| p(z))`, both in nats; with beta = 1 that is a bound of -log p(x).

    Parameters
    ----------
    encoder : keras.Model
        Images to 2 * latent numbers: means, and logarithms of variances.
    decoder : keras.Model
        Latent numbers to logits of the pixels.
    beta : float, 0 or more

    References
    ----------
    Kingma and Welling, *Auto-encoding variational Bayes*, ICLR 2014; Higgins et al., *beta-VAE*,
    ICLR 2017.

    Examples
    --------
    >>> dense_vae(latent=2, units=8).draw(3, seed=0).shape
    (3, 28, 28, 1)
    """

    def __init__(self, encoder, decoder, beta=1.0):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.beta = validation.number(beta, "beta", low=0)
        self.latent = decoder.input_shape[1]

    def call(self, images):
        """Redraw images from their means, as gray values."""
        return tf.sigmoid(self.decoder(self.encode(images)[0]))

    def encode(self, images):
        """Return mean and log variance of q(z | x), tensors of shape (n, latent)."""
        return tf.split(self.encoder(images), 2, axis=1)

    def train_step(self, gray):
        """Draw a batch in black and white, and take one step down the loss."""
        x = _by_lot(gray)
        with tf.GradientTape() as tape:
            mean, log_variance = self.encode(x)
            # reparameterised: the noise does not depend on the weights, so gradients pass
            z = mean + tf.exp(log_variance / 2) * tf.random.normal(tf.shape(mean))
            distortion = tf.reduce_mean(_surprise(x, self.decoder(z)))
            each = (mean**2 + tf.exp(log_variance) - log_variance - 1) / 2
            rate = tf.reduce_mean(tf.reduce_sum(each, axis=1))
            loss = distortion + self.beta * rate
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"distortion": distortion, "rate": rate}

    def draw(self, n, seed):
        """Draw n gray images (n, 28, 28, 1): latent numbers from the prior, then the decoder."""
        return self.decode(_normal(n, self.latent, seed))

    def decode(self, z):
        """Return gray images (n, 28, 28, 1) for latent numbers (n, latent)."""
        return tf.sigmoid(_in_parts(self.decoder, z)).numpy()


def dense_vae(latent=20, units=400, beta=1.0):
    """Build a VAE of dense layers.

    Parameters
    ----------
    latent, units : int
    beta : float, 0 or more

    Returns
    -------
    BetaVAE

    Examples
    --------
    >>> dense_vae(latent=20).encoder.output_shape
    (None, 40)
    """
    encoder = [layers.Flatten(), _dense(units), _dense(units), layers.Dense(2 * latent)]
    decoder = [_dense(units), _dense(units), layers.Dense(28 * 28), layers.Reshape(DIGIT)]
    return BetaVAE(_chain(DIGIT, encoder), _chain((latent,), decoder), beta)


def conv_vae(latent=32, filters=16, units=256, beta=1.0):
    """Build a VAE whose outer layers are convolutions with strides.

    Parameters
    ----------
    latent, filters, units : int
    beta : float, 0 or more

    Returns
    -------
    BetaVAE

    Examples
    --------
    >>> conv_vae().decoder.output_shape
    (None, 28, 28, 1)
    """
    encoder = [
        _conv(filters, activation="relu"),
        _conv(2 * filters, activation="relu"),
        layers.Flatten(),
        _dense(units),
        layers.Dense(2 * latent),
    ]
    decoder = [
        _dense(units),
        _dense(7 * 7 * 2 * filters),
        layers.Reshape((7, 7, 2 * filters)),
        _deconv(filters, activation="relu"),
        _deconv(1),
    ]
    return BetaVAE(_chain(DIGIT, encoder), _chain((latent,), decoder), beta)


def importance_bound(vae, images, samples=500, seed=None):
    r"""Bound log p(x) of each image from below, by importance sampling with the encoder.

    The bound is :math:`\log \frac{1}{K} \sum_k p(x|z_k) p(z_k) / q(z_k|x)` with z_k from the
    encoder. On average it is too low, and less so the more samples there are.

    Parameters
    ----------
    vae : BetaVAE
    images : array of shape (n, 28, 28, 1) of 0 and 1
    samples : int
        K; with 1 it is the usual bound, with one draw.
    seed : int, optional
        Default: the seed of the session.

    Returns
    -------
    float array of shape (n,), in nats

    References
    ----------
    Burda, Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016, equation 8.

    Examples
    --------
    >>> vae = dense_vae(latent=2, units=8)
    >>> importance_bound(vae, np.zeros((3, 28, 28, 1)), samples=10, seed=0).shape
    (3,)
    """
    images = validation.images(images, "images", DIGIT)
    samples = validation.whole_number(samples, "samples", 1)
    seed = session.seed() if seed is None else validation.seed(seed)
    bound = np.empty(len(images))
    with session.progress_bar(len(images), "weighing samples", delay=1) as bar:
        for i, image in enumerate(images):
            key = tf.constant([seed, i], tf.int64)
            bound[i] = _log_mean_weight(
                vae.encoder, vae.decoder, tf.constant(image[None]), samples, key
            )
            bar.update()
    return bound


@tf.function(reduce_retracing=True)
def _log_mean_weight(encoder, decoder, image, samples, key):
    mean, log_variance = tf.split(encoder(image), 2, axis=1)
    noise = tf.random.stateless_normal((samples, mean.shape[1]), key)
    z = mean + tf.exp(log_variance / 2) * noise
    # log p(x|z) + log p(z) - log q(z|x); the constants of the two normal densities cancel
    gained = tf.reduce_sum(noise**2 - z**2 + log_variance, axis=1) / 2
    gained -= _surprise(tf.repeat(image, samples, axis=0), decoder(z))
    return tf.reduce_logsumexp(gained) - tf.math.log(float(samples))


def _surprise(x, logits):
    """-log p(x | z) of each image, in nats."""
    each = tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
    return tf.reduce_sum(each, axis=(1, 2, 3))


# --- generative adversarial networks


class GAN(keras.Model):
    """A generator of gray images, and a critic that tells them from real ones.

    The critic gives logits; both losses are cross-entropies, and the generator's does not
    saturate: it makes its images be called real. What draws in the end is a moving average of
    the generator, because the generator itself goes round in circles.

    Parameters
    ----------
    generator : keras.Model
        Latent numbers to gray images.
    critic : keras.Model
        Images to one number each.

    References
    ----------
    Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014; Radford et al., *DCGAN*, ICLR
    2016; Yazici et al., *The unusual effectiveness of averaging in GAN training*, ICLR 2019.

    Examples
    --------
    >>> GAN(build_generator(), build_critic()).draw(3, seed=0).shape
    (3, 28, 28, 1)
    """

    def __init__(self, generator, critic):
        super().__init__()
        self.generator, self.critic = generator, critic
        self.average = keras.models.clone_model(generator)
        self.average.set_weights(generator.get_weights())
        self.latent = generator.input_shape[1]

    def compile(self, optimizer, **settings):
        """Give the critic an optimizer of the same kind."""
        super().compile(optimizer, **settings)
        self.critic_optimizer = type(self.optimizer).from_config(self.optimizer.get_config())

    def train_step(self, real):
        """Move the critic once, and then the generator once."""
        losses = {"critic": self.critic_step(real)}
        return losses | {"generator": self.generator_step(tf.shape(real)[0])}

    def critic_step(self, real):
        """Move the critic; return its loss."""
        fake = self.generator(tf.random.normal((tf.shape(real)[0], self.latent)), training=True)
        with tf.GradientTape() as tape:
            loss = self.critic_loss(real, fake)
        weights = self.critic.trainable_variables
        self.critic_optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    def generator_step(self, n):
        """Move the generator, and its average behind it; return its loss."""
        with tf.GradientTape() as tape:
            fake = self.generator(tf.random.normal((n, self.latent)), training=True)
            loss = self.generator_loss(fake)
        weights = self.generator.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        for slow, now in zip(self.average.weights, self.generator.weights, strict=True):
            slow.assign(0.999 * slow + 0.001 * now)
        return loss

    def critic_loss(self, real, fake):
        """Real images should get large logits, and drawn ones small ones."""
        right, wrong = self.critic(real), self.critic(fake)
        return tf.reduce_mean(tf.nn.softplus(-right)) + tf.reduce_mean(tf.nn.softplus(wrong))

    def generator_loss(self, fake):
        """Drawn images should be called real."""
        return tf.reduce_mean(tf.nn.softplus(-self.critic(fake)))

    def draw(self, n, seed):
        """Draw n gray images (n, 28, 28, 1)."""
        return _in_parts(self.average, _normal(n, self.latent, seed)).numpy()


class WassersteinGAN(GAN):
    """A GAN whose critic measures how far drawn images lie from real ones (WGAN-GP).

    The critic may rise by 1 at most for each unit of distance, so the difference of its two means
    is a lower bound of the Wasserstein distance. A penalty on its slope, between real and drawn
    images, sees to that.

    Parameters
    ----------
    generator, critic : as in `GAN`
    critic_steps : int
        Steps of the critic for each one of the generator; a batch is cut into as many parts.
    penalty : float, 0 or more

    References
    ----------
    Gulrajani et al., *Improved training of Wasserstein GANs*, NeurIPS 2017.

    Examples
    --------
    >>> WassersteinGAN(build_generator(), build_critic()).draw(3, seed=0).shape
    (3, 28, 28, 1)
    """

    def __init__(self, generator, critic, critic_steps=3, penalty=10.0):
        super().__init__(generator, critic)
        self.critic_steps = validation.whole_number(critic_steps, "critic_steps", 1)
        self.penalty = validation.number(penalty, "penalty", low=0)

    def train_step(self, real):
        """Move the critic some times, on parts of the batch, and then the generator once."""
        for part in tf.split(real, self.critic_steps):
            loss = self.critic_step(part)
        return {"critic": loss, "generator": self.generator_step(tf.shape(part)[0])}

    def critic_loss(self, real, fake):
        """Drawn minus real, and ten times the squared error of a slope of 1."""
        between = real + tf.random.uniform((tf.shape(real)[0], 1, 1, 1)) * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            value = self.critic(between)
        squares = tf.reduce_sum(tape.gradient(value, between) ** 2, axis=(1, 2, 3))
        slope = tf.sqrt(squares + 1e-12)
        apart = tf.reduce_mean(self.critic(fake)) - tf.reduce_mean(self.critic(real))
        return apart + self.penalty * tf.reduce_mean((slope - 1) ** 2)

    def generator_loss(self, fake):
        """Drawn images should get large numbers."""
        return -tf.reduce_mean(self.critic(fake))


def build_generator(latent=64, filters=16):
    """Build a generator: a dense layer, then two transposed convolutions; it ends in gray values.

    Parameters
    ----------
    latent, filters : int

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> build_generator().output_shape
    (None, 28, 28, 1)
    """
    chain = [
        layers.Dense(7 * 7 * 2 * filters, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Reshape((7, 7, 2 * filters)),
        _deconv(filters, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        _deconv(1, activation="sigmoid"),
    ]
    return _chain((latent,), chain)


def build_critic(filters=16):
    """Build a critic: two convolutions with strides, and one number for each image.

    It has no batch normalisation, so that an image's number is its own.

    Parameters
    ----------
    filters : int

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> build_critic().output_shape
    (None, 1)
    """
    leaky = {"negative_slope": 0.2}
    chain = [
        _conv(filters),
        layers.LeakyReLU(**leaky),
        _conv(2 * filters),
        layers.LeakyReLU(**leaky),
        layers.Flatten(),
        layers.Dense(1),
    ]
    return _chain(DIGIT, chain)


# --- scores


def features(network, images):
    """Return what the last hidden layer of a classifier makes of images.

    Parameters
    ----------
    network : keras.Model
        Made of one layer after the other; the last one gives the classes.
    images : array of shape (n, h, w, c), values in [0, 1]

    Returns
    -------
    float32 array of shape (n, units)

    Examples
    --------
    >>> inputs = keras.Input((2, 2, 1))
    >>> hidden = layers.Dense(3)(layers.Flatten()(inputs))
    >>> network = keras.Model(inputs, layers.Dense(10, activation="softmax")(hidden))
    >>> features(network, np.zeros((5, 2, 2, 1))).shape
    (5, 3)
    """
    images = validation.images_for(network, images, "images")
    return _in_parts(keras.Model(network.input, network.layers[-2].output), images).numpy()


def frechet_distance(a, b):
    r"""Squared Fréchet distance between two clouds of features, taken for normal distributions.

    It is :math:`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^{1/2})`. With the features of the
    Inception network it is called FID; with another network the numbers are others, and only
    those of one network can be compared. The fewer the images, the larger it comes out.

    Parameters
    ----------
    a : array of shape (n, features)
    b : array of shape (m, features)

    Returns
    -------
    float, 0 or more

    References
    ----------
    Dowson and Landau, Journal of Multivariate Analysis 12, 1982; Heusel et al., NeurIPS 2017.

    Examples
    --------
    >>> a = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet_distance(a, a + [1, 2, 0]), 6)  # the same cloud, moved
    5.0
    """
    a, b = _table(a, "a"), _table(b, "b")
    apart = a.mean(axis=0) - b.mean(axis=0)
    spread_a, spread_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # the root of a product of two covariances has the trace of a root that is symmetric
    values, vectors = np.linalg.eigh(spread_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ spread_b @ root).clip(0)).sum()
    return float(max(0, apart @ apart + np.trace(spread_a) + np.trace(spread_b) - 2 * common))


def precision_recall(real, drawn, k=3):
    """Share of drawn images among the real ones, and of real images among the drawn ones.

    An image lies among others if it is no further from one of them than that one is from its
    k-th nearest neighbour. Precision falls where images are bad, recall where some are missing.

    Parameters
    ----------
    real : array of shape (n, features)
    drawn : array of shape (m, features)
    k : int, at least 1

    Returns
    -------
    precision, recall : float from 0 to 1

    References
    ----------
    Kynkäänniemi et al., *Improved precision and recall metric for assessing generative models*,
    NeurIPS 2019.

    Examples
    --------
    >>> real = np.array([[0.0], [1], [10], [11]])
    >>> precision_recall(real, np.array([[0.4], [0.5], [1.2]]), k=1)  # all good, most are missing
    (1.0, 0.25)
    """
    real, drawn = _table(real, "real"), _table(drawn, "drawn")
    k = validation.whole_number(k, "k", 1, min(len(real), len(drawn)) - 1)
    apart = cdist(real, drawn)
    among_real = apart <= _reach(real, k)[:, None]
    among_drawn = apart <= _reach(drawn, k)
    return float(among_real.any(axis=0).mean()), float(among_drawn.any(axis=1).mean())


def _reach(points, k):
    """Distance of each point to its k-th nearest neighbour; it is its own nearest one."""
    return np.partition(cdist(points, points), k, axis=1)[:, k]


# --- parts


def _dense(units):
    return layers.Dense(units, activation="relu")


def _conv(filters, **settings):
    return layers.Conv2D(filters, 4, strides=2, padding="same", **settings)


def _deconv(filters, **settings):
    return layers.Conv2DTranspose(filters, 4, strides=2, padding="same", **settings)


def _chain(shape, parts):
    return keras.Sequential([keras.Input(shape), *parts])


def _by_lot(p):
    return tf.cast(tf.random.uniform(tf.shape(p)) < p, tf.float32)


def _normal(n, latent, seed):
    n = validation.whole_number(n, "n", 1)
    rng = np.random.default_rng(validation.seed(seed))
    return rng.standard_normal((n, latent), dtype=np.float32)


def _in_parts(network, x):
    return tf.concat([network(x[i : i + AT_ONCE]) for i in range(0, len(x), AT_ONCE)], axis=0)


def _table(values, name):
    values = np.asarray(values, float)
    if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be finite numbers of shape (n, features), n >= 2, not {values.shape}"
        )
    return values
