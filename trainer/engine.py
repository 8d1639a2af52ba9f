"""The computation: model, optimizer and running totals under a distribution strategy; one step, one evaluation, one snapshot."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer import workers
from trainer.checkpoint import Arrays
from trainer.config import Config
from trainer.datasets import Data
from trainer.models import build_model, build_optimizer
from trainer.order import Order
from trainer.refusal import RefusedError
from trainer.stream import Share, test_batches, training_batches

type Totals = Mapping[str, float]


def prepare_process(config: Config) -> None:
    """Before anything is computed: determinism, threads, precision. Once in a process."""
    tf.config.experimental.enable_op_determinism()
    threads = config.threads or len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.config.set_dtype_policy(config.precision)


def choose_strategy() -> Any:
    """Several workers when TF_CONFIG names them (Azure ML sets it), several GPUs of one machine, or one device."""
    if workers.count() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


class Engine:
    """Everything that a checkpoint must hold is a variable of this object, in a fixed order."""

    def __init__(self, config: Config, data: Data, strategy: Any) -> None:
        self.config, self.data, self.strategy = config, data, strategy
        self.workers = workers.count()
        """Processes that share each batch."""
        self.order = Order(len(data.train), config.batch, config.seed)
        self.total_steps = self.order.steps_per_epoch * config.epochs
        with strategy.scope():
            self.model = build_model(config, len(data.label_names))
            self.optimizer = build_optimizer(config, self.total_steps)
            self.optimizer.build(self.model.trainable_variables)
            if config.precision == "mixed_float16":
                self.optimizer.scale_loss(tf.constant(0.0))  # the loss scale's own variables exist from here on
        self._totals = tf.Variable(np.zeros(3), dtype=tf.float64, name="totals")
        self.variables = self._named_variables()
        # Nothing here branches on a tensor, and rewriting the code for that would be a third of the way to the first step.
        self._gradients = tf.function(self._forward_and_back, jit_compile=config.xla, autograph=False)
        self._step = tf.function(self._train_step, autograph=False)
        self._judge = tf.function(self._test_step, autograph=False)

    # -- Training and testing

    def batches(self, start: int) -> Any:
        """This worker's part of the global batches from step `start` on."""
        data, config = self.data, self.config

        def build(context: Any) -> Any:
            share = self._share(context)
            return training_batches(data.train, self.order, share, start, self.total_steps, augment=config.augment)

        return iter(self.strategy.distribute_datasets_from_function(build))

    def step(self, batch: Any, *, leaving: bool = False) -> bool:
        """One step over the global batch: weights, optimizer, batch statistics, dropout seeds and totals move on.

        True when a worker said that it leaves: all of them hear it in the same step, so all stop at the same one.
        """
        told = self._step(*batch, tf.constant(float(leaving)))
        return bool(told.numpy() > 0) if self.workers > 1 else leaving

    def agreed(self, number: int) -> bool:
        """Whether every worker has the same number; they all ask at the same time."""

        def replica() -> Any:
            return tf.constant(float(number), tf.float64)

        parts = self.strategy.run(tf.function(replica, autograph=False))
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)
        return bool(float(total) == float(number) * self.strategy.num_replicas_in_sync)

    def totals(self, *, reset: bool = False) -> Totals:
        """Mean loss and accuracy since the last reset."""
        values = _means(self._totals.numpy())
        if reset:
            self._totals.assign(np.zeros(3))
        return values

    def evaluate(self, should_stop: Callable[[], bool] = lambda: False) -> Totals | None:
        """Mean loss and accuracy over the test samples, each once; None when it was told to stop."""
        sums = np.zeros(3)
        batches = self.strategy.distribute_datasets_from_function(
            lambda context: test_batches(self.data.test, self.config.batch, self._share(context))
        )
        for batch in batches:
            if should_stop():
                return None
            sums += self._judge(*batch).numpy()
        return _means(sums)

    def _share(self, context: Any) -> Share:
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        return Share(context.input_pipeline_id * replicas, replicas, context.num_replicas_in_sync)

    def _train_step(self, images: Any, labels: Any, leaving: Any) -> Any:
        parts, told, statistics = self.strategy.run(self._replica_step, args=(images, labels, leaving))
        self._average_statistics(statistics)
        self._totals.assign_add(self.strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, told, axis=None)

    def _replica_step(self, images: Any, labels: Any, leaving: Any) -> tuple[Any, Any, Any]:
        gradients, sums = self._gradients(images, labels)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return sums, leaving, self._statistics()

    def _shared(self) -> list[Any]:
        """What every replica computes for its own part of the batch: batch statistics; none where there is one replica."""
        if self.strategy.num_replicas_in_sync == 1:
            return []
        return [each for each in self.model.non_trainable_variables if each.dtype.startswith("float")]

    def _statistics(self) -> Any:
        return tf.concat([tf.zeros(1), *(tf.reshape(each.value, [-1]) for each in self._shared())], axis=0)

    def _average_statistics(self, statistics: Any) -> None:
        """Keras leaves each replica its own batch statistics; a checkpoint holds one state, so they are averaged."""
        if not self._shared():
            return
        mean = self.strategy.reduce(tf.distribute.ReduceOp.MEAN, statistics, axis=None)
        sizes = [1, *(int(np.prod(each.shape)) for each in self._shared())]
        for variable, part in zip(self._shared(), tf.split(mean, sizes)[1:], strict=True):
            variable.value.assign(tf.reshape(part, variable.shape))

    def _forward_and_back(self, images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = self.optimizer.scale_loss(tf.reduce_sum(losses) / self.config.batch)
        return tape.gradient(loss, self.model.trainable_variables), _sums(losses, logits, labels, tf.ones_like(losses))

    def _test_step(self, images: Any, labels: Any, weights: Any) -> Any:
        def replica(images: Any, labels: Any, weights: Any) -> Any:
            logits = self.model(images, training=False)
            return _sums(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), logits, labels, weights)

        parts = self.strategy.run(replica, args=(images, labels, weights))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

    # -- State

    def snapshot(self) -> Callable[[], Arrays]:
        """Pin the state now; the returned call fetches it, from any thread, while training goes on.

        Reading a variable hands out its buffer; an update of a variable whose buffer is handed out goes to a new one.
        """
        pinned = {
            name: tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)
            for name, variable in self.variables.items()
        }
        return lambda: {name: tensor.numpy() for name, tensor in pinned.items()}

    def restore(self, arrays: Arrays) -> None:
        """Every variable, exactly; refuses arrays of another model."""
        expected = {name: tuple(variable.shape) for name, variable in self.variables.items()}
        given = {name: tuple(array.shape) for name, array in arrays.items()}
        if expected != given:
            raise RefusedError("the checkpoint is of another model; start in another work directory")
        for name, variable in self._whole_variables():
            variable.assign(arrays[name])

    def _named_variables(self) -> dict[str, Any]:
        """One component of each variable: what a strategy mirrors is the same in all of them."""
        return {name: getattr(variable, "values", (variable,))[0] for name, variable in self._whole_variables()}

    def _whole_variables(self) -> list[tuple[str, Any]]:
        named = [(f"model/{number:04d}/{each.path}", each.value) for number, each in enumerate(self.model.variables)]
        named += [
            (f"optimizer/{number:04d}/{each.path}", each.value) for number, each in enumerate(self.optimizer.variables)
        ]
        return [*named, ("totals", self._totals)]


def _sums(losses: Any, logits: Any, labels: Any, weights: Any) -> Any:
    """Loss, hits and samples, as sums that can be added up over replicas and steps."""
    hits = tf.cast(tf.equal(tf.argmax(logits, axis=-1), labels), tf.float32)
    return tf.cast(
        tf.stack([tf.reduce_sum(losses * weights), tf.reduce_sum(hits * weights), tf.reduce_sum(weights)]), tf.float64
    )


def _means(sums: Any) -> Totals:
    count = max(1.0, float(sums[2]))
    return {"loss": float(sums[0]) / count, "accuracy": float(sums[1]) / count}
