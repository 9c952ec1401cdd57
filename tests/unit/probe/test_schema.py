"""How a call's attributes are written down, and what has to be captured for them."""

from __future__ import annotations

import pytest

from engine.probe.schema import STEPS, Capture, Count, Step, StepFlag, completed, parse, steps


def test_an_attribute_has_a_key_a_type_a_notation_and_a_source() -> None:
    (one,) = parse("flags:f32/open@a2")
    assert (one.key, one.type, one.notation, one.source, one.argument) == (
        "flags", "f32", "open", "a", 2,
    )  # fmt: skip
    assert (one.told, one.given, one.ours) == (True, True, False)


def test_a_plus_marks_what_kindling_has_not() -> None:
    kindlings, ours = parse("res:err@r +address:str@k1.2")
    assert not kindlings.ours
    assert ours.ours


def test_what_cannot_be_told_is_kept_in_its_place() -> None:
    first, second = parse("fd:fd@r dev:u32@-")
    assert first.told
    assert not second.told


@pytest.mark.parametrize("wrong", ["flags", "flags:f32", "flags:f32@", "flags:f32@12", "a b:c@r"])
def test_what_is_written_otherwise_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="not an attribute"):
        parse(wrong)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("name:path@s1", Step(Capture.TEXT, 1)),
        ("path:str@S0", Step(Capture.TEXT, 0, flags=StepFlag.SUCCESS)),
        ("data:bytes@d1", Step(Capture.DATA, 1, Count.RESULT, item=1, most=64)),
        ("target:str@c2", Step(Capture.DATA, 2, Count.RESULT, item=1, most=4095)),
        ("data:bytes@v1", Step(Capture.VECTOR, 1, 2, most=64)),
        ("data:bytes@m1", Step(Capture.MESSAGE, 1, most=64)),
        ("addr:sockaddr@k1.2", Step(Capture.SOCKADDR, 1, 2, 0, 1, 128)),
        ("addr:sockaddr@K1.2", Step(Capture.SOCKADDR, 1, Count.AT + 2, StepFlag.SUCCESS, 1, 128)),
        ("interval:rel@i0+0", Step(Capture.STRUCT, 0, Count.ONE, 0, 16, 16)),
        ("max:i64@o1+8", Step(Capture.STRUCT, 1, Count.ONE, StepFlag.SUCCESS, 16, 16)),
        ("fds:fdlist/pollin@l0.1", Step(Capture.STRUCT, 0, 1, 0, 8, 128)),
        ("fds:fdlist/epoll@L1.r", Step(Capture.STRUCT, 1, Count.RESULT, StepFlag.SUCCESS, 12, 192)),
        ("val:dyn@b3.4", Step(Capture.STRUCT, 3, 4, 0, 1, 64)),
        ("tuple:tuple@t", Step(Capture.TUPLE)),
        ("tuple:tuple@T", Step(Capture.PEER, flags=StepFlag.SUCCESS)),
        ("vm_size:u32@x", Step(Capture.FACTS)),
    ],
)
def test_a_source_behind_a_pointer_is_captured(text: str, step: Step) -> None:
    assert steps(parse(text), 64) == (step,)


@pytest.mark.parametrize("text", ["fd:fd@a0", "res:err@r", "dev:u32@-", "nativeID:u16@#"])
def test_what_is_in_registers_needs_no_capture(text: str) -> None:
    assert steps(parse(text), 64) == ()


def test_fields_of_one_structure_are_captured_once_and_as_far_as_they_reach() -> None:
    (one,) = steps(parse("cur:i64@o1+0 max:i64@o1+8 cur2:i64@o1+0"), 64)
    assert (one.item, one.most) == (16, 16)


def test_several_messages_are_captured_one_by_one() -> None:
    assert [step.item for step in steps(parse("data:bytes@M1"), 64)] == [0, 1, 2, 3]


def test_without_a_snaplen_there_is_no_payload() -> None:
    assert steps(parse("data:bytes@d1 target:str@c1"), 0) == steps(parse("target:str@c1"), 64)


def test_more_captures_than_the_programs_make_are_refused() -> None:
    text = " ".join(f"path{number}:path@s{number}" for number in range(STEPS + 1))
    with pytest.raises(ValueError, match="too many"):
        steps(parse(text), 64)


def test_a_direction_borrows_from_the_other_what_the_call_was_given() -> None:
    on_enter, on_exit = parse("fd:fd@a0 size:u32@-"), parse("res:err@r size:u32@r name:path@s1")
    assert [each.key for each in completed(on_enter, on_exit)] == ["fd", "size", "name"]
    lent = completed(on_exit, on_enter)
    assert [(each.key, each.ours) for each in lent] == [
        ("res", False), ("size", False), ("name", False), ("fd", True),
    ]  # fmt: skip
