"""The hub: may this model be fetched, and if not, which command mends that.

    owner/name → one request for its config.json → fine | gated | unknown | no such revision | offline | no connection

Nothing is downloaded. The hub says "gated" only to those whom it does not let in, and calls a private model unknown,
so what to do next depends on whether a token is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from engine.advice import first_line
from launch.doctor_finding import Finding, error, ok

SECONDS = 10.0
"""For an answer of the hub."""
LOGIN = "hf auth login"
TOKEN_PAGE = "https://huggingface.co/settings/tokens"

WEIGHTS_AND_CONFIG = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True)
class Repository:
    """What is asked for, and where the configuration names it."""

    key: str
    name: str
    is_data_set: bool = False

    @property
    def page(self) -> str:
        """Where a person reads of it."""
        return f"https://huggingface.co/{'datasets/' if self.is_data_set else ''}{self.name}"

    @property
    def fetch(self) -> str:
        """The command that brings it to this machine."""
        return f"hf download {self.name}{' --repo-type dataset' if self.is_data_set else ''}"


def cached_folder(name: str, revision: str | None) -> Path | None:
    """The folder of a model in the hub's cache on this machine; None where nothing of it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=WEIGHTS_AND_CONFIG, local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def model_on_hub(key: str, name: str, revision: str | None) -> Finding:
    """Whether a model can be fetched."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    def ask() -> Any:
        url = hf_hub_url(name, "config.json", revision=revision)
        return get_hf_file_metadata(url, timeout=SECONDS)

    at = f" at revision {revision}" if revision else ""
    refused = asked(Repository(key, name), ask)
    return refused or ok(key, f"{name}{at}: on the hub, will be fetched from there")


def data_set_on_hub(key: str, name: str) -> Finding:
    """Whether a data set can be fetched."""
    from huggingface_hub import HfApi

    def ask() -> Any:
        HfApi().auth_check(name, repo_type="dataset")

    refused = asked(Repository(key, name, is_data_set=True), ask)
    return refused or ok(key, f"{name}: on the hub, will be fetched from there")


def download_bytes(name: str, revision: str | None) -> int:
    """What fetching a model takes; 0 where the hub does not say."""
    from huggingface_hub import HfApi

    try:
        told = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=SECONDS)
    except Exception:  # why it cannot be asked is another finding
        return 0
    wanted = tuple(pattern[1:] for pattern in WEIGHTS_AND_CONFIG)
    return sum(file.size or 0 for file in told.siblings or () if file.rfilename.endswith(wanted))


def asked(wanted: Repository, ask: Callable[[], Any]) -> Finding | None:
    """What is wrong; None where the hub lets us in."""
    from huggingface_hub import errors, get_token

    key, name, has_token = wanted.key, wanted.name, get_token() is not None
    try:
        ask()
    except errors.GatedRepoError:
        return gated(wanted, has_token)
    except errors.RepositoryNotFoundError:
        return unknown(wanted, has_token)
    except errors.RevisionNotFoundError:
        page = f"see {wanted.page}/tree/main for its branches"
        return error(key, f"{name} has no such revision", page)
    except errors.EntryNotFoundError:
        return error(
            key,
            f"{name} is on the hub, but holds no config.json: it is no model folder for transformers",
            "name the model that these files (GGUF, an adapter, …) were made from",
        )
    except errors.DisabledRepoError:
        return error(key, f"{name} was disabled on the hub", "use another one")
    except errors.OfflineModeIsEnabled:
        return offline(wanted)
    except errors.HfHubHTTPError as failure:
        return refused_by_hub(wanted, failure.response.status_code)
    except errors.HFValidationError as failure:
        return error(key, f"{name!r} cannot be a name on the hub: {first_line(failure)}")
    except Exception as failure:  # of the HTTP library below: no name, no route, no answer
        return error(
            key,
            f"{not_here(name)}, and the hub cannot be reached: {first_line(failure)}",
            f"name a folder or, where there is a connection:\n{wanted.fetch} --local-dir FOLDER",
        )
    return None


def gated(wanted: Repository, has_token: bool) -> Finding:
    """The owner lets in who has asked."""
    accept = f"accept its conditions at {wanted.page}"
    if has_token:
        detail = f"{wanted.name} is gated, and the account of your token has not been let in"
        return error(wanted.key, detail, f"{accept}\nthen the same command again")
    detail = f"{wanted.name} is gated, and this machine has no token"
    return error(wanted.key, detail, f"{accept}\n{LOGIN}\n(a token for it: {TOKEN_PAGE})")


def unknown(wanted: Repository, has_token: bool) -> Finding:
    """Mistyped, or private."""
    private = "is your token allowed to read it?" if has_token else LOGIN
    return error(
        wanted.key,
        f"{not_here(wanted.name)}, and the hub knows none of that name",
        f"check the spelling; if it is private: {private}",
    )


def offline(wanted: Repository) -> Finding:
    """The user, or a cluster's profile, has switched the hub off."""
    variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    named = next((v for v in variables if os.environ.get(v)), variables[0])
    detail = f"{not_here(wanted.name)}, the hub's cache does not hold all of it, and {named} is set"
    return error(wanted.key, detail, f"env -u {named} {wanted.fetch}")


def refused_by_hub(wanted: Repository, status: int) -> Finding:
    """An HTTP status that says nothing of the repository itself."""
    if status in (401, 403):
        detail = f"the hub does not accept your token for {wanted.name} (HTTP {status})"
        return error(wanted.key, detail, f"{LOGIN} --force\n(a token for it: {TOKEN_PAGE})")
    again = "wait a minute; then the same command again"
    return error(wanted.key, f"the hub answers HTTP {status} for {wanted.name}", again)


def not_here(name: str) -> str:
    """`there is no folder NAME in FOLDER`, and what it was perhaps meant to be."""
    near = get_close_matches(name, neighbours(name), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"there is no folder {name} in {Path.cwd()}{hint}"


def neighbours(name: str) -> list[str]:
    """Models of the hub's cache here, and folders beside the one that was perhaps meant."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = [
        path.name.removeprefix("models--").replace("--", "/")
        for path in Path(HF_HUB_CACHE).glob("models--*")
    ]
    parent = Path(name).parent
    beside = [str(path) for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    return [other for other in (*cached, *beside) if other != name]
