"""A model's chat template, stop token, vocabulary and context: do they fit what is trained and asked?

    folder → tokenizer with its template → every layout of the method rendered → findings

Layouts are rendered by the code that trains (engine.examples) and asks (datagen.chat_tokens), so that a template which
cannot do them is found here and not after a night of generation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from datagen.chat_tokens import stop_ids_of, template_of, tokenise
from datagen.plan import STAGES
from engine.advice import first_line
from engine.companions import read_json
from engine.examples import end_of_turn_ids, render
from engine.objectives import LAYOUTS, assistant, user
from launch.config import Config
from launch.doctor_finding import Finding, error, num_of, ok, warn
from launch.doctor_models import NamedModel, weights_of

TEXTS = {"prompt": "QUESTION-7", "student_answer": "ANSWER-7", "critique": "CRITIQUE-7"}
TARGET = "TARGET-7"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model")
NOW = re.compile(r"strftime_now\(\s*['\"]([^'\"]+)['\"]\s*\)")
LITTLE_ROOM = 128
"""Tokens; fewer for a prompt are hardly a prompt."""


def chat_findings(model: NamedModel, folder: Path, config: Config) -> Iterator[Finding]:
    """All of this file for one model."""
    tokenizer = load(model, folder)
    of_template = list(template_findings(model, tokenizer, config))
    yield from of_template
    if num_of(of_template, "error") == 0:  # it can be rendered
        yield stop_finding(model, tokenizer, folder)
    yield vocabulary_finding(model, tokenizer, folder)
    yield from length_findings(model, folder, config)


def load(model: NamedModel, folder: Path) -> Any:
    """The tokenizer, with the template that the configuration names."""
    files = [path.name for pattern in TOKENIZER_FILES for path in folder.glob(pattern)]
    if not files:
        raise ValueError(
            f"{model.key}: {folder} holds no tokenizer ({', '.join(TOKENIZER_FILES)}); fetch its files again"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as failure:  # a damaged file: the library has an error for each
        raise ValueError(
            f"{model.key}: the tokenizer in {folder} ({', '.join(files)}) cannot be read: "
            f"{first_line(failure)}; fetch its files again"
        ) from None
    tokenizer.chat_template = template_of(tokenizer, model.name, model.chat_template)
    return tokenizer


# ---- the template -----------------------------------------------------------------------------------


def template_findings(model: NamedModel, tokenizer: Any, config: Config) -> Iterator[Finding]:
    """Whether every layout can be rendered, and is rendered the same tomorrow."""
    what = f"{model.section} template"
    remedy = f"{model.section}.chat_template = a Jinja file that can do it"
    trains = model.section == "student"
    try:
        texts = list(layouts(tokenizer, config) if trains else requests(tokenizer, config))
    except ValueError as mistake:
        yield error(what, str(mistake))
        return
    except Exception as failure:  # Jinja's, and what templates raise themselves
        yield error(what, f"it cannot render a chat of the method: {failure}", remedy)
        return
    for name, text, shown in texts:
        lost = [part for part in shown if part not in text]
        if lost:
            yield error(what, f"{name}: it leaves out {', '.join(lost)} of the chat", remedy)
            return
    if date := date_in(str(tokenizer.chat_template), texts[0][1]):
        yield warn(
            what,
            f"it writes the present date ({date}) into every prompt: what is written or trained on "
            "another day sees another prompt",
            f"{model.section}.chat_template = a copy of it with a fixed date",
        )
        return
    if trains and (odd := oddity(tokenizer)):
        yield warn(what, odd, "compare with `cgd inspect CONFIG`, which shows what is trained on")
        return
    yield ok(what, f"renders {', '.join(name for name, _, _ in texts)}")


def layouts(tokenizer: Any, config: Config) -> Iterator[tuple[str, str, list[str]]]:
    """(name, text, what must stand in it) of the chats that are trained on and asked. A layout that is not used may
    fail: it is left out then."""
    yield "a question", render(tokenizer, [user(TEXTS["prompt"])]), [TEXTS["prompt"]]
    for name, layout in LAYOUTS.items():
        unused = () if name == config.train.layout else (Exception,)
        with suppress(*unused):
            yield name, render(tokenizer, layout(TEXTS, "refined_answer")), list(TEXTS.values())


def requests(tokenizer: Any, config: Config) -> Iterator[tuple[str, str, list[str]]]:
    """The same for a model that only writes: what the stages will send it."""
    for name in ("critique", "refine"):
        own = config.generate.of(name)
        system = [{"role": "system", "content": "SYSTEM-7"}] if own.system else []
        ids = tokenise(tokenizer, [*system, user(TEXTS["prompt"])])
        shown = [TEXTS["prompt"], *(["SYSTEM-7"] if own.system else [])]
        yield f"{name}s" if name == "critique" else "refinements", tokenizer.decode(ids), shown
    if config.generate.refine.layout == "continue":
        chat = [user(TEXTS["prompt"]), assistant(TEXTS["critique"]), user(TEXTS["student_answer"])]
        text = tokenizer.decode(tokenise(tokenizer, chat))
        yield "a chat that goes on", text, [TEXTS["prompt"], TEXTS["student_answer"]]


def date_in(template: str, text: str) -> str | None:
    """The date of today in the forms that the template asks for, where it stands in what was rendered."""
    dates = [datetime.now().strftime(form) for form in NOW.findall(template)]
    return next((date for date in dates if date and date in text), None)


def oddity(tokenizer: Any) -> str | None:
    """How a finished turn differs from its prompt with the answer behind it: what is trained on is the latter."""
    chat = [user(TEXTS["prompt"])]
    whole = tokenizer.apply_chat_template([*chat, assistant(TARGET)], tokenize=False)
    prompt = render(tokenizer, chat)
    if whole.startswith(prompt + TARGET):
        return None
    if not whole.startswith(prompt.rstrip()):
        return (
            "an assistant's turn in a chat begins otherwise than the turn it is asked to write "
            f"(asked: …{prompt[-40:]!r})"
        )
    between = whole[len(prompt.rstrip()) :].partition(TARGET)[0]
    return f"it writes {between!r} before an assistant's text, which training does not"


# ---- tokens -----------------------------------------------------------------------------------------


def stop_finding(model: NamedModel, tokenizer: Any, folder: Path) -> Finding:
    """Whether the token that ends a turn in training is one at which generation stops."""
    what = f"{model.section} stop token"
    closing = end_of_turn_ids(tokenizer)
    names = tokenizer.convert_ids_to_tokens(closing)
    last = f"{names[-1]} ({closing[-1]})"
    if closing[-1] not in stop_ids_of(tokenizer, folder):
        return error(
            what,
            f"a turn ends with {last}, at which this model's texts do not stop",
            f'"eos_token_id": [{closing[-1]}, …] in {folder / "generation_config.json"}',
        )
    if len(closing) > 1:
        shown = " ".join(map(repr, names))
        return warn(what, f"a turn is closed by {len(closing)} tokens, {shown}; the last one stops")
    declared = declared_stops(folder)
    if closing[-1] not in declared and closing[-1] != tokenizer.eos_token_id:
        return warn(
            what,
            f"{last} ends a turn, but generation_config.json does not say so: other programs, such as "
            "`vllm serve` on this folder, would write on (ours stop, and an export names it)",
            f'"eos_token_id": {[*declared, closing[-1]]} in {folder / "generation_config.json"}',
        )
    return ok(what, f"{last} ends a turn, and stops a text")


def declared_stops(folder: Path) -> list[int]:
    """What generation_config.json, or else config.json, calls the end."""
    path = folder / "generation_config.json"
    known: Mapping[str, Any] = read_json(path) if path.is_file() else {}
    stops = known.get("eos_token_id", read_json(folder / "config.json").get("eos_token_id"))
    stops = stops if isinstance(stops, list) else [stops]
    return [stop for stop in stops if isinstance(stop, int)]


def vocabulary_finding(model: NamedModel, tokenizer: Any, folder: Path) -> Finding:
    """Whether every token that the tokenizer can write has a row in the embedding."""
    what = f"{model.section} vocabulary"
    shape = AutoConfig.from_pretrained(folder).get_text_config()
    rows = weights_of(folder).embedding_rows or shape.vocab_size
    ids = tokenizer.get_vocab().values()
    highest = max(ids, default=-1)
    detail = f"{len(ids):,} tokens, {rows:,} rows in the embedding"
    if highest >= rows:
        return error(
            what,
            f"{detail}: token {highest:,} has none",
            "the tokenizer belongs to another model, or tokens were added without resizing it",
        )
    return ok(what, detail)


# ---- lengths ----------------------------------------------------------------------------------------


def length_findings(model: NamedModel, folder: Path, config: Config) -> Iterator[Finding]:
    """Whether the texts that are asked for and trained on have room in the model."""
    shape = AutoConfig.from_pretrained(folder).get_text_config()
    positions = getattr(shape, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:
        return
    what = f"{model.section} context"
    found = False
    for key, tokens in asked_lengths(model, config).items():
        room = positions - tokens
        if room < LITTLE_ROOM:
            found = True
            detail = f"{positions:,} positions, and {key} = {tokens:,} of them for the text alone"
            give = f"--set {key}={positions // 2}"
            yield error(what, detail, give) if room <= 0 else warn(what, detail, give)
    longest = config.train.max_length
    if model.section == "student" and "train" in model.work and longest > positions:
        found = True
        yield warn(
            what,
            f"train.max_length = {longest:,}, but the model has {positions:,} positions: in longer "
            "examples it computes at places where it was never trained",
            f"--set train.max_length={positions}",
        )
    if not found:
        yield ok(what, f"{positions:,} positions")


def asked_lengths(model: NamedModel, config: Config) -> dict[str, int]:
    """The longest texts that this model is asked for, by the keys that say so."""
    if model.section == "student":
        asked = {}
        on_server = bool(config.inference.base_url) or config.train.data is not None
        if "data" in model.work and not on_server:
            asked["generate.answer.max_tokens"] = config.generate.answer.max_tokens
        if model.work & {"base", "evaluate"}:
            asked["evaluate.max_tokens"] = config.evaluate.max_tokens
        return asked
    if model.section == "judge":
        return {"diagnose.max_tokens": config.diagnose.max_tokens}
    return {
        f"generate.{name}.max_tokens": config.generate.of(name).max_tokens
        for name, stage in STAGES.items()
        if stage.writer == "teacher" and name != "teach"
    }
