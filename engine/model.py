"""The student: built without memory, sharded, then filled from safetensors; a rank reads only its own slices.

    folder → build_student (meta device) → parallel.shard → materialise → weights.load_weights

`Student.forward` takes a pack and returns its loss. Everything runs inside one forward of the root module, and the head
itself computes the loss, so that FSDP's hooks gather and free embedding and head exactly once, tied or not.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from huggingface_hub import snapshot_download
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from engine.advice import first_line, hub_in_words, why
from engine.attention import IMPLEMENTATION, has_kernel
from engine.loss import masked_nll
from engine.packing import Pack
from engine.parallel import (
    COMPUTE_DTYPE,
    World,
    prepare_blocks,
    shard,
)
from engine.settings import StudentConfig, TrainConfig


class NLLHead(nn.Module):
    """The language model's head, which returns the loss in place of logits."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.weight = head.weight  # [V, D]; the very parameter, so tied weights stay tied

    def forward(
        self, hidden_SD: Tensor, targets_S: Tensor, weights_S: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(loss, nll_S) of supervised positions, see loss.py."""
        return masked_nll(hidden_SD, self.weight, targets_S, weights_S)


class Student(nn.Module):
    """A causal language model whose forward is the training objective."""

    def __init__(self, causal_lm: PreTrainedModel) -> None:
        super().__init__()
        causal_lm.lm_head = NLLHead(causal_lm.lm_head)
        self.causal_lm = causal_lm

    @property
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks: the unit of sharding, recomputation and compilation."""
        return self.causal_lm.model.layers

    @property
    def ends(self) -> list[nn.Module]:
        """Embedding and head, where each is gathered by itself; tied, they are in the root's group with the last norm.

        Neither needs its weights in backward: the head's gradients are known from the forward pass (loss.py).
        """
        lm = self.causal_lm
        return [] if lm.config.tie_word_embeddings else [lm.get_input_embeddings(), lm.lm_head]

    def forward(self, pack: Pack) -> tuple[Tensor, Tensor]:
        """(loss, nll_S) of one row: the weighted sum of its targets' NLL, and each target's own, detached."""
        hidden_1TD = self.causal_lm.model(
            input_ids=pack.token_ids_T[None],
            position_ids=pack.positions_T[None],
            use_cache=False,  # a cache would make transformers attend across documents
            borders_N1=pack.borders_N1,
            longest=pack.longest,
        ).last_hidden_state
        # Only supervised positions reach the head: most of a row is prompt, student answer and critique.
        hidden_SD = hidden_1TD[0, pack.supervised_S]
        return self.causal_lm.lm_head(hidden_SD, pack.targets_S, pack.weights_S)


def fetch_folder(student: StudentConfig) -> Path:
    """The local folder of the student, downloaded from the hub where it is not a folder already."""
    folder = Path(student.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"student.model: {folder} has no config.json, so it is not a model folder"
            )
        return folder
    if student.model.startswith((".", "/", "~")) or student.model.count("/") != 1:
        raise ValueError(
            f"student.model: there is no folder {folder}, and that is no hub id (owner/name)"
        )
    try:
        wanted = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "README.md"]
        return Path(
            snapshot_download(student.model, revision=student.revision, allow_patterns=wanted)
        )
    except OSError as error:
        raise ValueError(f"student.model: {hub_in_words(error, student.model)}") from None


def load_config(folder: Path) -> PretrainedConfig:
    """The folder's config.json. Raises ValueError where it says nothing that transformers understands."""
    with understood(folder, "config.json"):
        return AutoConfig.from_pretrained(folder)


@contextmanager
def understood(folder: Path, what: str) -> Iterator[None]:
    """One message for all that a library raises over a file of the folder."""
    try:
        yield
    except Exception as error:  # JSON, unknown models, tokenizers: each has errors of its own
        raise ValueError(
            f"student.model: the {what} of {folder} cannot be used ({first_line(error).rstrip(' :.')}); fetch the "
            f"folder again, or a transformers newer than {transformers.__version__} where the model is new"
        ) from error


def load_tokenizer(student: StudentConfig, folder: Path) -> PreTrainedTokenizerBase:
    """The student's tokenizer, with the chat template of the config where one is named."""
    with understood(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder)
    if student.chat_template is not None:
        template = Path(student.chat_template)
        if not template.is_file():
            raise ValueError(f"student.chat_template: there is no file {template}")
        try:
            tokenizer.chat_template = template.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"student.chat_template: {template}: {why(error)}") from None
    return tokenizer


def build_student(config: PretrainedConfig) -> Student:
    """The model on the meta device, in fp32: shapes without memory."""
    with torch.device("meta"):
        # deepcopy: from_config writes the attention implementation into the config it is given
        causal_lm = AutoModelForCausalLM.from_config(
            copy.deepcopy(config), attn_implementation=IMPLEMENTATION, dtype=torch.float32
        )
    require_known_arithmetic(causal_lm)
    return Student(causal_lm.train())


NOT_COMPUTED = (
    "attention_dropout",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
)
"""Config keys of other families that change attention or logits in ways that attention.py and loss.py leave out."""


def require_known_arithmetic(causal_lm: PreTrainedModel) -> None:
    """Raises ValueError for a model that would be trained as something else than it is, without a word."""
    name = type(causal_lm).__name__
    head = getattr(causal_lm, "lm_head", None)
    blocks = getattr(getattr(causal_lm, "model", None), "layers", [None])
    if head is None or head.bias is not None or not all(hasattr(b, "self_attn") for b in blocks):
        raise ValueError(
            f"student.model: {name} is not built like Llama (model.layers, self_attn, lm_head without bias); "
            "train a student of the Llama, Qwen2, OLMo-2 or Mixtral kind"
        )
    for key in NOT_COMPUTED:
        if (value := getattr(causal_lm.config, key, None)) not in (None, 0, 1):
            raise ValueError(
                f"student.model: {key} = {value} in config.json is not supported; "
                "it would be ignored, and another model trained than the one that is used"
            )


def shard_student(model_config: PretrainedConfig, config: TrainConfig, world: World) -> Student:
    """The student as this rank trains it: its shards in memory, contents undefined. Collective."""
    student = build_student(model_config)
    on_cuda, head_width = world.device.type == "cuda", student.blocks[0].self_attn.head_dim
    one_graph = has_kernel(on_cuda, COMPUTE_DTYPE[config.precision], head_width)
    prepare_blocks(student.blocks, config.activation_checkpointing, config.compile, one_graph)
    shard(student, student.blocks, student.ends, world, config.precision, config.cpu_offload)
    materialise(student, torch.device("cpu") if config.cpu_offload else world.device)
    return student


def materialise(student: Student, device: torch.device) -> None:
    """Memory for this rank's shards, contents undefined, and the buffers that no file holds, rebuilt.

    `Module.to_empty` would untie tied weights and leave rotary frequencies as garbage.
    """
    replaced: dict[nn.Parameter, nn.Parameter] = {}
    for module in student.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if parameter not in replaced:
                replaced[parameter] = nn.Parameter(torch.empty_like(parameter, device=device))
            module._parameters[name] = replaced[parameter]
        if module._non_persistent_buffers_set:
            fresh = type(module)(
                student.causal_lm.config
            )  # rotary embeddings: a function of the config
            for name in module._non_persistent_buffers_set:
                setattr(module, name, getattr(fresh, name).to(device))
    assert_tied(student)


def assert_tied(student: Student) -> None:
    """Tied weights are one tensor, not two that were equal once."""
    causal_lm = student.causal_lm
    tied = causal_lm.lm_head.weight is causal_lm.get_input_embeddings().weight
    assert tied == bool(causal_lm.config.tie_word_embeddings), "tied weights came apart"


def named_weights(student: Student) -> dict[str, nn.Parameter]:
    """Parameters by the names their files use; a tied weight stands under its first name only."""
    return dict(student.causal_lm.named_parameters())
