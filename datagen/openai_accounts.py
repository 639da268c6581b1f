"""What a session has used up: tokens as the servers count them, and money at the config's prices."""

from __future__ import annotations

from dataclasses import dataclass

from datagen.generators import Failure, Outcome


@dataclass
class Accounts:
    """Sums over the outcomes that were collected.

    What servers wrote for attempts that timed out or broke off is not in here: nobody reports it, but a provider may
    charge it. `failed_attempts` says how often that can have happened.
    """

    completions: int = 0
    failures: int = 0
    """Requests of which no text came."""
    failed_attempts: int = 0
    """Of all requests, also of those that succeeded in the end."""
    without_usage: int = 0
    """Completions whose server did not count tokens: they are missing below."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt tokens."""
    completion_tokens: int = 0
    usd_per_million_prompt_tokens: float = 0.0
    usd_per_million_completion_tokens: float = 0.0

    @property
    def usd(self) -> float:
        """Cached tokens at the full price: rather too much than too little."""
        prompt = self.prompt_tokens * self.usd_per_million_prompt_tokens
        written = self.completion_tokens * self.usd_per_million_completion_tokens
        return (prompt + written) / 1e6

    @property
    def total_tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens

    def add(self, outcome: Outcome, failed_attempts: int = 0) -> None:
        """Books one outcome, with the attempts that came to nothing before it."""
        self.failed_attempts += failed_attempts
        if isinstance(outcome, Failure):
            self.failures += 1
            return
        self.completions += 1
        self.without_usage += outcome.prompt_tokens == 0
        self.prompt_tokens += outcome.prompt_tokens
        self.cached_tokens += outcome.cached_tokens
        self.completion_tokens += outcome.completion_tokens

    def sentence(self) -> str:
        """One line for people."""
        money = f", ${self.usd:,.2f}" if self.usd else ""
        blind = f"; {self.without_usage:,} replies without counts" if self.without_usage else ""
        return (
            f"{self.completions:,} texts, {self.prompt_tokens:,} prompt tokens "
            f"({self.cached_tokens:,} cached), {self.completion_tokens:,} written{money}; "
            f"{self.failed_attempts:,} attempts failed, {self.failures:,} requests{blind}"
        )
