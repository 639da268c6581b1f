"""Claims: exported records are read by `load_dataset`, hold what training sees, and train unchanged in TRL."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from conftest import make_records
from handed_over import PEERS, needs_trl

from datagen.data_card import public_name, size_category, table, writer
from datagen.records import Record, read_records, write_records
from engine.objectives import OBJECTIVES, conversation
from launch.export_records import BATCH, Wanted, export_records

FACTS = {
    "critique": {
        "backend": "openai",
        "model": "some/teacher-70b",
        "template": "critique",
        "template_sha256": "ab" * 32,
        "sampling": {"temperature": 0.7, "top_p": 1.0, "max_tokens": 64},
        "finish_reason": "stop",
    }
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Records with every text, a person's own field, and a critique whose writer is known."""
    records = [Record.from_json(row | {"topic": "ducks"}) for row in make_records(6)]
    write_records(tmp_path / "records.jsonl", [replace(r, provenance=FACTS) for r in records])
    return tmp_path / "records.jsonl"


def load(folder: Path, name: str) -> datasets.Dataset:
    """One configuration, as a stranger would read it."""
    return datasets.load_dataset(
        str(folder), name, split="train", cache_dir=str(folder.parent / "c")
    )


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_load_dataset_finds_every_objective_as_training_sees_it(
    source: Path, tmp_path: Path, format: str
) -> None:
    folder = tmp_path / "shared"
    export_records(source, "ducks", Wanted(folder=folder, format=format))  # type: ignore[arg-type]
    records = read_records(source)
    for name in OBJECTIVES:
        rows = load(folder, name)
        for record, row in zip(records, rows, strict=True):
            made = conversation(vars(record), name, "single_turn")
            assert row["prompt"] == list(made.context)
            assert row["completion"] == [{"role": "assistant", "content": made.target}]


def test_parquet_keeps_every_field(source: Path, tmp_path: Path) -> None:
    export_records(source, "ducks", Wanted(folder=tmp_path / "out"))
    for record, row in zip(read_records(source), load(tmp_path / "out", "records"), strict=True):
        assert json.loads(row["provenance"]) == record.provenance
        assert json.loads(row["extra"]) == {"topic": "ducks"}
        texts = {name: row[name] for name in ("id", "prompt", "critique", "refined_answer")}
        assert texts == {name: getattr(record, name) for name in texts}


def test_records_without_a_target_are_left_out_and_counted(source: Path, tmp_path: Path) -> None:
    records = read_records(source)
    write_records(source, [replace(records[0], critique=""), *records[1:]])
    said = export_records(source, "ducks", Wanted(folder=tmp_path / "out", objectives=("cft",)))
    assert "cft 5 (1 lack what it needs) rows" in said


def test_an_objective_that_nothing_can_be_learnt_for_is_refused(
    source: Path, tmp_path: Path
) -> None:
    write_records(source, [replace(record, critique=None) for record in read_records(source)])
    with pytest.raises(ValueError, match=r"no record in .* has all that the objective cft needs"):
        export_records(source, "ducks", Wanted(folder=tmp_path / "out", objectives=("cft",)))


def test_a_folder_with_other_things_is_refused(source: Path) -> None:
    with pytest.raises(ValueError, match="is not empty and no data set of ours"):
        export_records(source, "ducks", Wanted(folder=source.parent))


def test_more_rows_than_a_batch_are_all_written(tmp_path: Path) -> None:
    records = [Record.from_json(row) for row in make_records(BATCH + 3)]
    write_records(tmp_path / "many.jsonl", records)
    export_records(
        tmp_path / "many.jsonl", "many", Wanted(folder=tmp_path / "out", objectives=("sft",))
    )
    assert [row["id"] for row in load(tmp_path / "out", "sft")] == [r.id for r in records]


def test_the_card_names_writers_wordings_and_counts_and_no_paths(
    source: Path, tmp_path: Path
) -> None:
    records = read_records(source)
    answered = {"answer": FACTS["critique"] | {"model": str(tmp_path / "my-student")}}
    write_records(source, [replace(r, provenance=FACTS | answered) for r in records])
    export_records(source, "ducks", Wanted(folder=tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "some/teacher-70b" in card
    assert "| my-student |" in card
    assert str(tmp_path) not in card
    assert "temperature 0.7, top_p 1.0, max_tokens 64 | 6 |" in card


def test_the_card_names_the_prompts_licence_where_the_run_knew_it(
    source: Path, tmp_path: Path
) -> None:
    (source.parent / "selection.json").write_text('{"licence": "MIT"}', encoding="utf-8")
    export_records(source, "ducks", Wanted(folder=tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "the licence of their source (MIT);" in card


def test_a_scripts_texts_have_no_sampling_and_long_hashes_are_shortened() -> None:
    drawn = {"model": "m", "fingerprint": "sha256:" + "ab" * 16, "sampling": {"temperature": 0.7}}
    assert writer({**drawn, "backend": "vllm"})["sampling"] == "temperature 0.7"
    assert "sampling" not in writer({**drawn, "backend": "scripted"})
    assert writer(drawn)["revision"] == "sha256:abababababab"
    assert writer({"model": "m", "revision": "a-long-name-of-a-branch"})["revision"].endswith(
        "branch"
    )


def test_the_card_says_the_size_as_the_hub_does() -> None:
    sizes = {count: size_category(count) for count in (0, 999, 1_000, 99_999, 100_000)}
    assert list(sizes.values()) == ["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M"]


def test_a_name_with_a_line_break_or_a_bar_stays_in_its_cell() -> None:
    assert table("T", ("a", "b"), [("x\n| y", "z")]).splitlines()[-1] == "| x \\| y | z |"


def test_hub_ids_are_public_and_paths_are_not() -> None:
    assert public_name("meta-llama/Llama-3.1-8B") == "meta-llama/Llama-3.1-8B"
    assert public_name("/srv/models/x") == "x"
    assert public_name("./models/x") == "x"


TRAIN_WITH_TRL = """
import json, sys
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

model, folder, name, out = sys.argv[1:]
rows = load_dataset(folder, name, split="train", cache_dir=out + "/cache")
config = SFTConfig(
    output_dir=out, max_steps=1, per_device_train_batch_size=2, use_cpu=True, bf16=False,
    report_to=[], save_strategy="no", disable_tqdm=True, max_length=512,
)
trainer = SFTTrainer(model=model, args=config, train_dataset=rows)
batch = next(iter(trainer.get_train_dataloader()))
print(json.dumps({"loss": trainer.train().training_loss, "learnt": int((batch["labels"] != -100).sum()),
                  "read": int(batch["input_ids"].numel())}))
"""


@needs_trl
@pytest.mark.parametrize("form", ["prompt_completion", "messages"])
def test_trl_trains_on_it_unchanged(
    source: Path, tmp_path: Path, tiny_student: Path, form: str
) -> None:
    wanted = Wanted(folder=tmp_path / "out", objectives=("cgd",), form=form)  # type: ignore[arg-type]
    export_records(source, "ducks", wanted)
    arguments = [tiny_student, tmp_path / "out", "cgd", tmp_path / "trl"]
    done = subprocess.run(
        [str(PEERS), "-c", TRAIN_WITH_TRL, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["loss"] > 0
    # Only the completion is learnt where it stands apart; `messages` teach every token to this trainer.
    assert (found["learnt"] < found["read"] / 2) == (form == "prompt_completion")
