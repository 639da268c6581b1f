"""Claims: what goes to vLLM's engine and in which order, what comes back, and when the engine is there.

A stand-in engine takes vLLM's place; `test_vllm_engine.py` asks the real one, where it is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datagen import vllm_devices, vllm_engine, vllm_generator, vllm_session
from datagen.backends import TeacherConfig, make_generator
from datagen.chat_tokens import load_tokenizer, tokenise
from datagen.generators import Completion, Failure, Outcome, Request, Sampling
from datagen.transformers_generator import TransformersGenerator
from datagen.vllm_devices import cores_of_worker
from datagen.vllm_engine import Ended, EngineSettings, Order, Refused, ended, start_engine
from datagen.vllm_generator import VLLMGenerator
from datagen.vllm_session import SharedClock, VLLMSession

SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_tokens=24)


class StandIn:
    """An engine that ends the most urgent two requests with every step."""

    max_model_len = 200

    def __init__(self, reason: str = "stop") -> None:
        self.orders: list[Order] = []
        self.unfinished: list[Order] = []
        self.abandoned: list[int] = []
        self.is_closed = False
        self.reason = reason

    def add(self, order: Order) -> None:
        self.orders.append(order)
        self.unfinished.append(order)

    def step(self) -> list[Ended]:
        assert self.unfinished, "vLLM would wait for ever"
        self.unfinished.sort(key=lambda order: order.priority)
        now, self.unfinished = self.unfinished[:2], self.unfinished[2:]
        return [Ended(o.ticket, f"text {o.ticket}", self.reason, len(o.prompt), 5, 3) for o in now]

    def abandon(self, tickets: Iterable[int]) -> None:
        self.abandoned += tickets

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def tokenizer(tiny_student: Path) -> Any:
    return load_tokenizer(tiny_student, "tiny", None)


@pytest.fixture
def engine(tiny_student: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The engine that every generator of the test gets."""
    engine = StandIn()
    monkeypatch.setattr(vllm_generator, "start_engine", lambda settings: engine)
    monkeypatch.setattr(vllm_generator, "require_vllm", lambda: None)
    return engine


def session_on(engine: StandIn, tokenizer: Any) -> VLLMSession:
    return VLLMSession(tokenizer, lambda: engine, engine.close)


def request(words: int, name: str = "r", seed: int = 7) -> Request:
    return Request(name, ({"role": "user", "content": "so " * words},), seed)


def collect_all(session: VLLMSession, count: int) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    while len(found) < count:
        outcomes = session.collect(timeout=1.0)
        assert outcomes
        found |= dict(outcomes)
    return found


def test_all_that_is_submitted_goes_to_the_engine_before_its_first_step(tokenizer: Any) -> None:
    engine = StandIn()
    session = session_on(engine, tokenizer)
    for ticket in range(50):
        session.submit(ticket, request(ticket % 7), SAMPLING)
    assert not engine.orders
    session.collect(timeout=1.0)
    assert {order.ticket for order in engine.orders} == set(range(50))


def test_the_engine_gets_the_tokens_the_sampling_and_the_seed(tokenizer: Any) -> None:
    engine = StandIn()
    session = session_on(engine, tokenizer)
    session.submit(4, request(3, seed=99), SAMPLING)
    session.collect(timeout=1.0)
    ids = tokenise(tokenizer, request(3).messages)
    assert engine.orders == [Order(4, ids, SAMPLING, 99)]


def test_long_prompts_go_first_within_a_window_and_windows_in_their_order(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_session, "WINDOW", 4)
    engine = StandIn()
    session = session_on(engine, tokenizer)
    for ticket, words in enumerate([1, 9, 1, 5, 2, 8]):
        session.submit(ticket, request(words), SAMPLING)
    collect_all(session, 6)
    assert [order.ticket for order in engine.orders] == [1, 3, 0, 2, 5, 4]


def test_a_chat_that_goes_on_overtakes_new_ones(tokenizer: Any) -> None:
    engine = StandIn()
    session = session_on(engine, tokenizer)
    for ticket in range(8):
        session.submit(ticket, request(2), SAMPLING)
    [(first, _), *_] = session.collect(timeout=1.0)
    answer = {"role": "assistant", "content": f"text {first}"}
    again = (*request(2).messages, answer, {"role": "user", "content": "Refine it."})
    session.submit(100, Request("r", again, seed=1), SAMPLING)
    assert 100 in dict(session.collect(timeout=1.0))


def test_what_does_not_fit_fails_alone(tokenizer: Any) -> None:
    engine = StandIn()
    session = session_on(engine, tokenizer)
    length = len(tokenise(tokenizer, request(20).messages))
    fits = replace(SAMPLING, max_tokens=engine.max_model_len - length)
    session.submit(0, request(20), fits)
    session.submit(1, request(20), replace(fits, max_tokens=fits.max_tokens + 1))
    session.submit(2, request(2), SAMPLING)
    found = collect_all(session, 3)
    assert [type(found[ticket]) for ticket in range(3)] == [Completion, Failure, Completion]
    failure = found[1]
    assert isinstance(failure, Failure)
    assert failure.kind == "too long"
    assert f"takes {length} tokens" in failure.message
    assert "200 positions" in failure.message


def test_what_the_engine_refuses_fails_alone(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = StandIn()
    add = engine.add

    def refuse_one(order: Order) -> None:
        if order.ticket == 1:
            raise Refused("token 999 is none")
        add(order)

    monkeypatch.setattr(engine, "add", refuse_one)
    session = session_on(engine, tokenizer)
    for ticket in range(3):
        session.submit(ticket, request(2), SAMPLING)
    found = collect_all(session, 3)
    assert found[1] == Failure("refused", "vLLM does not take the request: token 999 is none")
    assert isinstance(found[0], Completion)


def test_a_completion_says_what_the_engine_said(tokenizer: Any) -> None:
    session = session_on(StandIn("length"), tokenizer)
    session.submit(3, request(2), SAMPLING)
    [(ticket, outcome)] = session.collect(timeout=1.0)
    assert isinstance(outcome, Completion)
    num_prompt = len(tokenise(tokenizer, request(2).messages))
    seconds = outcome.seconds
    assert (ticket, outcome) == (3, Completion("text 3", "length", num_prompt, 5, seconds, 3))


def test_a_text_that_the_engine_gave_up_is_a_failure(tokenizer: Any) -> None:
    session = session_on(StandIn("abort"), tokenizer)
    session.submit(0, request(2), SAMPLING)
    assert session.collect(timeout=1.0) == [(0, Failure("server", "vLLM gave the text up: abort"))]


def test_what_is_done_is_not_written_and_starts_no_engine(tokenizer: Any) -> None:
    session = VLLMSession(tokenizer, lambda: pytest.fail("started"), lambda: None)
    session.submit(0, request(2), SAMPLING, done=True)
    assert session.collect(timeout=1.0) == []
    session.close()


def test_nothing_to_wait_for_returns_at_once(tokenizer: Any) -> None:
    engine = StandIn()
    session = session_on(engine, tokenizer)
    session.submit(0, request(2), SAMPLING)
    collect_all(session, 1)
    assert session.collect(timeout=60.0) == []


def test_waiting_ends_with_the_timeout(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = StandIn()
    monkeypatch.setattr(engine, "step", lambda: [])
    session = session_on(engine, tokenizer)
    session.submit(0, request(2), SAMPLING)
    assert session.collect(timeout=0.01) == []


def test_closing_leaves_no_work_in_the_engine_and_stops_it(tokenizer: Any) -> None:
    engine = StandIn()
    session = session_on(engine, tokenizer)
    for ticket in range(5):
        session.submit(ticket, request(2), SAMPLING)
    session.collect(timeout=1.0)
    session.close()
    assert len(engine.abandoned) == 3
    assert engine.is_closed
    assert session.collect(timeout=1.0) == []


def test_shares_of_time_add_up_to_the_time_in_which_there_was_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(vllm_session.time, "perf_counter", lambda: now[0])
    clock = SharedClock()
    now[0] = 10.0
    clock.pass_time(0)  # nobody was there
    first = clock.seconds
    now[0] = 14.0
    clock.pass_time(1)
    second = clock.seconds
    now[0] = 20.0
    clock.pass_time(2)
    assert clock.seconds - first == 4 + 3
    assert clock.seconds - second == 3


# ---- the generator ----------------------------------------------------------------------------------


def generator_of(folder: Path, **settings: Any) -> VLLMGenerator:
    made = make_generator(TeacherConfig(backend="vllm", model=str(folder), **settings))
    assert isinstance(made, VLLMGenerator)
    return made


def test_it_is_the_same_model_as_the_transformers_generators(tiny_student: Path) -> None:
    identity = generator_of(tiny_student).identity
    other = TransformersGenerator(str(tiny_student), device="cpu").identity
    assert {name: identity[name] for name in other} == other | {"backend": "vllm"}
    assert identity["dtype"] in ("float32", "bfloat16")


def test_the_engine_is_started_with_the_configs_settings_and_the_models_stop_tokens(
    tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[EngineSettings] = []

    def start(settings: EngineSettings) -> StandIn:
        asked.append(settings)
        return StandIn()

    monkeypatch.setattr(vllm_generator, "start_engine", start)
    monkeypatch.setattr(vllm_generator, "require_vllm", lambda: None)
    generator = generator_of(tiny_student, max_model_len=128, gpu_memory_utilization=0.5)
    dict(generator.generate([request(2)], SAMPLING))
    [settings] = asked
    assert (settings.max_model_len, settings.gpu_memory_utilization) == (128, 0.5)
    assert settings.stop_ids == TransformersGenerator(str(tiny_student), device="cpu").stop_ids


def test_a_list_leaves_the_engine_to_the_next_list_and_a_session_frees_it(
    tiny_student: Path, engine: StandIn
) -> None:
    generator = generator_of(tiny_student)
    for _ in range(2):
        assert dict(generator.generate([request(2)] * 3, SAMPLING, {1})).keys() == {0, 2}
    assert not engine.is_closed
    session = generator.open()
    session.submit(0, request(2), SAMPLING)
    session.collect(timeout=1.0)
    session.close()
    assert engine.is_closed


def test_a_generator_that_is_dropped_frees_its_engine(tiny_student: Path, engine: StandIn) -> None:
    generator = generator_of(tiny_student)
    dict(generator.generate([request(2)], SAMPLING))
    del generator
    assert engine.is_closed


def test_a_list_names_what_does_not_fit_when_all_else_is_written(
    tiny_student: Path, engine: StandIn
) -> None:
    work = [request(2), request(500, "big"), request(3)]
    found = {}

    def write() -> None:
        for index, completion in generator_of(tiny_student).generate(work, SAMPLING):
            found[index] = completion

    with pytest.raises(ValueError, match=r"1 of 3 requests failed; the first, big: too long"):
        write()
    assert found.keys() == {0, 2}


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_a_missing_vllm_says_how_it_is_installed(tiny_student: Path) -> None:
    generator = generator_of(tiny_student)
    with pytest.raises(ValueError, match=r"pip install 'critique-guided-distillation\[vllm\]'"):
        generator.open()
    with pytest.raises(ValueError, match="vLLM is not installed here"):
        list(generator.generate([request(1)], SAMPLING))


def test_an_engine_that_does_not_start_is_one_clean_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: EngineSettings) -> None:
        assert "PYTHONWARNINGS" in vllm_engine.os.environ
        raise RuntimeError("No memory.\nAt all.")

    monkeypatch.setattr(vllm_engine, "VLLMEngine", fail)
    monkeypatch.setattr(vllm_engine, "require_vllm", lambda: None)
    monkeypatch.setattr(vllm_engine.os, "environ", {"VLLM_LOGGING_LEVEL": "DEBUG"})
    settings = EngineSettings(folder=tmp_path, dtype="float32", stop_ids=frozenset())
    with pytest.raises(ValueError, match=rf"vLLM does not start with {tmp_path}: No memory;"):
        start_engine(settings)
    assert vllm_engine.os.environ["VLLM_LOGGING_LEVEL"] == "DEBUG", "the user's own value stays"
    assert "PYTHONWARNINGS" not in vllm_engine.os.environ


def test_vllms_output_is_read_field_by_field() -> None:
    class Any_(dict[str, Any]):
        __getattr__ = dict.__getitem__

    text = Any_(text="so", finish_reason="stop", token_ids=[5, 6, 2])
    output = Any_(
        request_id="12", outputs=[text], prompt_token_ids=[1, 2, 3, 4], num_cached_tokens=None
    )
    assert ended(output) == Ended(12, "so", "stop", 4, 3, 0)


# ---- devices ----------------------------------------------------------------------------------------


def test_too_few_gpus_are_said_before_a_model_is_loaded(
    tiny_student: Path, monkeypatch: pytest.MonkeyPatch, engine: StandIn
) -> None:
    generator = generator_of(tiny_student, tensor_parallel=4)
    monkeypatch.setattr(vllm_devices.torch.cuda, "device_count", lambda: 4)
    generator.open().close()
    monkeypatch.setattr(vllm_devices.torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=r"tensor_parallel = 4 needs .* sees 2"):
        generator.open()


@pytest.mark.parametrize(("workers", "cores"), [(1, 8), (2, 8), (3, 8), (4, 2)])
def test_workers_without_gpus_share_the_cores(workers: int, cores: int) -> None:
    mine = list(range(10, 10 + cores))
    given = [cores_of_worker(index, workers, mine) for index in range(workers)]
    if workers == 1:
        assert given == [{}]
        return
    sets = [[int(core) for core in g["VLLM_CPU_OMP_THREADS_BIND"].split(",")] for g in given]
    assert all(sets)
    assert {core for own in sets for core in own} == set(mine)
    if workers <= cores:
        assert sum(map(len, sets)) == cores, "no core twice"


def test_the_users_own_binding_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-3")
    assert cores_of_worker(1, 2) == {}
