"""What a model is really asked: the first prompt of each benchmark, as its chat template renders it.

    [evaluate] + model folder → benchmarks → wording, its hash, first problem → the text that is tokenised

The very functions of an evaluation are used, with the tokenizer alone; no weights are read. A prompt
of a benchmark that must not be published is shown with its question and options blanked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from datagen.model_folder import find_model
from datagen.wordings import load_template
from engine.settings import StudentConfig
from evals.benchmarks import TABLE
from evals.lm_eval_bridge import HARNESS
from evals.run import EvaluateConfig, load_asked

Render = Callable[[str], str]
"""User message → the text that the model sees."""
RULER = "-" * 72
BLANK = "[question withheld]\n\n(A) [option]\n(B) [option]\n(C) [option]\n(D) [option]"


def show_prompts(
    config: EvaluateConfig, student: StudentConfig, seed: int, only: str | None
) -> None:
    """Prints the first prompt of each benchmark, or of the one that is asked for."""
    for text in preview(config, seed, only, renderer(student)):
        print(text)


def renderer(student: StudentConfig) -> Render:
    """The student's chat template, up to where its turn begins."""
    # transformers takes seconds to import; a benchmark that cannot be loaded should not wait for it.
    from datagen.chat_tokens import load_tokenizer

    folder = find_model(student.model, student.revision)
    tokenizer = load_tokenizer(folder, student.model, student.chat_template)

    def render(prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )

    return render


def preview(config: EvaluateConfig, seed: int, only: str | None, render: Render) -> Iterator[str]:
    """One block of text for each benchmark, or for the one that is asked for."""
    for name in config.benchmarks if only is None else matching(config.benchmarks, only):
        source = TABLE.get(name.partition("=")[0])
        if name in HARNESS:
            task = HARNESS[name].task
            yield f"== {name}\nasked by lm-evaluation-harness (task {task}), in its own wording\n"
        elif source is not None and source.private:
            template = load_template(source.wording)
            blank = template.render(problem=BLANK)
            yield block(
                source.name, "problem withheld", template.name, template.sha256, render(blank)
            )
        else:  # one problem of one benchmark: nothing else has to be there
            one = replace(config, benchmarks=(name,), limit=1, allow_code=True)
            (benchmark,) = load_asked(one, seed)
            first, wording = benchmark.problems[0], benchmark.wording or "none"
            asked = render(first.prompt)
            yield block(benchmark.name, first.id, wording, benchmark.wording_sha256, asked)


def block(name: str, identity: str, wording: str, sha256: str, asked: str) -> str:
    """Name, wording and its hash, and the prompt between rulers."""
    hashed = f", sha256 {sha256}" if sha256 else ""
    return f"== {name}, {identity}\nwording {wording}{hashed}\n{RULER}\n{asked}\n{RULER}\n"


def matching(benchmarks: tuple[str, ...], only: str) -> tuple[str, ...]:
    """The entry of the config that is called so; any other benchmark may be looked at too."""
    for name in benchmarks:
        if only in (name, name.partition("=")[0], Path(name).stem):
            return (name,)
    return (only,)
