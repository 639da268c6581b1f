"""What nobody can see is made visible: control and bidirectional characters, before a text stands on a page.

Escaping keeps a model's text from being HTML; it does not keep it from turning the reading order around or from
hiding characters. Such a character is shown by its number, ⟨U+202E⟩. Joiners stay: emoji and several scripts need
them.
"""

from __future__ import annotations

import re

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""All controls but tab and line feed; marks and overrides of direction; separators; what has no width; halves of
surrogate pairs; tags."""


def visible(text: str) -> str:
    """The same text with every hidden character as its number."""
    return HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))
