"""`cgd bench generate`: our vLLM session beside vLLM's own `LLM.generate`, and what the order of chats gains.

    speed:   the same tokenised prompts, sampling and seeds, in turns on one engine
             ours:  chats in; tokenised, handed over, written to a journal as they finish
             vLLM:  one call of `LLM.generate` on prompts that are tokenised before the clock starts
    cache:   critiques and refinements of the same records, twice
             back to back:  each refinement continues its critique's conversation as soon as that is there
             in waves:      all critiques, then all refinements in a wording of their own

One engine serves both sides: the same settings and the same memory. Its prefix cache is emptied before every turn. Ours
counts everything that a run does for a text but the rules that decide what is due next.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datagen.arithmetic import problems
from datagen.backends import TeacherConfig
from datagen.chat_tokens import tokenise
from datagen.generators import Completion, Message, Request, Sampling, Session
from datagen.plan import derive_seed
from datagen.records import Record, json_line
from datagen.vllm_engine import Order, VLLMEngine
from datagen.vllm_generator import VLLMGenerator
from datagen.wordings import load_template


@dataclass(frozen=True)
class Turn:
    """One side, measured once."""

    seconds: float
    completion_tokens: int
    prompt_tokens: int
    """Of all texts; where the cache is measured, of the refinements alone."""
    cached_tokens: int

    @property
    def rate(self) -> float:
        """Tokens written a second."""
        return self.completion_tokens / self.seconds


class Bench:
    """A generator with its engine, and what it is asked."""

    def __init__(self, options: Namespace) -> None:
        self.generator = VLLMGenerator(
            TeacherConfig(
                backend="vllm",
                model=options.model or str(Path(__file__).parent / "student"),
                max_model_len=options.max_model_len,
            )
        )
        self.records = [problem.record() for problem in problems("train", options.prompts)]
        self.sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=options.max_tokens)

    def session(self) -> Session:
        """A session on the engine, which stays, with nothing in its cache."""
        engine = self.engine()
        if not engine.llm.reset_prefix_cache():
            raise ValueError(
                "vLLM did not empty its prefix cache: something is still being written"
            )
        return self.generator.session(keep_engine=True)

    def engine(self) -> VLLMEngine:
        """The engine; loaded when it is first asked for."""
        engine = self.generator.engine()
        assert isinstance(engine, VLLMEngine)
        return engine


def run_bench(options: Namespace) -> str:
    """Both measurements, as a table or as JSON."""
    bench = Bench(options)
    try:
        requests = [request_of(record, "critique") for record in bench.records]
        vllm_alone(bench, requests[:8])  # compiling and first touches are nobody's time
        speed: dict[str, list[Turn]] = {"ours": [], "LLM.generate": []}
        cache: dict[str, list[Turn]] = {"back to back": [], "in waves": []}
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            # The side that begins changes, so that a machine that slows down slows both.
            sides = [("ours", ours), ("LLM.generate", vllm_alone)]
            for name, measure in sides if number % 2 == 0 else sides[::-1]:
                speed[name].append(measure(bench, requests))
            cache["back to back"].append(back_to_back(bench))
            cache["in waves"].append(in_waves(bench))
    finally:
        bench.generator.close()
    figures = {"speed": speed, "cache": cache}
    return as_json(figures, options) if options.json else table(figures, options)


# ---- speed ----------------------------------------------------------------------------------------------


def ours(bench: Bench, requests: Sequence[Request]) -> Turn:
    """The session, its texts written to a journal one by one."""
    session = bench.session()
    with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as journal:
        started = time.perf_counter()
        for ticket, request in enumerate(requests):
            session.submit(ticket, request, bench.sampling)
        texts = []
        for ticket, text in outcomes(session, len(requests)):
            entry = {"stage": "critique", "id": requests[ticket].id, "text": text.text}
            journal.write(json_line(entry | {"provenance": asdict(text)}))
            journal.flush()
            texts.append(text)
        seconds = time.perf_counter() - started
    session.close()
    return turn_of(texts, seconds)


def vllm_alone(bench: Bench, requests: Sequence[Request]) -> Turn:
    """vLLM's own list call, on token ids."""
    engine = bench.engine()
    engine.llm.reset_prefix_cache()
    tokenizer = bench.generator.tokenizer
    prompts = [tokenise(tokenizer, request.messages) for request in requests]
    parameters = [
        engine.parameters(Order(i, prompt, bench.sampling, request.seed))
        for i, (prompt, request) in enumerate(zip(prompts, requests, strict=True))
    ]
    inputs = [{"prompt_token_ids": prompt} for prompt in prompts]
    started = time.perf_counter()
    outputs = engine.llm.generate(inputs, parameters, use_tqdm=False)
    seconds = time.perf_counter() - started
    written = sum(len(output.outputs[0].token_ids) for output in outputs)
    cached = sum(output.num_cached_tokens or 0 for output in outputs)
    return Turn(seconds, written, sum(map(len, prompts)), cached)


# ---- the prefix cache -----------------------------------------------------------------------------------


def back_to_back(bench: Bench) -> Turn:
    """Each refinement goes on with its critique's conversation, as soon as there is one."""
    session, count = bench.session(), len(bench.records)
    asked = [request_of(record, "critique") for record in bench.records]
    further = load_template("refine_continue", stands_alone=False).render()
    started = time.perf_counter()
    for ticket, request in enumerate(asked):
        session.submit(ticket, request, bench.sampling)
    critiques, refinements = [], []
    for ticket, text in outcomes(session, 2 * count):
        if ticket >= count:
            refinements.append(text)
        else:
            critiques.append(text)
            answer: Message = {"role": "assistant", "content": text.text}
            chat = (*asked[ticket].messages, answer, {"role": "user", "content": further})
            request = Request(asked[ticket].id, chat, derive_seed(0, "refine", asked[ticket].id))
            session.submit(count + ticket, request, bench.sampling)
    seconds = time.perf_counter() - started
    session.close()
    return turn_of(critiques + refinements, seconds, refinements)


def in_waves(bench: Bench) -> Turn:
    """All critiques, then all refinements, each in a chat of its own."""
    session = bench.session()
    started = time.perf_counter()
    asked = [request_of(record, "critique") for record in bench.records]
    critiques = wave(session, asked, bench.sampling)
    asked = [
        request_of(record, "refine", critique.text)
        for record, critique in zip(bench.records, critiques, strict=True)
    ]
    refinements = wave(session, asked, bench.sampling)
    seconds = time.perf_counter() - started
    session.close()
    return turn_of(critiques + refinements, seconds, refinements)


def wave(session: Session, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
    """All texts of a list, in its order."""
    for ticket, request in enumerate(requests):
        session.submit(ticket, request, sampling)
    texts = dict(outcomes(session, len(requests)))
    return [texts[ticket] for ticket in range(len(requests))]


# ---- both -----------------------------------------------------------------------------------------------


def request_of(record: Record, stage: str, critique: str = "") -> Request:
    """A stage's request in the built-in wording; what stands in the record's answer is taken for the student's."""
    shown = {"student_answer": record.answer or "", "critique": critique}
    content = load_template(stage).render(problem=record.prompt, **shown)
    chat: Message = {"role": "user", "content": content}
    return Request(record.id, (chat,), derive_seed(0, stage, record.id))


def outcomes(session: Session, count: int) -> Iterator[tuple[int, Completion]]:
    """So many texts, as they finish. ValueError where one failed."""
    while count > 0:
        for ticket, outcome in session.collect(timeout=1.0):
            if not isinstance(outcome, Completion):
                raise ValueError(f"{outcome.kind}: {outcome.message}")
            count -= 1
            yield ticket, outcome


def turn_of(
    texts: Sequence[Completion], seconds: float, read: Sequence[Completion] | None = None
) -> Turn:
    """The sums of a turn; of what was read, those of `read` alone where it is given."""
    read = texts if read is None else read
    return Turn(
        seconds,
        sum(text.completion_tokens for text in texts),
        sum(text.prompt_tokens for text in read),
        sum(text.cached_tokens for text in read),
    )


def as_json(figures: dict[str, dict[str, list[Turn]]], options: Namespace) -> str:
    """Every turn, and the settings."""
    turns: dict[str, Any] = {
        part: {name: [asdict(turn) for turn in side] for name, side in sides.items()}
        for part, sides in figures.items()
    }
    asked = ("model", "prompts", "max_tokens", "rounds", "max_model_len")
    return json.dumps({"settings": {name: getattr(options, name) for name in asked}, **turns})


def table(figures: dict[str, dict[str, list[Turn]]], options: Namespace) -> str:
    """Medians over rounds, ours over vLLM's in the same round with its range, and the prefix cache."""
    speed, cache = figures["speed"], figures["cache"]
    shares = [a.rate / b.rate for a, b in zip(speed["ours"], speed["LLM.generate"], strict=True)]
    lines = [
        f"{options.model or 'the packaged student'}: {options.prompts} chats, at most {options.max_tokens} tokens "
        f"each, {options.rounds} rounds; one engine for both sides",
        f"{'':16}{'tokens/s':>10}{'(range)':>18}{'tokens':>9}",
    ]
    for name, turns in speed.items():
        rates = [turn.rate for turn in turns]
        spread = f"{min(rates):,.1f}-{max(rates):,.1f}"
        written = turns[0].completion_tokens
        lines.append(f"{name:16}{statistics.median(rates):10,.1f}{spread:>18}{written:9,}")
    share = f"{statistics.median(shares):.1%} ({min(shares):.1%}-{max(shares):.1%})"
    lines += [f"ours has {share} of the raw engine's tokens/s", ""]
    lines.append(
        f"{'':16}{'seconds':>9}{'written':>9}   refinements: {'read':>9}{'in the cache':>14}{'computed':>10}"
    )
    for name, turns in cache.items():
        one = sorted(turns, key=lambda turn: turn.seconds)[len(turns) // 2]
        found = f"{one.cached_tokens / one.prompt_tokens:.1%}"
        computed = one.prompt_tokens - one.cached_tokens
        lines.append(
            f"{name:16}{one.seconds:9.2f}{one.completion_tokens:9,}{'':16}{one.prompt_tokens:9,}{found:>14}{computed:10,}"
        )
    return "\n".join(lines)
