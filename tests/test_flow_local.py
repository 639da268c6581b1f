"""A transformers model in the flow: what does not fit is a failure of its own, and its weights go with the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow_fakes import Batches, Flow, records

from datagen.generators import Completion, Failure, Request, Sampling
from datagen.records import Record
from datagen.stages import GenerateConfig, StageConfig
from datagen.transformers_generator import TransformersGenerator

SHORT = Sampling(max_tokens=4)


def request(text: str, number: int) -> Request:
    return Request(f"r{number}", ({"role": "user", "content": text},), seed=number)


def test_a_prompt_that_does_not_fit_fails_alone(tiny_student: Path) -> None:
    generator = TransformersGenerator(str(tiny_student), batch_size=2)
    texts = ["one", "x" * 5000, "two plus two", "three"]
    requests = [request(text, number) for number, text in enumerate(texts)]
    session: Any = generator.open()
    for number, one in enumerate(requests):
        session.submit(number, one, SHORT)
    outcomes = dict(session.collect(0.0)[0] for _ in requests)
    assert isinstance(outcomes[1], Failure)
    assert outcomes[1].kind == "too long"
    assert "1024 positions" in outcomes[1].message
    fitting = [requests[number] for number in (0, 2, 3)]
    alone = {fitting[index].id: c.text for index, c in generator.generate(fitting, SHORT)}
    written = {f"r{n}": o.text for n, o in outcomes.items() if isinstance(o, Completion)}
    assert written == alone
    with pytest.raises(ValueError, match="1 of 4 prompts do not fit"):
        list(generator.generate(requests, SHORT))
    session.close()
    assert "_model" not in vars(generator)


def test_records_that_are_too_long_are_left_out_and_listed(
    tmp_path: Path, tiny_student: Path
) -> None:
    flow = Flow(tmp_path, [*records(3), Record(id="long", prompt="x" * 5000)])
    config = GenerateConfig(max_failed_share=0.3, answer=StageConfig(max_tokens=4))
    flow(TransformersGenerator(str(tiny_student)), Batches("teacher"), config)
    assert flow.ids() == ["r0", "r1", "r2"]
    assert [(row["id"], row["error"]["kind"]) for row in flow.rows("failed")] == [
        ("long", "too long")
    ]
