"""The budget: a run stops before it has cost more than the user allows.

    Budget.admits(work)? -> reserve -> ... -> release, and the journals count what it really took

Work in flight counts with the most it may take: all of its max_tokens, and its prompt at two
characters a token. So towards the end fewer requests are in flight, and the limit is kept, as far as a
tokenizer needs no more than that. What was spent is read from the journals. A worker of N has an Nth
of the budget, and it is spent by the texts of its own shard, whoever wrote them: so nobody has to ask
the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from datagen.accounts import Price
from datagen.journal import Spent
from datagen.plan import Work
from datagen.stages import GenerateConfig

CHARACTERS_PER_TOKEN = 2


class BudgetSpent(ValueError):
    """The run has stopped because of what it may cost; nothing is wrong with it."""

    exit_code = 1


@dataclass
class Budget:
    """Counts what texts cost; the one object here that changes."""

    max_usd: float | None
    max_tokens: int | None
    prices: Mapping[str, Price]
    """By stage."""
    spent: Mapping[str, Spent]
    """By stage, as the journals count it: it grows."""
    share: float = 1.0
    """The worker's, of both limits."""
    reserved: dict[str, Spent] = field(default_factory=dict)
    """By stage: the most that work in flight may take."""

    @classmethod
    def of(
        cls,
        config: GenerateConfig,
        prices: Mapping[str, Price],
        spent: Mapping[str, Spent],
        workers: int,
    ) -> Budget:
        """The budget of one of so many workers."""
        return cls(config.max_usd, config.max_total_tokens, prices, spent, 1 / workers)

    def usd(self, spent: Mapping[str, Spent]) -> float:
        """What tokens cost."""
        free = Price()
        return (
            sum(
                tokens.prompt * self.prices.get(stage, free).prompt
                + tokens.completion * self.prices.get(stage, free).completion
                for stage, tokens in spent.items()
            )
            / 1_000_000
        )

    @property
    def has_limit(self) -> bool:
        """Whether there is anything to watch."""
        return self.max_usd is not None or self.max_tokens is not None

    def admits(self, work: Work) -> bool:
        """Whether the work fits, at its worst, beside what is in flight."""
        if not self.has_limit:
            return True
        most = {work.plan.name: most_of(work)}
        return self._fits(self.spent, self.reserved, most)

    def is_spent(self) -> bool:
        """Whether a limit is reached."""
        return self.has_limit and not self._fits(self.spent)

    def _fits(self, *parts: Mapping[str, Spent]) -> bool:
        tokens = sum(spent.tokens for part in parts for spent in part.values())
        usd = sum(self.usd(part) for part in parts)
        too_many = self.max_tokens is not None and tokens > self.max_tokens * self.share
        too_dear = self.max_usd is not None and usd > self.max_usd * self.share
        return not (too_many or too_dear)

    def reserve(self, work: Work) -> None:
        """The work is in flight."""
        self._reserve(work, 1)

    def release(self, work: Work) -> None:
        """It is not any more."""
        self._reserve(work, -1)

    def _reserve(self, work: Work, sign: int) -> None:
        if not self.has_limit:
            return
        stage, most = self.reserved.setdefault(work.plan.name, Spent()), most_of(work)
        stage.prompt += sign * most.prompt
        stage.completion += sign * most.completion

    def sentence(self) -> str:
        """Why the run stops, and what it has cost."""
        tokens = sum(spent.tokens for spent in self.spent.values())
        limits = []
        if self.max_usd is not None:
            limits.append(f"generate.max_usd = {self.max_usd:g}")
        if self.max_tokens is not None:
            limits.append(f"generate.max_total_tokens = {self.max_tokens:,}")
        own = "" if self.share == 1 else f" (this worker's share of it: {self.share:.3g})"
        return (
            f"the budget is spent: {tokens:,} tokens, {self.usd(self.spent):,.2f} USD, of "
            f"{' and '.join(limits)}{own}; the next request might go beyond it. All texts are safe: "
            "with a larger budget the same command goes on"
        )


def most_of(work: Work) -> Spent:
    """The most that a request may take."""
    characters = sum(len(message["content"]) for message in work.request.messages)
    return Spent(characters // CHARACTERS_PER_TOKEN, work.sampling.max_tokens)
