"""What the box has and lacks, as a screen; it opens at what keeps the pane from running."""

from __future__ import annotations

import pytest

from engine import doctor
from engine.core.errors import FailedError
from engine.core.progress import Tasks
from engine.doctor import CHECKS, Need, examine, examine_in_turn, need_for
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine
from tui.console.app import ConsoleApp
from tui.console.screens.doctor import DoctorScreen, mark, need_content

BCC = Need(
    "BCC", False, "BCC is not installed", "no kernel events", "apt-get install x", ("probe",)
)
SIGHT = Need("sight", False, "cannot be read", "no owners", "run as root", ("discovery",))
WELL = Need("Python", True, "3.11")


def test_the_screen_makes_the_checks_of_the_command() -> None:
    assert list(examine_in_turn(Tasks())) == list(examine())


def test_the_checks_tell_how_far_they_are() -> None:
    tasks = Tasks()
    checks = examine_in_turn(tasks)
    next(checks)
    next(checks)
    (task,) = tasks.facts()
    assert (task.done, task.total, task.cancellable) == (1, len(CHECKS), True)
    checks.close()
    assert tasks.facts() == ()


def test_the_checks_can_be_cancelled() -> None:
    tasks = Tasks()
    checks = examine_in_turn(tasks)
    next(checks)
    tasks.cancel(tasks.facts()[0].number)
    with pytest.raises(FailedError, match="cancelled"):
        next(checks)


def test_every_check_names_itself_and_says_what_it_found() -> None:
    needs = examine()
    assert len({need.name for need in needs}) == len(needs)
    assert all(need.detail for need in needs)
    assert {"list of sockets", "Wasm runtime", "BCC", "rights"} <= {need.name for need in needs}


@pytest.mark.parametrize(
    ("sources", "reason", "expected"),
    [
        (("probe",), "", BCC),
        (("discovery",), "", SIGHT),
        (("traffic",), "no traffic can be captured: BCC is not installed", BCC),
        (("agent",), "", None),
    ],
)
def test_the_need_behind_a_trouble_is_found(
    sources: tuple[str, ...], reason: str, expected: Need | None
) -> None:
    assert need_for((WELL, SIGHT, BCC), sources, reason) == expected


def test_a_need_is_told_in_full() -> None:
    told = need_content(BCC).plain
    assert all(text in told for text in ("✗ MISSING", BCC.detail, BCC.costs, BCC.fix, "probe"))
    assert mark(WELL) == "✓ found"


async def test_a_pane_that_lacks_something_leads_to_the_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    present = [WELL, SIGHT, BCC]
    monkeypatch.setattr(doctor, "CHECKS", tuple(lambda at=at: present[at] for at in range(3)))
    engine = FakeEngine()
    engine.set_source("probe", "failed", "BCC is not installed", "apt-get install x")
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(
            pilot, lambda: "probe failed (d: doctor): BCC" in screen_text(pilot), "the hint"
        )
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DoctorScreen), "the doctor")
        screen = app.screen
        assert isinstance(screen, DoctorScreen)
        await until(pilot, lambda: screen.checks.cursor_row == BCC, "the check")
        assert "2 of 3 missing" in screen_text(pilot)
        assert "apt-get install x" in screen_text(pilot)

        await pilot.press("c")
        assert app.clipboard == "apt-get install x"

        present[2] = Need("BCC", True, "there", sources=("probe",))
        await pilot.press("r")
        await until(pilot, lambda: "1 of 3 missing" in screen_text(pilot), "the checks again")
        assert screen.checks.cursor_row == present[2], "the cursor stays on its check"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
