"""What a run is: one frozen record, the named ones among them, and how to read one from a file."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from trainer.refusal import RefusedError

type Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
type Schedule = Literal["constant", "cosine"]


_RULES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("epochs", "batch", "save_every_steps", "keep", "log_every"), lambda value: value >= 1, "at least 1"),
    (("threads", "patience"), lambda value: value >= 0, "at least 0"),
    (("image_size",), lambda value: value >= 8, "at least 8"),
    (("learning_rate", "save_every_seconds"), lambda value: 0 < value < math.inf, "a number above 0"),
    (("dropout",), lambda value: 0 <= value < 1, "at least 0 and less than 1"),
    (("seed",), lambda value: 0 <= value < 2**32, "from 0 to 4294967295"),
)
_LEAST_SIDE = {"mobilenet_v3_small": 32}
"""Pixels; what Keras accepts."""


class ConfigError(RefusedError):
    """A configuration that cannot be used; the message names the field and the rule."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that decides the numbers of a run, and how it is kept safe. Its digest goes into every checkpoint."""

    name: str
    data: str = "silhouettes"
    """`silhouettes` (in the package), `tfds:<name>` (of TensorFlow Datasets, by `trainer.prepare`), or a folder
    `<data>/{train,test}/<label>/*.png|jpg`. Another path is no other run: the data's own digest is compared."""
    model: Literal["small_cnn", "mobilenet_v3_small"] = "mobilenet_v3_small"
    image_size: int = 96
    """Pixels of a side; images are resized to it."""
    augment: bool = True
    epochs: int = 5
    batch: int = 32
    """Samples of a step, over all workers."""
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    dropout: float = 0.2
    patience: int = 0
    """Epochs without a better validation loss after which the run ends; 0: never."""
    seed: int = 1
    precision: Precision = "float32"
    xla: bool = False
    threads: int = 0
    """Threads of an operation; 0: one for each core. Another number gives other bits, so a run that moves between
    machines of different sizes should set it."""
    save_every_steps: int = 200
    """Most steps that a kill without notice can cost."""
    save_every_seconds: float = 30.0
    """Most seconds between two checkpoints: with 501 variables a save blocks for some 10 ms, far below 1 % of this."""
    keep: int = 3
    """Newest checkpoints that are kept, besides the best one."""
    log_every: int = 10
    """Steps between two points in TensorBoard and two progress lines."""

    def __post_init__(self) -> None:
        for names, holds, rule in _RULES:
            for name in names:
                if not holds(getattr(self, name)):
                    raise ConfigError(f"{self.name}: {name} must be {rule}, not {getattr(self, name)}")
        _check_choices(self)
        least = _LEAST_SIDE.get(self.model, 0)
        if self.image_size < least:
            raise ConfigError(
                f"{self.name}: image_size must be at least {least} for {self.model}, not {self.image_size}"
            )

    def as_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    def decides(self) -> dict[str, Any]:
        """The part that decides the numbers: what a resumed run must share with the one that it continues."""
        free = {"save_every_steps", "save_every_seconds", "keep", "log_every", "name"}
        free |= {
            "threads",
            "data",
        }  # the fingerprint has the one, a digest the other: a mount's path differs every time
        return {name: value for name, value in self.as_json().items() if name not in free}


def _check_choices(config: Config) -> None:
    for name, hint in get_type_hints(Config).items():
        choices = get_args(getattr(hint, "__value__", hint))
        if choices and getattr(config, name) not in choices:
            raise ConfigError(
                f"{config.name}: {name} must be one of {', '.join(choices)}, not {getattr(config, name)!r}"
            )


QUICKTEST = Config(
    name="QUICKTEST", model="small_cnn", image_size=28, epochs=4, batch=32, learning_rate=3e-3, dropout=0.1,
    save_every_steps=40, save_every_seconds=5.0,
)  # fmt: skip
"""The whole way in seconds, on data that is in the package: silhouettes of four animals, 1280 to train on, 320 to test.

`python -m trainer --config QUICKTEST --workdir /tmp/quicktest` ends within 30 s on two cores; test accuracy 0.94 (about,
other processors round otherwise).
"""

HORSES_OR_HUMANS = Config(name="HORSES_OR_HUMANS", data="tfds:horses_or_humans", epochs=10, patience=4)
"""MobileNetV3Small from random weights on TensorFlow's horses_or_humans, 1027 images to train on and 256 to test.

`python -m trainer.prepare horses_or_humans` once, then `python -m trainer --config HORSES_OR_HUMANS --workdir ...`.

Expected: a test accuracy from 0.8 to 0.95. Published reports on this set say 0.867 (sirpaulmcd/Horse-Or-Human-CNN: a small
network from random weights, 64 pixels), 0.910 (FITI-HCITA/VA8801_Model_Zoo: MobileNetV2, 224 pixels, 8 bits) and more than 0.95
(Arazsh/Horse-vs.-Human-Classification: VGG19 trained on ImageNet). Unverified: the set could not be downloaded where this was
written. Measured with the packaged silhouettes in its place (`--set data=silhouettes`: 1280 images of four labels): 0.956 after
ten epochs, in a minute and a half on two cores.
"""

NAMED = {config.name: config for config in (QUICKTEST, HORSES_OR_HUMANS)}


def load_config(name_or_file: str) -> Config:
    """A named configuration, or a TOML or JSON file; a file may begin from a named one with `base = "QUICKTEST"`."""
    if named := NAMED.get(name_or_file.upper()):
        return named
    path = Path(name_or_file)
    if not path.is_file():
        raise ConfigError(f"{name_or_file}: neither a file nor one of {', '.join(NAMED)}")
    try:
        values = json.loads(path.read_text()) if path.suffix == ".json" else tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:  # both parsers' errors, and that of text which is none, are ValueErrors
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be an object of fields and values")
    return from_values(values, default_name=path.stem)


def changed(config: Config, assignments: list[str]) -> Config:
    """With fields set from `name=value`; the value is TOML, or plain text where the field is text."""
    values = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        is_text = isinstance(getattr(config, name, ""), str)
        try:
            values[name] = text if is_text else tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{assignment}: {error}") from error
    return _replaced(config, values)


def from_values(values: dict[str, Any], default_name: str) -> Config:
    """A configuration from plain values; an unknown name or a value of another type is refused."""
    values = dict(values)
    base = values.pop("base", None)
    start = Config(name=default_name) if base is None else NAMED.get(str(base).upper())
    if start is None:
        raise ConfigError(f"{default_name}: base {base!r} is not one of {', '.join(NAMED)}")
    return _replaced(start, {"name": default_name} | values)


def _replaced(start: Config, values: dict[str, Any]) -> Config:
    known = {field.name: type(getattr(start, field.name)) for field in dataclasses.fields(Config)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"{start.name}: unknown field {name!r}; known: {', '.join(known)}")
        if type(value) is not known[name] and not (known[name] is float and type(value) is int):
            raise ConfigError(f"{start.name}: {name} must be {known[name].__name__}, not {value!r}")
    return dataclasses.replace(start, **values)
