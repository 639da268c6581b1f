"""The scripted generator: a Python function plays the teacher. No model, always the same texts.

    teacher(stage, record, seed) -> text

`arithmetic` is the built-in world's teacher; others of that world err, mislead, are vague or judge
critiques (`BUILT_IN`, `BY_PERCENT`); `package.module:function` names any other. The function's source is
hashed into the identity: an edited script is another teacher.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from datagen.generators import Completion, Request, Sampling, Session
from datagen.records import Record
from datagen.sessions import BatchSession

Teacher = Callable[[str, Record, int], str]
"""(stage, record, seed) -> what the teacher writes."""

BUILT_IN = {
    "arithmetic": "datagen.arithmetic:teacher",
    "arithmetic-vague": "datagen.flawed_tutor:vague",
    "arithmetic-judge": "datagen.critique_judge:judge",
}
BY_PERCENT = {
    "arithmetic-errs": "datagen.flawed_tutor:errs",
    "arithmetic-misleads": "datagen.flawed_tutor:misleads",
}
"""Names that a number is joined to, as in `arithmetic-errs-25`: of so many records in a hundred it is so."""


class ScriptedGenerator:
    """A generator whose texts come from a Python function; its tokens are counted as words."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._teacher = find_teacher(script)
        self._identity = {
            "backend": "scripted",
            "model": script,
            "revision": _source_hash(self._teacher),
        }

    @property
    def identity(self) -> dict[str, str]:
        """The script's name and the hash of its source file."""
        return self._identity

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """Calls the function for each request that is not done; `sampling` means nothing to it."""
        for index, request in enumerate(requests):
            if index not in done:
                yield index, self._complete(request)

    def open(self) -> Session:
        """One text after the other."""
        return BatchSession(self.generate)

    def _complete(self, request: Request) -> Completion:
        if request.record is None:
            raise ValueError(
                f"a scripted teacher cannot answer {request.id}: it needs the whole record"
            )
        started = time.perf_counter()
        text: object = self._teacher(request.stage, request.record, request.seed)
        if not isinstance(text, str):
            kind = type(text).__name__
            raise ValueError(
                f"the script {self._script} must return a string, got {kind} ({request.id})"
            )
        return Completion(
            text=text,
            finish_reason="stop",
            prompt_tokens=sum(len(message["content"].split()) for message in request.messages),
            completion_tokens=len(text.split()),
            seconds=time.perf_counter() - started,
        )


def find_teacher(script: str) -> Teacher:
    """The function behind a built-in name or `package.module:function`."""
    name, _, percent = script.rpartition("-")
    if name in BY_PERCENT:
        return _named(BY_PERCENT[name], script)(_percent(percent, script))
    return _named(BUILT_IN.get(script, script), script)


def _percent(written: str, script: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}", written) and 1 <= int(written) <= 100:
        return int(written)
    raise ValueError(f"{script!r} must end with a whole number from 1 to 100, the share in percent")


def _named(target: str, script: str) -> Any:
    """The function at `package.module:function`."""
    module_name, colon, function_name = target.partition(":")
    if not colon or not module_name or not function_name:
        known = (*BUILT_IN, *(f"{name}-25" for name in BY_PERCENT))
        near = get_close_matches(script, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else 'write "package.module:function"'
        raise ValueError(f"no scripted teacher is called {script!r}; {hint}")
    function = getattr(_import(module_name, script), function_name, None)
    if not callable(function):
        raise ValueError(f"{script!r}: the module {module_name} has no function {function_name}")
    return function


def _import(module_name: str, script: str) -> object:
    if os.getcwd() not in sys.path:  # `python -m` looks there, a command of its own does not
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the script was found; something that it imports was not
        raise ValueError(
            f"{script!r}: there is no module {module_name} in {os.getcwd()} or on PYTHONPATH"
        ) from None


def _source_hash(teacher: Teacher) -> str:
    """Of the function's file, or of its whole package where it lies in one: what it calls counts, too."""
    function = inspect.unwrap(teacher)
    source = inspect.getsourcefile(function)
    if source is None:
        return ""
    packaged = "." in getattr(function, "__module__", "")
    files = sorted(Path(source).parent.rglob("*.py")) if packaged else [Path(source)]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return f"sha256:{digest.hexdigest()[:16]}"
