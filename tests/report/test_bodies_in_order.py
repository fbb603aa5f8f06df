"""Bodies one after the other: the same bytes as with all of them at hand, and no more kept than are under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pcapflow.body_entries import Begun, BodyFound
from pcapflow.report.sinks.bodies import NOT_MEANT, Key, OneAfterTheOther, name_of

FOUND = BodyFound(1, 0, "response", 1, 0.0, None, None, None, None, None, 0, 0, 0, "complete", None, None, None)


@dataclass
class Made:
    """One body, as the model has it."""

    key: Key
    begun: Begun
    data: list[bytes] = field(default_factory=list)
    ended: bool = False
    over: bool = False
    discarded: bool = False


def model(bodies: list[Made], *, names: bool) -> bytes:
    """What is written of bodies of which all is known: those before the first that is not over and decided, and what is there of that."""
    out, count = b"", 0
    for one in bodies:
        decided = one.begun.decided or one.over
        if one.discarded:
            continue
        data = b"".join(one.data)
        if decided and data:
            if count or names:
                said = [name_of(one.key[0], one.begun.exchange, one.begun.side), str(one.begun.status), str(one.begun.content_type)]
                out += (b"\n" if out and not out.endswith(b"\n") else b"") + f"--- {', '.join(said)}\n".encode()
            out += data
            count += 1
        if not (decided and one.ended):
            break
    return out


pieces = st.sampled_from([b"a", b"bc\n", b"\n", b"long " * 10])
steps = st.lists(
    st.tuples(st.sampled_from(["begin", "write", "write", "end", "over", "over", "refuse"]), st.integers(0, 7), pieces, st.booleans()),
    max_size=80,
)


@given(steps, st.booleans())
def test_what_is_written_is_what_would_be_with_all_bodies_at_hand(made: list[tuple[str, int, bytes, bool]], names: bool) -> None:
    out: list[bytes] = []
    target = OneAfterTheOther(out.append, names_first=names)
    bodies: list[Made] = []
    for step, which, data, decided in made:
        open_ones = [one for one in bodies if not one.over and not one.discarded]
        if step == "begin":
            one = Made((len(bodies) % 3, len(bodies)), Begun(len(bodies), "response", 200, "text/plain", None, decided))
            bodies.append(one)
            target.begins(one.key, one.key[0], one.begun)
        elif open_ones:
            one = open_ones[which % len(open_ones)]
            if step == "write" and not one.ended:
                one.data.append(data)
                target.write(one.key, data)
            elif step == "end" and not one.ended:
                one.ended = True
                target.ends(one.key)
            elif step == "over" and one.ended:
                one.over = True
                target.over(one.key, FOUND, None)
            elif step == "refuse" and not one.begun.decided:
                one.discarded = True
                target.over(one.key, FOUND, NOT_MEANT)
        assert b"".join(out) == model(bodies, names=names)
    target.finish()


def test_no_more_is_kept_of_bodies_that_wait_than_are_under_way() -> None:
    out: list[bytes] = []
    target = OneAfterTheOther(out.append)
    begun = Begun(0, "response", 200, "text/plain", None, True)
    target.begins((0, 0), 0, begun)
    target.write((0, 0), b"first")
    for i in range(1, 5000):
        if i % 100 == 0:
            target.begins((1, i), 1, begun)  # one more that does not end
        target.begins((2, i), 2, begun)
        target.write((2, i), b"%d" % i)
        target.ends((2, i))
        target.over((2, i), FOUND, None)
        assert len(target._queue) <= 4 * (2 + i // 100)
    assert out == [b"first"]
    target.ends((0, 0))
    for i in range(100, 5000, 100):
        target.ends((1, i))
    target.finish()
    assert target.count == 5000
    assert b"".join(out).count(b"--- ") == 4999
