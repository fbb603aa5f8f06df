"""The states of several paths at once (`wanted`), for who walks a JSON text once for all of them.

Contract: `JointStates` gives the state that a text begins in; each `JointState` those that its keys and elements lead to. Invariant: at most MOST states are remembered, whatever the text; one that is made again is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from pcapflow.payload.wanted import NOWHERE, Wanted, wanted

MOST = 4096
"""States that are remembered: a text reaches few, but one that was made to may reach each combination."""


class JointState:
    """Where a value stands in each of the paths."""

    __slots__ = ("_all", "_elements", "_holds", "_keys", "_other", "_states", "is_goal")

    def __init__(self, joint: JointStates, states: tuple[int, ...]) -> None:
        self._all = joint
        self._states = states
        self.is_goal = any(one.goals[state] for one, state in zip(joint.wanted, states, strict=True))
        """Whether a path wants the value."""
        self._holds: list[bool | None] = [None, None]
        self.forget()

    def forget(self) -> None:
        """Make what it leads to again when it is asked for."""
        self._keys: dict[bytes, JointState | None] = {
            str(key).encode("utf-8", "surrogatepass"): None
            for one, state in zip(self._all.wanted, self._states, strict=True)
            for key in one.keys[state]
        }
        self._other: JointState | None = None
        self._elements: dict[int, JointState] | None = None

    def holds(self, is_map: bool) -> bool:  # noqa: FBT001 - as it is opened
        """Whether a path may want what is in it, where it is a map, or an array."""
        found = self._holds[is_map]
        if found is None:
            found = self._holds[is_map] = self.leads and (is_map or any(one.is_goal or one.leads for one in self._all_elements().values()))
        return found

    @property
    def leads(self) -> bool:
        """Whether a path may go on from there."""
        return any(state != NOWHERE for state in self._states)

    def of_key(self, key: bytes) -> JointState:
        """The state of the value with that key, which has no escapes."""
        found = self._keys.get(key)
        if found is None:
            if key in self._keys:
                found = self._keys[key] = self._after_key(str(key, "utf-8", "surrogatepass"))
            elif (found := self._other) is None:
                found = self._other = self._after_key(None)
        return found

    def _after_key(self, key: str | None) -> JointState:
        """None: of one that no path names."""
        return self._all.of(
            tuple([one.keys[state].get(key, one.others[state]) for one, state in zip(self._all.wanted, self._states, strict=True)])
        )

    def of_element(self, position: int) -> JointState:
        """The state of the element at that position."""
        known = self._elements or self._all_elements()
        return known[position] if position in known else known[NOWHERE]

    def _all_elements(self) -> dict[int, JointState]:
        """Those that are told apart, by position, and that of the others."""
        if self._elements is None:
            some = {position for one, state in zip(self._all.wanted, self._states, strict=True) for position in one.indexes[state]}
            self._elements = {position: self._after_element(position) for position in (*some, NOWHERE)}
        return self._elements

    def _after_element(self, position: int) -> JointState:
        return self._all.of(tuple([one.element(state, position) for one, state in zip(self._all.wanted, self._states, strict=True)]))


class JointStates:
    """Those of some paths."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self.wanted = wanted
        self._known: dict[tuple[int, ...], JointState] = {}
        self.first = self.of(tuple(0 for _ in wanted))
        """That of a text."""
        self.nowhere = self.of(tuple(NOWHERE for _ in wanted))
        """That of a value which no path leads to."""

    def of(self, states: tuple[int, ...]) -> JointState:
        """That of a state of each path."""
        found = self._known.get(states)
        if found is None:
            if len(self._known) >= MOST:
                for one in self._known.values():
                    one.forget()
                self._known.clear()
            found = self._known[states] = JointState(self, states)
        return found


def joint_states(paths: Sequence[str]) -> JointStates:
    """Those of paths, for all texts. Raises `ValueError` for what is no path."""
    return JointStates([wanted(path) for path in paths])
