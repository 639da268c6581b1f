"""Generators: each text depends on its own request alone, ends where it should, and is counted right."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from datagen import decoding, model_folder
from datagen.backends import TeacherConfig, make_generator
from datagen.generators import (
    Completion,
    Request,
    Sampling,
)
from datagen.records import Record
from datagen.scripted import ScriptedGenerator
from datagen.transformers_generator import TransformersGenerator, plan_batches

SAMPLED = Sampling(temperature=1.0, top_p=0.9, max_tokens=24)
GREEDY = Sampling(temperature=0.0, max_tokens=16)


def requests(count: int) -> list[Request]:
    """Prompts of different lengths, each with a seed of its own."""
    texts = ["What is " + "1 + " * (3 * i % 7) + f"{i}?" for i in range(count)]
    chats: list[tuple[dict[str, str], ...]] = [({"role": "user", "content": t},) for t in texts]
    return [Request(f"r{i}", chat, seed=1000 + i) for i, chat in enumerate(chats)]


def write(
    folder: Path, work: list[Request], sampling: Sampling, batch_size: int = 4
) -> list[Completion]:
    generator = TransformersGenerator(str(folder), batch_size=batch_size, device="cpu")
    found = dict(generator.generate(work, sampling))
    assert found.keys() == set(range(len(work)))
    return [found[index] for index in range(len(work))]


def texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_text_does_not_depend_on_its_batch(tiny_student: Path, sampling: Sampling) -> None:
    work = requests(9)
    alone = texts(write(tiny_student, work, sampling, batch_size=1))
    assert texts(write(tiny_student, work, sampling, batch_size=4)) == alone
    assert texts(write(tiny_student, work[::-1], sampling, batch_size=9))[::-1] == alone


def test_a_text_depends_on_its_seed(tiny_student: Path) -> None:
    work = [replace(requests(1)[0], seed=seed) for seed in range(8)]
    first = texts(write(tiny_student, work, SAMPLED))
    assert len(set(first)) == 8
    assert texts(write(tiny_student, work, SAMPLED)) == first


def test_greedy_texts_are_those_of_transformers(tiny_student: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_student)
    model = AutoModelForCausalLM.from_pretrained(tiny_student, dtype=torch.float32)
    work = requests(5)
    for request, ours in zip(work, write(tiny_student, work, GREEDY), strict=True):
        prompt = tokenizer.apply_chat_template(
            list(request.messages), add_generation_prompt=True, return_tensors="pt"
        )
        num_prompt = prompt["input_ids"].shape[1]
        theirs = model.generate(**prompt, max_new_tokens=16, do_sample=False)[0, num_prompt:]
        assert ours.text == tokenizer.decode(theirs, skip_special_tokens=True)
        assert ours.prompt_tokens == num_prompt
        assert ours.completion_tokens == len(theirs)


def test_resumed_batches_are_those_of_an_undisturbed_run(tiny_student: Path) -> None:
    work = requests(10)
    generator = TransformersGenerator(str(tiny_student), batch_size=4, device="cpu")
    whole = list(generator.generate(work, SAMPLED))
    cut = 6  # in the middle of the second batch
    done = {index for index, _ in whole[:cut]}
    rest = list(generator.generate(work, SAMPLED, done))
    assert [(i, c.text) for i, c in rest] == [(i, c.text) for i, c in whole[cut:]]


def test_batches_that_are_done_are_not_computed(
    tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = TransformersGenerator(str(tiny_student), batch_size=4, device="cpu")
    monkeypatch.setattr(
        "datagen.transformers_generator.write_batch", lambda *_: pytest.fail("computed")
    )
    assert list(generator.generate(requests(8), GREEDY, set(range(8)))) == []
    assert "_model" not in vars(generator), "the weights are not loaded for nothing"


def test_batches_go_from_long_to_short_and_lose_nobody() -> None:
    plan = plan_batches([3, 9, 3, 7, 9], 2)
    assert plan == [[1, 4], [3, 0], [2]]
    assert plan_batches([], 2) == []


def changed_copy(folder: Path, target: Path, file: str, **changes: object) -> Path:
    """A copy of a model folder with some values of one of its JSON files changed."""
    shutil.copytree(folder, target)
    values = json.loads((target / file).read_text()) | changes
    (target / file).write_text(json.dumps(values))
    return target


def test_every_declared_stop_token_ends_a_text_and_is_left_out_of_it(
    tiny_student: Path, tmp_path: Path
) -> None:
    work = requests(8)
    tokenizer = AutoTokenizer.from_pretrained(tiny_student)
    stops = list(range(10, 25))
    name = "generation_config.json"
    stopping = changed_copy(tiny_student, tmp_path / "stopping", name, eos_token_id=stops)
    plain = TransformersGenerator(str(tiny_student), device="cpu")
    prompts = [list(tokenizer(request.messages[0]["content"])["input_ids"]) for request in work]
    seeds = [request.seed for request in work]
    whole = decoding.write_batch(plain._model, prompts, seeds, SAMPLED, frozenset())
    ended = decoding.write_batch(plain._model, prompts, seeds, SAMPLED, frozenset(stops))
    for long, short in zip(whole, ended, strict=True):
        places = [place for place, token in enumerate(long.token_ids) if token in stops]
        end = places[0] if places else len(long.token_ids)
        assert short.token_ids == long.token_ids[:end]
        assert short.finish_reason == ("stop" if places else "length")
        assert short.num_computed == end + bool(places)
    assert {text.finish_reason for text in ended} == {"stop", "length"}
    assert TransformersGenerator(str(stopping)).stop_ids == {*stops, tokenizer.eos_token_id}


def test_the_templates_end_of_turn_ends_a_text_whatever_the_tokenizer_says(
    tiny_student: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    changed_copy(tiny_student, folder, "tokenizer_config.json", eos_token="<|endoftext|>")
    (folder / "generation_config.json").unlink()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    wanted = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    assert TransformersGenerator(str(folder)).stop_ids == set(wanted)


def test_special_tokens_are_not_in_the_text_but_are_counted(
    tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = TransformersGenerator(str(tiny_student), device="cpu")
    start = generator._tokenizer.convert_tokens_to_ids("<|im_start|>")
    ids = [start, *generator._tokenizer("so 42")["input_ids"]]
    monkeypatch.setattr(
        "datagen.transformers_generator.write_batch",
        lambda *_: [decoding.Written(ids, "stop")],
    )
    [(_, completion)] = generator.generate(requests(1), GREEDY)
    assert completion.text == "so 42"
    assert completion.completion_tokens == len(ids) + 1


def test_draws_follow_the_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    draws = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:-1]
    logits = probabilities.log().expand(len(draws), -1)
    chosen = decoding.choose(logits, Sampling(temperature=1.0), draws)
    shares = torch.bincount(chosen, minlength=4) / len(draws)
    torch.testing.assert_close(shares, probabilities, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.05, {2}), (0.6, {2}), (0.61, {2, 3}), (0.95, {0, 2, 3}), (1.0, {0, 2, 3})],
)
def test_top_p_keeps_the_fewest_tokens_that_reach_it(top_p: float, kept: set[int]) -> None:
    draws = torch.linspace(0, 1, 1_001, dtype=torch.float64)[:-1]
    logits = torch.tensor([0.1, 0.0, 0.6, 0.3], dtype=torch.float64).log().expand(len(draws), -1)
    chosen = decoding.choose(logits, Sampling(temperature=1.0, top_p=top_p), draws)
    assert set(chosen.tolist()) == kept


def test_what_does_not_fit_is_refused_and_named(tiny_student: Path) -> None:
    work = [*requests(3), Request("big", ({"role": "user", "content": "7 " * 700},), seed=0)]
    generator = TransformersGenerator(str(tiny_student), device="cpu")
    with pytest.raises(ValueError, match="1 of 4 prompts do not fit") as error:
        list(generator.generate(work, GREEDY))
    assert "record big" in str(error.value)
    assert "1024 positions" in str(error.value)


def test_a_model_without_chat_template_says_the_remedy(tiny_student: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_student, tmp_path / "bare"))
    template = folder / "chat_template.jinja"
    mine = Path(shutil.move(template, tmp_path / "mine.jinja"))
    with pytest.raises(ValueError, match=r'\[student\] chat_template = "file.jinja"'):
        TransformersGenerator(str(folder))
    with pytest.raises(ValueError, match=r"there is no file none\.jinja"):
        TransformersGenerator(str(folder), chat_template="none.jinja")
    again = TransformersGenerator(str(folder), chat_template=str(mine), device="cpu")
    usual = TransformersGenerator(str(tiny_student), device="cpu")
    assert dict(again.generate(requests(2), GREEDY)).keys() == {0, 1}
    same = "chat_template_sha256"
    assert again.identity[same] == usual.identity[same]


@pytest.mark.parametrize("name", ["./none", "no/such/folder", "/none", "none"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(ValueError, match=f"there is no folder {name}"):
        TransformersGenerator(name)


def test_a_folder_that_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config\.json"):
        TransformersGenerator(str(tmp_path))


def test_what_the_hub_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **_: object) -> str:
        raise OSError("401: gated\nlong story")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(ValueError, match=r"the hub does not give owner/name at revision v2: 401"):
        TransformersGenerator("owner/name", revision="v2")


def test_another_checkpoint_in_the_same_folder_is_another_model(
    tiny_student: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_student, tmp_path / "copy"))
    copied = TransformersGenerator(str(folder)).identity["fingerprint"]
    assert copied == TransformersGenerator(str(tiny_student)).identity["fingerprint"]
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert TransformersGenerator(str(folder)).identity["fingerprint"] != copied


def test_large_weights_are_told_apart_by_header_size_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "WHOLE_BELOW_BYTES", 1000)
    monkeypatch.setattr(model_folder, "END_BYTES", 100)
    path = tmp_path / "model.safetensors"
    content = (50).to_bytes(8, "little") + bytes(5000)
    seen = set()
    for place in (None, 20, 100, 4990):
        changed = bytearray(content)
        if place is not None:
            changed[place] = 1
        path.write_bytes(changed)
        seen.add(model_folder.fingerprint(tmp_path))
    path.write_bytes(content + b"0")
    assert len(seen | {model_folder.fingerprint(tmp_path)}) == 5


@pytest.mark.parametrize("family", ["qwen2", "olmo2", "mixtral"])
def test_other_families_write_alone_what_they_write_together(
    tiny_models: dict[str, Path], family: str
) -> None:
    work = requests(3)
    together = texts(write(tiny_models[family], work, GREEDY))
    assert together == texts(write(tiny_models[family], work, GREEDY, batch_size=1))


# ---- scripted teachers and the config ---------------------------------------------------------------


def shout(stage: str, record: Record, seed: int) -> str:
    """A scripted teacher."""
    return f"{stage.upper()} {record.prompt} {seed}"


def silent(stage: str, record: Record, seed: int) -> None:
    """A function that forgets to return its text."""


def test_a_scripted_teacher_is_asked_for_each_record() -> None:
    generator = ScriptedGenerator(f"{__name__}:shout")
    work = [
        Request(f"r{i}", (), seed=i, stage="teach", record=Record(id=f"r{i}", prompt=f"P{i}"))
        for i in range(3)
    ]
    found = dict(generator.generate(work, Sampling(), {1}))
    assert {index: c.text for index, c in found.items()} == {0: "TEACH P0 0", 2: "TEACH P2 2"}
    assert found[0].completion_tokens == 3
    assert generator.identity["revision"].startswith("sha256:")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("aritmetic", "did you mean 'arithmetic'"),
        ("no_such_module:f", "there is no module no_such_module"),
        ("json:no_such", "has no function no_such"),
        ("json", 'write "package.module:function"'),
    ],
)
def test_a_script_that_cannot_be_found_is_said(script: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as error:
        ScriptedGenerator(script)
    assert message in str(error.value)


def test_a_script_that_returns_no_text_is_said() -> None:
    request = Request("r0", (), 0, "teach", Record(id="r0", prompt="P"))
    with pytest.raises(ValueError, match="must return a string, got NoneType"):
        list(ScriptedGenerator(f"{__name__}:silent").generate([request], Sampling()))


def test_a_config_makes_its_generator(tiny_student: Path) -> None:
    assert make_generator(TeacherConfig()).identity["model"] == "arithmetic"
    config = TeacherConfig(backend="transformers", model=str(tiny_student))
    assert make_generator(config).identity["backend"] == "transformers"


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_tokens": 0}],
)
def test_impossible_sampling_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sampling(**settings)  # type: ignore[arg-type]


def test_impossible_teachers_are_refused() -> None:
    with pytest.raises(ValueError, match="model is needed"):
        TeacherConfig(backend="transformers")
    with pytest.raises(ValueError, match="batch_size"):
        TeacherConfig(batch_size=0)
