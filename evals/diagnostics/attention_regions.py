"""Regions of a context: which of its tokens are the problem, the student's answer, the critique, the template's.

    record → the chat, and the chat with a mark at each border of each text → both rendered
           → with the marks taken out they are equal → borders in characters → regions of tokens

Borders come from where the texts are put in, not from looking for them in what comes out: a critique may quote the
answer, an answer may hold the labels. The marks are characters that occur in no text of the record and in nothing the
template writes. A chat template may trim the texts it is given, or cut a reasoning trace away; the marks then stand
inside of what goes. What no setting of the marks gets through unchanged is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from engine.examples import render
from engine.objectives import conversation

FIELD_OF = {"problem": "prompt", "student_answer": "student_answer", "critique": "critique"}
"""Regions that are a text of the record; they come first in REGIONS."""

REGIONS = (*FIELD_OF, "template", "self")
"""Every position that a generated token may attend to is in one of them; `self` is what was generated before it."""

TEMPLATE, SELF = REGIONS.index("template"), REGIONS.index("self")

END_OF_REASONING = "</think>"
"""Chat templates that cut reasoning out of earlier turns cut up to the last of these."""

Borders = tuple[int, int]


@dataclass(frozen=True)
class Context:
    """What the model is given before it writes: the token ids of training, and the region (of REGIONS) of each."""

    token_ids: list[int]
    region_T: np.ndarray


def context_of(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any], layout: str) -> Context:
    """(x, y', c) as `cgd` is trained on them. A token that straddles a border belongs to where it begins."""
    if not tokenizer.is_fast:
        raise ValueError(
            f"{tokenizer.name_or_path}: its tokenizer does not say where in a text its tokens lie; "
            "attention by region needs a fast tokenizer (tokenizer.json)"
        )
    text = rendered(tokenizer, row, layout)
    region_of_character: np.ndarray = np.full(len(text) + 1, TEMPLATE, dtype=np.int64)
    for region, (begin, end) in character_borders(tokenizer, row, layout, text).items():
        region_of_character[begin:end] = REGIONS.index(region)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    begins = token_begins(encoded["offset_mapping"])
    return Context(list(encoded["input_ids"]), region_of_character[begins])


def token_begins(offsets: list[Borders]) -> list[int]:
    """The character with which each token begins, its leading space included.

    Byte-level tokenizers leave that space out of a token's offsets: then it lies between the token before and this
    one. Tokens of one character's bytes all have the offsets of that character.
    """
    begins, reached = [], 0
    for begin, end in offsets:
        begins.append(min(begin, reached))
        reached = max(reached, end)
    return begins


def rendered(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any], layout: str) -> str:
    """The context as training renders it."""
    return render(tokenizer, conversation(row, "cgd", layout).context)


def character_borders(
    tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any], layout: str, text: str
) -> dict[str, Borders]:
    """(begin, end) in `text` of each region that is a text of the record; one that shows nothing is missing."""
    marks = dict(zip(FIELD_OF, unused_characters(text, row), strict=True))
    for spans in places_for_marks(row):
        marked_row = dict(row) | {
            FIELD_OF[region]: marked(row[FIELD_OF[region]], span, marks[region])
            for region, span in spans.items()
        }
        marked_text = rendered(tokenizer, marked_row, layout)
        if (borders := read_marks(marked_text, text, {r: marks[r] for r in spans})) is not None:
            return borders
    raise ValueError(
        f"record {row.get('id')}: the chat template of {tokenizer.name_or_path} changes the texts it is given, so "
        f"that problem, answer and critique cannot be told apart in the layout {layout!r}; try the other layout"
    )


def unused_characters(text: str, row: Mapping[str, Any]) -> Iterator[str]:
    """One character for each region, of those that Unicode assigns to nobody, that is nowhere in what is rendered."""
    taken = {*text, *(c for field in FIELD_OF.values() for c in row[field])}
    free = (chr(code) for code in range(0xE000, 0xF900) if chr(code) not in taken)
    return islice(free, len(FIELD_OF))


def places_for_marks(row: Mapping[str, Any]) -> Iterator[dict[str, Borders]]:
    """Where the two marks of each text go: at its ends; inside of white space; behind a reasoning trace as well."""
    texts = {region: row[field] for region, field in FIELD_OF.items()}
    for skips_space, skips_reasoning in ((False, False), (True, False), (True, True)):
        spans = {}
        for region, text in texts.items():
            begin, end = 0, len(text)
            if skips_reasoning and END_OF_REASONING in text:
                begin = text.rindex(END_OF_REASONING) + len(END_OF_REASONING)
            if skips_space:
                begin += len(text[begin:]) - len(text[begin:].lstrip())
                end = max(begin, len(text.rstrip()))
            if begin < end:
                spans[region] = (begin, end)
        yield spans


def marked(text: str, span: Borders, mark: str) -> str:
    """The text with the mark at both borders."""
    begin, end = span
    return text[:begin] + mark + text[begin:end] + mark + text[end:]


def read_marks(marked_text: str, text: str, marks: Mapping[str, str]) -> dict[str, Borders] | None:
    """Where the marks' borders are in `text`; None where the marks changed more than themselves."""
    position = 0
    found: dict[str, list[int]] = {region: [] for region in marks}
    region_of = {mark: region for region, mark in marks.items()}
    for character in marked_text:
        if region := region_of.get(character):
            found[region].append(position)
        else:
            position += 1
    unmarked = "".join(c for c in marked_text if c not in region_of)
    if unmarked != text or any(len(places) != 2 for places in found.values()):
        return None
    return {region: (begin, end) for region, (begin, end) in found.items()}
