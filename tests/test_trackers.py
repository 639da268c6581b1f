"""Curves: every step once in every tracker, however often a training was killed; numbers alone; and never a reason
for a training to fail."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import make_records
from exports import Run, train_tiny
from hypothesis import given
from hypothesis import strategies as st

from engine import other_trackers, trackers
from engine import train as train_module
from engine.event_file import EventFile, checksum, crc32c, varint
from engine.metrics import read_lines
from engine.settings import TrainConfig
from engine.trackers import Tracked, read_ids

Points = dict[int, dict[str, float]]
"""Values by step and tag."""


# ---- event files, read back by other means --------------------------------------------------------


def records_of(path: Path) -> Iterator[bytes]:
    """The contents, their frames checked."""
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        content = data[12 : 12 + length]
        assert data[8:12] == checksum(data[:8])
        assert data[12 + length : 16 + length] == checksum(content)
        yield content
        data = data[16 + length :]


def fields_of(message: bytes) -> list[tuple[int, Any]]:
    """(number, value) of a protocol buffer."""
    found = []
    while message:
        tag, message = read_varint(message)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, message = read_varint(message)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, message = read_varint(message)
            value, message = message[:size], message[size:]
        found.append((number, value))
    return found


def read_varint(data: bytes) -> tuple[int, bytes]:
    value, shift = 0, 0
    for place, byte in enumerate(data):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, data[place + 1 :]
    raise AssertionError("torn")


def points_of(folder: Path) -> Points:
    """What a reader shows: a session that starts takes back what was said of its steps and later ones."""
    shown: Points = {}
    for path in sorted(folder.iterdir()):
        for record in records_of(path):
            event = dict(fields_of(record))
            step = event.get(2, 0)
            if 7 in event:
                shown = {number: values for number, values in shown.items() if number < step}
            if 5 in event:
                values = [dict(fields_of(value)) for _, value in fields_of(event[5])]
                assert step not in shown, "a step is there twice"
                shown[step] = {v[1].decode(): struct.unpack("<f", v[2])[0] for v in values}
    return shown


def test_the_checksum_is_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


@given(st.integers(0, 2**63 - 1))
def test_whole_numbers_read_back(number: int) -> None:
    assert read_varint(varint(number) + b"rest") == (number, b"rest")


# ---- trainings ------------------------------------------------------------------------------------


class KilledError(BaseException):
    """Ends a training from within, as nothing else would."""


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    real = train_module.train_step

    def arm(steps: int | None) -> None:
        taken: list[int] = []

        def step(*args: Any) -> Any:
            if len(taken) == steps:
                raise KilledError
            taken.append(1)
            return real(*args)

        monkeypatch.setattr(train_module, "train_step", step)

    return arm


class Listener:
    """A tracker that remembers what it was told, over all attempts."""

    def __init__(
        self, said: list[tuple[int, dict[str, float]]], fails_at: int | None = None
    ) -> None:
        self.said, self.fails_at = said, fails_at
        self.opened: list[tuple[Tracked, str | None]] = []

    def __call__(self, tracked: Tracked, known: str | None) -> Listener:
        self.opened.append((tracked, known))
        self.id = known or "first-id"
        return self

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise RuntimeError("no route to host\nand more")
        self.said.append((step, dict(figures)))

    def close(self, failed: bool) -> None:
        self.said.append((-1, {"failed": float(failed)}))


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    heard = Listener([])
    monkeypatch.setattr(other_trackers, "OPENERS", {"wandb": heard, "mlflow": heard})
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    return heard


def trained(tmp_path: Path, student: Path, **changes: Any) -> Run:
    return train_tiny(tmp_path, student, make_records(12), **changes)


def test_killed_and_resumed_every_curve_has_every_step_once(
    tmp_path: Path,
    tiny_student: Path,
    kill_after: Callable[[int | None], None],
    listener: Listener,
) -> None:
    """Seven steps, a checkpoint every three; killed in the sixth, and in the second after that."""
    settings = {"epochs": 3.5, "report_to": ("tensorboard", "wandb")}
    for steps in (5, 1, None):
        kill_after(steps)
        if steps is None:
            run = trained(tmp_path, tiny_student, **settings)
        else:
            with pytest.raises(KilledError):
                trained(tmp_path, tiny_student, **settings)
    lines = read_lines(run.folder / "metrics.jsonl")
    points = points_of(run.folder / "tensorboard")
    assert sorted(points) == [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    for line in lines:
        for name in ("loss", "grad_norm", "learning_rate", "tokens"):
            assert points[line["step"]][f"train/{name}"] == pytest.approx(line[name], rel=1e-6)
    assert [step for step, _ in listener.said if step > 0] == [1, 2, 3, 4, 5, 6, 7]
    assert [known for _, known in listener.opened] == [None, "first-id", "first-id"]
    assert read_ids(run.folder) == {"tensorboard": "tensorboard", "wandb": "first-id"}
    assert len(list((run.folder / "tensorboard").iterdir())) == 3


def test_a_real_reader_shows_the_same(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for attempt, (first, last) in enumerate([(0, 5), (3, 6)], start=1):
        events = EventFile(tmp_path, attempt, first)
        for step in range(first + 1, last + 1):
            events.write(step, {"train/loss": attempt + step / 8})
        events.close(False)
    shown = reader.EventAccumulator(str(tmp_path)).Reload().Scalars("train/loss")
    expected = [(1, 1.125), (2, 1.25), (3, 1.375), (4, 2.5), (5, 2.625), (6, 2.75)]
    assert [(event.step, event.value) for event in shown] == expected


def test_a_tracker_that_is_asked_for_later_hears_of_the_steps_before(
    tmp_path: Path,
    tiny_student: Path,
    kill_after: Callable[[int | None], None],
    listener: Listener,
) -> None:
    kill_after(3)
    with pytest.raises(KilledError):
        trained(tmp_path, tiny_student, report_to=())
    assert not listener.opened
    kill_after(None)
    trained(tmp_path, tiny_student, report_to=("mlflow",))
    assert [step for step, _ in listener.said] == [1, 2, 3, 4, -1]


def test_a_failing_tracker_is_left_out_with_a_word_and_the_training_goes_on(
    tmp_path: Path, tiny_student: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    listener.fails_at = 2
    run = trained(tmp_path, tiny_student, report_to=("wandb", "tensorboard"))
    assert (run.folder / "summary.json").exists()
    assert [step for step, _ in listener.said] == [1]
    assert sorted(points_of(run.folder / "tensorboard")) == [1, 2, 3, 4]
    said = capsys.readouterr().out
    assert said.count("report_to: wandb failed and is left out: no route to host\n") == 1


def test_trackers_get_numbers_and_settings_and_no_text_of_the_data(
    tmp_path: Path, tiny_student: Path, listener: Listener
) -> None:
    run = trained(tmp_path, tiny_student, report_to=("tensorboard", "wandb"))
    figures = {name for _, values in listener.said for name in values} - {"failed"}
    assert {"train/loss", "train/grad_norm"} <= figures
    assert all(type(value) is float for _, values in listener.said for value in values.values())
    (tracked, _), written = listener.opened[0], b""
    for path in (run.folder / "tensorboard").iterdir():
        written += path.read_bytes()
    told = str(other_trackers.plain_settings(tracked)).encode() + written
    assert b"train.batch_size" in told
    for word in (b"What is", b"I think", b"sum is off"):
        assert word not in told


def test_settings_for_trackers_hold_no_secret() -> None:
    settings = {"teacher": {"base_url": "https://me:pass@host/v1"}, "train": {"batch_size": 4}}
    tracked = Tracked.__new__(Tracked)
    object.__setattr__(tracked, "attempt", type("Attempt", (), {"settings": settings}))
    assert other_trackers.plain_settings(tracked) == {
        "teacher.base_url": "https://***@host/v1",
        "train.batch_size": 4,
    }


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_loaded(
    tmp_path: Path, tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"train\.report_to: trackio is not installed; `pip install"
    ):
        trained(tmp_path, tiny_student, report_to=("tensorboard", "trackio"))
    assert not (tmp_path / "run" / "train").exists()


def test_an_unknown_tracker_is_a_mistake_and_none_is_fine(
    tmp_path: Path, tiny_student: Path
) -> None:
    with pytest.raises(
        ValueError, match=r"train\.report_to: 'tensorbord' is none of tensorboard, "
    ):
        TrainConfig(report_to=("tensorbord",))
    run = trained(tmp_path, tiny_student, report_to=(), max_steps=1)
    assert not (run.folder / "tensorboard").exists()
    assert not (run.folder / "trackers.json").exists()
