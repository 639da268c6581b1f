"""Refusals: texts that decline to help instead of answering, in English.

    opening of the text -> a sentence that declines -> a refusal, unless the text goes on to an answer

Precision comes first: a teacher's refusal that is missed trains on one poor record, a mathematician's "I cannot
find an integer solution" that is taken for one loses a good record, and does so by topic. So the verb must be
one of helping (help, assist, comply, fulfil …), the sentence must stand near the start, and a text that gives an
answer all the same, or that is as long as a solution, is none. What lacks information ("I cannot answer
without the figure") is a statement about the problem, not a refusal.
"""

from __future__ import annotations

import re

OPENING_CHARS = 300
"""A refusal says so at once."""
MAX_REFUSAL_CHARS = 1500
"""Longer texts hold more than a refusal."""

_CANNOT = (
    r"(?:can(?:no|')t|can not|could not|couldn't|won't|will not|(?:am|'m) (?:unable|not able) to"
    r"|(?:am|'m) not (?:comfortable|allowed|permitted|programmed|designed) to|(?:must|have to|need to) decline to"
    r"|decline to|refuse to|(?:am|'m) not going to)"
)
_HELP = (
    r"(?:help(?! but\b)|assist|comply|ful ?fill?|accommodate|engage (?:with|in)|participate|take part"
    r"|do that\b|do this for you|continue (?:with )?this conversation|support (?:this|that|such)"
    r"|discuss (?:this|that|such)|(?:respond|reply) to (?:this|that|your)"
    r"|(?:provide|offer|give|create|generate|write|produce|share) (?:you (?:with )?)?(?:(?:a|an|any|the|that|this) )?"
    r"(?:such\b|assistance|help\b|support|guidance|information (?:about|on|that|to)|content|instructions|advice"
    r"|critique|feedback|medical|legal|harmful)"
    r"|complete (?:this|that|your) (?:request|task)|answer (?:that|this|your) (?:kind|type|sort)s? of)"
)
_FIRST_PERSON = (  # behind "i"
    rf" {{0,2}}(?:really |simply |just |also )?{_CANNOT} (?:to )?(?:\w+ly )?{_HELP}"
    r"|(?: am|'m)? (?:\w+ )?(?:sorry|afraid|apologi[sz]e|regret)\b[^.!?\n]{0,80}?\bthat(?:'s| is) "
    r"(?:not )?something i (?:can(?:no|')t|can not|am not able to|can) (?:do|help|assist)"
    r"|(?: am|'m) (?:just |only )?an? (?:ai|(?:large )?language model)\b[^.!?\n]{0,60}?"
    r"\b(?:can(?:no|')t|can not|unable|not able|do not|don't)\b"
)
_AS_AN_AI = (
    r"\bas an? (?:ai|artificial intelligence|large language model|language model)\b[^.!?\n]{0,60}?,? i "
    r"(?:can(?:no|')t|can not|do not|don't|am not|'m not|am unable|have no|must|will not|won't)\b"
)
_AGAINST_RULES = r"\b(?:violates?|against) (?:my|our|the) (?:\w+ )?(?:guidelines|polic(?:y|ies)|programming|principles)"
_SORRY = (
    r"\A(?:i(?: am|'m) )?(?:very |so )?sorry,? (?:but )?(?:no|i (?:can(?:no|')t|can not))[.!]?\Z"
)
DECLINES = [
    (word, re.compile(pattern))
    for word, pattern in (
        ("i", rf"i(?<=\bi)(?:{_FIRST_PERSON})"),  # \bi would be tried at every character
        ("as a", _AS_AN_AI),
        ("violate", _AGAINST_RULES),
        ("against", _AGAINST_RULES),
        ("sorry", _SORRY),
    )
]
"""What declines, in lower case, and a word without which it cannot."""
_ANSWERS = re.compile(r"\\boxed|####|\banswer\s(?:is|=)|\banswer:|=\s?-?\d", re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Whether a text declines to help and gives nothing else."""
    text = text.strip()
    if len(text) > MAX_REFUSAL_CHARS:
        return False
    opening = text[:OPENING_CHARS].replace("\u2019", "'").lower()
    declines = any(word in opening and pattern.search(opening) for word, pattern in DECLINES)
    return declines and _ANSWERS.search(text) is None
