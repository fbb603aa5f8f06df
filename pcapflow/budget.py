"""One budget for every byte that a capture makes pcapflow keep.

Contract: a component asks its `Account` before it stores (`reserve`) and tells it when it no longer does (`release`).
A refused reservation changes nothing. Invariant: the ledger's use is the sum of its accounts' use, and neither is ever
above its limit. The ledger keeps each high-water mark with the packet at which it was reached; the packet comes from
whoever is working, by `Ledger.at`, so that time is capture time.

What is not counted: Python itself, numpy, code and the objects of one packet while it is being looked at. docs/memory.md
has the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pcapflow.limits import Limits


class Account:
    """The reservations of one component, in bytes."""

    __slots__ = ("_ledger", "beside", "limit", "limit_name", "name", "peak", "peak_packet", "peak_ts", "used")

    def __init__(self, ledger: Ledger, name: str, limit: int, limit_name: str) -> None:
        self._ledger = ledger
        self.name = name
        self.limit = limit
        self.limit_name = limit_name
        self.used = 0
        self.peak = 0
        self.peak_packet = 0
        self.peak_ts = 0
        self.beside: tuple[Account, ...] = ()
        """Accounts of small objects, whose room this one cannot have when they have given it back: see `stays`."""

    def reserve(self, n: int) -> bool:
        """Take n bytes; False, with nothing changed, where this account or the whole has too little left."""
        ledger = self._ledger
        used = self.used + n
        total = ledger.used + n
        if used > self.limit or total > ledger.limit or (self.beside and total + stays(self.beside) > ledger.limit):
            ledger.pressure = True
            ledger.refused = self.limit_name if used > self.limit else "memory_limit"
            return False
        self.used = used
        ledger.used = total
        if used > self.peak:
            self.peak = used
            self.peak_packet = ledger.packet
            self.peak_ts = ledger.ts
            if total > ledger.peak:
                ledger.peak = total
                ledger.peak_packet = ledger.packet
                ledger.peak_ts = ledger.ts
        elif total > ledger.peak:
            ledger.peak = total
            ledger.peak_packet = ledger.packet
            ledger.peak_ts = ledger.ts
        return True

    def reserve_or_borrow(self, n: int) -> bool:
        """The same for what nobody can do without: in an account that is apart (`Ledger.leave`) it may have room of the others, where that is free, to the end of the run."""
        ledger = self._ledger
        lender = ledger.lender
        more = max(self.used + n - self.limit, ledger.used + n - ledger.limit)
        if lender is not None and 0 < more <= lender.limit - lender.used:
            lender.limit -= more
            ledger.limit += more
            self.limit += more
        return self.reserve(n)

    def has_room(self, n: int) -> bool:
        """Whether n bytes could be reserved; asking is no request, and leaves no mark."""
        return self.used + n <= self.limit and self._ledger.used + n + stays(self.beside) <= self._ledger.limit

    def is_half_free(self, n: int) -> bool:
        """Whether with n bytes more at least half of the account and of the whole were free still: for what can do without, and is not to be why others are refused."""
        ledger = self._ledger
        return 2 * (self.used + n) <= self.limit and 2 * (ledger.used + n + stays(self.beside)) <= ledger.limit + ledger.aside

    def refusal(self) -> tuple[str, int]:
        """The limit that refused the last reservation that was refused, and its value."""
        ledger = self._ledger
        return ledger.refused, self.limit if ledger.refused == self.limit_name else ledger.limit

    def move(self, ledger: Ledger) -> None:
        """Count under another ledger, what is used too."""
        self._ledger.used -= self.used
        ledger.used += self.used
        ledger.peak = max(ledger.peak, ledger.used)
        self._ledger = ledger

    def release(self, n: int) -> None:
        """Give n bytes back."""
        self.used -= n
        self._ledger.used -= n
        if self.used < 0:
            raise AssertionError(f"account {self.name} gave back more than it took")


def stays(accounts: Iterable[Account]) -> int:
    """Bytes that the process may still have of small objects which those accounts took and gave back: one that is left keeps the memory around it from the system, so that other small objects may have it, and
    nothing else. An eighth less than they were, so that a run in which they took all has something left.
    """
    return sum([account.peak - account.used for account in accounts]) * 7 // 8


class RefusingAccount(Account):
    """An account that refuses one reservation, whatever room it has: how a test, or a user, makes memory short on purpose."""

    __slots__ = ("_calls", "_refused_call")

    def __init__(self, ledger: Ledger, name: str, limit: int, limit_name: str, call: int) -> None:
        """call: which reservation is refused, from 1."""
        super().__init__(ledger, name, limit, limit_name)
        self._calls = 0
        self._refused_call = call

    def reserve(self, n: int) -> bool:
        """As `Account.reserve`."""
        self._calls += 1
        if self._calls == self._refused_call:
            self._ledger.pressure = True
            self._ledger.refused = self.limit_name
            return False
        return super().reserve(n)

    def has_room(self, n: int) -> bool:
        """Never sure: so each request is made on its own, and counted."""
        return False

    def is_half_free(self, n: int) -> bool:
        """As `has_room`."""
        return False


class Ledger:
    """All accounts of one run under one limit."""

    __slots__ = (
        "apart", "aside", "blocks", "connections", "content", "fragments", "history", "http", "json", "lender", "limit", "output",
        "packet", "peak", "peak_packet", "peak_ts", "plugins", "pressure", "refused", "rings", "ts", "used",
    )  # fmt: skip

    NAMES = ("rings", "connections", "history", "http", "content", "json", "plugins", "output", "fragments", "blocks")

    def __init__(self, limits: Limits, refuse: Mapping[str, int] | None = None) -> None:
        """refuse: account to which of its reservations is refused, from 1."""
        self.limit = limits.memory_limit
        self.used = 0
        self.peak = 0
        self.peak_packet = 0
        self.peak_ts = 0
        self.apart: Ledger | None = None
        """That of the accounts which have their room for themselves (`leave`)."""
        self.lender: Ledger | None = None
        """Of one that is apart: see `Account.reserve_or_borrow`."""
        self.aside = 0
        """Bytes that were used when the rest was divided (`leave`): of the rest a half is free, or not."""
        self.pressure = False
        self.refused = "memory_limit"
        """The limit that refused the last reservation that was refused."""
        self.packet = 0
        self.ts = 0
        bounds = limits.as_dict()

        def account(name: str) -> Account:
            own = bounds.get(f"{name}_total", limits.memory_limit)
            limit_name = f"{name}_total" if own < limits.memory_limit else "memory_limit"
            own = min(own, limits.memory_limit)
            call = (refuse or {}).get(name)
            return Account(self, name, own, limit_name) if call is None else RefusingAccount(self, name, own, limit_name, call)

        self.rings = account("rings")
        self.connections = account("connections")
        self.history = account("history")
        self.http = account("http")
        self.content = account("content")
        self.json = account("json")
        self.plugins = account("plugins")
        self.output = account("output")
        self.fragments = account("fragments")
        self.blocks = account("blocks")
        small = (self.connections, self.history, self.http, self.output)
        for large in (self.rings, self.content, self.json):
            large.beside = small

    def accounts(self) -> list[Account]:
        """The accounts in the order of the report."""
        return [getattr(self, name) for name in self.NAMES]

    def leave(self, limits: Limits, blocks: int, fragments: int) -> None:
        """Beside what is used already each account, and all together, may take what those limits say, and no more. What is read and put together before connections are told
        apart has so many bytes of that for itself: processes that share a run each do it alone, and must come to the same.
        """
        bounds = limits.as_dict()
        self.apart = apart = Ledger(limits)
        apart.lender = self
        for account, most in ((self.blocks, blocks), (self.fragments, fragments)):
            account.limit = account.used + most
            account.move(apart)
        apart.limit = self.blocks.limit + self.fragments.limit
        for account in self.accounts():
            if account not in (self.blocks, self.fragments):
                own = bounds.get(f"{account.name}_total", limits.memory_limit)
                account.limit = account.used + min(own, limits.memory_limit)
        self.aside = self.used
        self.limit = self.used + limits.memory_limit - blocks - fragments

    def at(self, packet: int, ts: int) -> None:
        """The packet number and time (ns) that further high-water marks are put down to."""
        self.packet = packet
        self.ts = ts
        if self.apart is not None:
            self.apart.at(packet, ts)


class Share:
    """A part of the `output` account that one sink has for itself, taken when the run begins: what others hold does not change what it keeps."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        """most: bytes; an eighth of the account is taken at the most."""
        self._ledger = ledger
        self._account = ledger.output
        wanted = min(most, ledger.output.limit // 8)
        self.limit = wanted if ledger.output.reserve(wanted) else 0
        self.used = 0

    def take(self, n: int) -> bool:
        """n bytes; False, with nothing changed, where the share has too little left."""
        if self.used + n > self.limit:
            return False
        self.used += n
        return True

    def short(self) -> None:
        """Something was left out for want of it: of what, depends on what comes together."""
        self._ledger.pressure = True

    def give(self, n: int) -> None:
        """Give n bytes back to the share."""
        self.used -= n

    def close(self) -> None:
        """Give the share back to the account."""
        self._account.release(self.limit)
        self.limit = self.used = 0
