"""The hub: may this model be fetched, and if not, which command mends that.

    owner/name → one request for its config.json → fine | gated | unknown | no such revision | offline | no connection

Nothing is downloaded. The hub says "gated" only to those whom it does not let in, and calls a private model unknown,
so what to do next depends on whether a token is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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
    return asked(key, name, ask) or ok(key, f"{name}{at}: on the hub, will be fetched from there")


def download_bytes(name: str, revision: str | None) -> int:
    """What fetching a model takes; 0 where the hub does not say."""
    from huggingface_hub import HfApi

    try:
        told = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=SECONDS)
    except Exception:  # why it cannot be asked is another finding
        return 0
    wanted = tuple(pattern[1:] for pattern in WEIGHTS_AND_CONFIG)
    return sum(file.size or 0 for file in told.siblings or () if file.rfilename.endswith(wanted))


def data_set_on_hub(key: str, name: str) -> Finding:
    """Whether a data set can be fetched."""
    from huggingface_hub import HfApi

    def ask() -> Any:
        HfApi().auth_check(name, repo_type="dataset")

    refused = asked(key, name, ask, page=f"datasets/{name}")
    return refused or ok(key, f"{name}: on the hub, will be fetched from there")


def asked(key: str, name: str, ask: Callable[[], Any], page: str | None = None) -> Finding | None:
    """What is wrong; None where the hub lets us in."""
    from huggingface_hub import errors, get_token

    page = f"https://huggingface.co/{page or name}"
    try:
        ask()
    except errors.GatedRepoError:
        return gated(key, name, page, has_token=get_token() is not None)
    except errors.RepositoryNotFoundError:
        return unknown(key, name, has_token=get_token() is not None)
    except errors.RevisionNotFoundError:
        return error(key, f"{name} has no such revision", f"see {page}/tree/main for its branches")
    except errors.EntryNotFoundError:
        return error(
            key,
            f"{name} is on the hub, but holds no config.json: it is no model folder for transformers",
            "name the model that these files (GGUF, an adapter, …) were made from",
        )
    except errors.DisabledRepoError:
        return error(key, f"{name} was disabled on the hub", "use another model")
    except errors.OfflineModeIsEnabled:
        return offline(key, name)
    except errors.HfHubHTTPError as failure:
        return refused_by_hub(key, name, failure)
    except errors.HFValidationError as failure:
        return error(key, f"{name!r} cannot be the name of a model: {first_line(failure)}")
    except (
        Exception
    ) as failure:  # of the HTTP library below the hub's: no name, no route, no answer
        return error(
            key,
            f"there is no folder {name} in {Path.cwd()}, and the hub cannot be reached: "
            f"{first_line(failure)}",
            f"name a folder, or where there is a connection:\nhf download {name} --local-dir FOLDER",
        )
    return None


def gated(key: str, name: str, page: str, has_token: bool) -> Finding:
    """The owner lets in who has asked."""
    if has_token:
        return error(
            key,
            f"{name} is gated, and the account of your token has not been let in",
            f"accept its conditions at {page}\nthen the same command again",
        )
    return error(
        key,
        f"{name} is gated, and this machine has no token",
        f"accept its conditions at {page}\n{LOGIN}\n(a token for it: {TOKEN_PAGE})",
    )


def unknown(key: str, name: str, has_token: bool) -> Finding:
    """Mistyped, or private."""
    near = get_close_matches(name, neighbours(name), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    private = "is your token allowed to read it?" if has_token else LOGIN
    return error(
        key,
        f"the hub knows no {name}, and there is no such folder in {Path.cwd()}{hint}",
        f"check the spelling; if it is private: {private}",
    )


def neighbours(name: str) -> list[str]:
    """Models of the hub's cache here, and folders beside the one that was perhaps meant."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = [
        path.name.removeprefix("models--").replace("--", "/")
        for path in Path(HF_HUB_CACHE).glob("models--*")
    ]
    parent = Path(name).parent
    beside = [str(path) for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    return [*cached, *beside]


def offline(key: str, name: str) -> Finding:
    """The user, or a cluster's profile, has switched the hub off."""
    variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    named = next((v for v in variables if os.environ.get(v)), variables[0])
    near = get_close_matches(name, neighbours(name), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return error(
        key,
        f"{name} is neither a folder in {Path.cwd()} nor in the hub's cache, and {named} is set{hint}",
        f"env -u {named} hf download {name}",
    )


def refused_by_hub(key: str, name: str, failure: Any) -> Finding:
    """An HTTP status that says nothing of the model itself."""
    status = failure.response.status_code
    if status in (401, 403):
        return error(
            key,
            f"the hub does not accept your token for {name} (HTTP {status})",
            f"{LOGIN} --force\n(a token for it: {TOKEN_PAGE})",
        )
    later = "wait a minute; then the same command again"
    return error(key, f"the hub answers HTTP {status} for {name}", later)
