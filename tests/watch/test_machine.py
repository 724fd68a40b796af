"""When a look is due, what it leads to, and what it never leads to; no file and no clock is involved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from svtree.formats.watchfile import Compile, Entry, Hangup, Restart, Run, Signal
from svtree.watch.machine import AT_MOST, PATIENCE, QUIET, RETRY, Complaint, Do, Job, Look, Machine, Outcome

RULES = Entry(1, b"tcp.smtp", Compile(b"tcp.smtp.cdb"))
CDB = Entry(2, b"tcp.smtp.cdb", Restart())
RUN = Entry(3, b"run", Restart())
ENV = Entry(4, b"env/*", Restart())
CONF = Entry(5, b"conf", Hangup())
ENTRIES = (RULES, CDB, RUN, ENV, CONF)
FILES: dict[bytes, bytes | str | None] = {b"tcp.smtp": b"1", b"tcp.smtp.cdb": b"1", b"run": b"1", b"conf": b"1"}


def look(
    files: dict[bytes, bytes | str | None],
    *,
    missing: bool = False,
    older: bool = False,
    entries: tuple[Entry, ...] = ENTRIES,
) -> Look:
    found = {
        entry: {path: mark for path, mark in files.items() if path.startswith(b"env/")}
        if entry is ENV
        else {entry.pattern: files.get(entry.pattern)}
        for entry in entries
    }
    return Look(found, frozenset([RULES] if missing else []), frozenset([RULES] if older else []))


@pytest.fixture
def machine() -> Machine:
    """Knows FILES as they are, at second 0."""
    made = Machine(0.0)
    made.begin()
    made.configure(ENTRIES)
    assert made.looked(0.0, look(FILES)) == []
    assert made.due is None
    return made


def at(machine: Machine, now: float, **files: bytes | str | None) -> list[Job | Do]:
    """A look at this moment, with these files other than FILES; `_` in a name stands for a dot."""
    machine.begin()
    changed = {name.replace("_", ".").replace("env.", "env/").encode(): mark for name, mark in files.items()}
    return machine.looked(now, look({**FILES, **changed}))


def test_the_first_look_is_due_at_once() -> None:
    assert Machine(5.0).due == 5.0


def test_a_look_comes_after_some_quiet(machine: Machine) -> None:
    machine.hint(10.0)
    assert machine.due == pytest.approx(10.0 + QUIET)
    machine.hint(10.05)
    assert machine.due == pytest.approx(10.05 + QUIET)


def test_an_endless_storm_does_not_put_a_look_off_for_ever(machine: Machine) -> None:
    now = 10.0
    while machine.due is None or machine.due > now:
        machine.hint(now)
        now += 0.01
    assert now == pytest.approx(10.0 + AT_MOST, abs=0.02)


def test_what_is_hinted_at_during_a_look_asks_for_another(machine: Machine) -> None:
    machine.hint(10.0)
    machine.begin()
    machine.hint(10.1)
    machine.looked(10.2, look(FILES))
    assert machine.due == pytest.approx(10.1 + QUIET)


def test_what_differs_acts_once(machine: Machine) -> None:
    assert at(machine, 1, run=b"2") == [Do(Restart())]
    assert at(machine, 2, run=b"2") == []
    assert at(machine, 3, run=b"1") == [Do(Restart())]


def test_several_changes_are_one_restart_which_takes_the_place_of_signals(machine: Machine) -> None:
    assert at(machine, 1, run=b"2", conf=b"2", env_A=b"1") == [Do(Restart())]


def test_rules_are_compiled_and_the_new_cdb_restarts(machine: Machine) -> None:
    assert at(machine, 1, tcp_smtp=b"2") == [Job(RULES)]
    assert machine.done(1.1, RULES, Outcome(changed=True)) == []
    assert machine.due == 1.1
    assert at(machine, 1.1, tcp_smtp=b"2", tcp_smtp_cdb=b"2") == [Do(Restart())]


def test_rules_that_compile_to_the_same_restart_nothing(machine: Machine) -> None:
    at(machine, 1, tcp_smtp=b"2")
    assert machine.done(1.1, RULES, Outcome(changed=False)) == []
    assert machine.due is None


def test_what_changes_with_the_rules_waits_for_their_compilation(machine: Machine) -> None:
    assert at(machine, 1, tcp_smtp=b"2", env_A=b"1") == [Job(RULES)]
    assert at(machine, 2, tcp_smtp=b"2", env_A=b"1", run=b"2") == []
    assert machine.done(3, RULES, Outcome(changed=True)) == []
    assert at(machine, 3, tcp_smtp=b"2", env_A=b"1", run=b"2", tcp_smtp_cdb=b"2") == [Do(Restart())]


def test_what_waited_for_a_compilation_is_done_when_that_has_failed(machine: Machine) -> None:
    at(machine, 1, tcp_smtp=b"2", env_A=b"1")
    assert machine.done(2, RULES, Outcome(changed=False, complaint=Complaint(b"tcp.smtp", 3, "why"))) == [Do(Restart())]
    assert [complaint.text for complaint in machine.complaints] == ["tcp.smtp:3: why"]


def test_rules_saved_during_their_compilation_are_compiled_again(machine: Machine) -> None:
    assert at(machine, 1, tcp_smtp=b"2") == [Job(RULES)]
    assert at(machine, 2, tcp_smtp=b"3") == []
    assert machine.done(3, RULES, Outcome(changed=True)) == [Job(RULES)]
    assert machine.done(4, RULES, Outcome(changed=False)) == []


def test_a_complaint_stays_until_the_rules_compile(machine: Machine) -> None:
    at(machine, 1, tcp_smtp=b"2")
    machine.done(1, RULES, Outcome(changed=False, complaint=Complaint(b"tcp.smtp", 1, "why")))
    assert at(machine, 9, tcp_smtp=b"2") == []
    assert len(machine.complaints) == 1
    assert at(machine, 10, tcp_smtp=b"1") == [Job(RULES)]
    machine.done(10, RULES, Outcome(changed=False))
    assert not machine.complaints


def test_a_failure_that_may_pass_is_tried_again_by_itself(machine: Machine) -> None:
    at(machine, 1, tcp_smtp=b"2")
    machine.done(1, RULES, Outcome(changed=False, complaint=Complaint(b"tcp.smtp", 0, "disk"), temporary=True))
    assert machine.due == 1 + RETRY
    assert at(machine, 2, tcp_smtp=b"2") == []
    assert machine.due == 1 + RETRY
    assert at(machine, 1 + RETRY, tcp_smtp=b"2") == [Job(RULES)]
    assert machine.done(12, RULES, Outcome(changed=False)) == []
    assert machine.due is None
    assert not machine.complaints


@pytest.mark.parametrize("content", [b"", None])
def test_a_file_that_is_suddenly_empty_or_gone_is_given_time_to_come_back(
    machine: Machine, content: bytes | None
) -> None:
    assert at(machine, 1, conf=content) == []
    assert machine.due is not None
    assert 1 < machine.due <= 1 + PATIENCE / 5
    assert at(machine, 1.5, conf=b"1") == []
    assert machine.due is None
    assert at(machine, 2, conf=content) == []
    assert at(machine, 2.9, conf=content) == []
    assert at(machine, 3, conf=content) == [Do(Hangup())]


def test_new_rules_after_a_moment_of_emptiness_are_compiled_once(machine: Machine) -> None:
    assert at(machine, 1, tcp_smtp=b"") == []
    assert at(machine, 1.2, tcp_smtp=b"2") == [Job(RULES)]


@pytest.mark.parametrize("name", ["tcp_smtp", "run"])
def test_what_is_needed_and_gone_is_a_complaint_and_no_action(machine: Machine, name: str) -> None:
    for now in (1, 1 + 2 * PATIENCE):
        assert at(machine, now, **{name: None}) == []
    assert [complaint.text for complaint in machine.complaints] == [f"{name.replace('_', '.')}: file does not exist"]
    assert at(machine, 10) == []
    assert not machine.complaints
    at(machine, 11, **{name: None})
    assert at(machine, 20, **{name: b"2"}) != []


def test_a_cdb_that_is_gone_is_compiled_again_without_a_restart(machine: Machine) -> None:
    machine.begin()
    gone = look({**FILES, b"tcp.smtp.cdb": None}, missing=True)
    assert machine.looked(1, gone) == [Job(RULES)]
    assert machine.looked(9, gone) == []
    assert machine.done(9, RULES, Outcome(changed=True)) == []
    assert at(machine, 9) == []


def test_rules_edited_before_the_first_look_are_compiled_then_and_only_then() -> None:
    machine = Machine(0)
    machine.begin()
    machine.configure(ENTRIES)
    assert machine.looked(0, look(FILES, older=True)) == [Job(RULES)]
    machine.done(1, RULES, Outcome(changed=False))
    assert machine.looked(2, look(FILES, older=True)) == []


def test_a_file_that_cannot_be_read_is_a_complaint_and_is_as_it_was(machine: Machine) -> None:
    assert at(machine, 1, run="access denied") == []
    assert [complaint.text for complaint in machine.complaints] == ["run: access denied"]
    assert at(machine, 2) == []
    assert not machine.complaints


def test_a_new_watch_file_keeps_what_is_known_of_what_it_keeps(machine: Machine) -> None:
    moved = Entry(9, RUN.pattern, RUN.action)
    added = Entry(10, b"conf", Signal(10))
    machine.configure((moved, added))
    machine.begin()
    files = {**FILES, b"run": b"2", b"conf": b"2"}
    assert machine.looked(1, look(files, entries=(moved, added))) == [Do(Restart())]


def test_a_watch_file_that_makes_no_sense_is_a_complaint_and_changes_nothing(machine: Machine) -> None:
    machine.misconfigure(Complaint(b"watch", 2, "unknown action"))
    assert at(machine, 1, run=b"2") == [Do(Restart())]
    assert [complaint.text for complaint in machine.complaints] == ["watch:2: unknown action"]
    machine.configure(ENTRIES)
    assert not machine.complaints


def test_a_job_of_an_entry_that_is_gone_is_not_started_again(machine: Machine) -> None:
    at(machine, 1, tcp_smtp=b"2")
    at(machine, 2, tcp_smtp=b"3")
    machine.configure((RUN,))
    assert machine.done(3, RULES, Outcome(changed=False, complaint=Complaint(b"tcp.smtp", 1, "why"))) == []
    assert not machine.complaints


class Editing(RuleBasedStateMachine):
    """Whatever is saved, in whatever order jobs end: in the end the service runs with what is on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.machine = Machine(0.0)
        self.machine.configure(ENTRIES)
        self.files = dict(FILES)
        self.serving = dict(FILES)
        self.jobs: list[Entry] = []
        self.source: bytes = b"1"
        self.take([])
        self.look()

    def take(self, steps: list[Job | Do]) -> None:
        for step in steps:
            if isinstance(step, Job):
                assert step.entry not in self.jobs
                self.jobs.append(step.entry)
                source = self.files[b"tcp.smtp"]
                assert isinstance(source, bytes)
                self.source = source
            else:
                assert not self.jobs, "nothing is done while a job is under way"
                self.serving = dict(self.files)

    @rule(name=st.sampled_from([b"tcp.smtp", b"run", b"conf", b"env/A"]), content=st.sampled_from([b"1", b"2", b"3"]))
    def save(self, name: bytes, content: bytes) -> None:
        self.files[name] = content
        self.machine.hint(self.now)

    @rule(seconds=st.floats(0.001, 0.5))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.look()

    @rule()
    def look(self) -> None:
        if self.machine.due is not None and self.machine.due <= self.now:
            self.machine.begin()
            self.take(self.machine.looked(self.now, look(self.files)))

    @precondition(lambda self: self.jobs)
    @rule()
    def compiled(self) -> None:
        entry = self.jobs.pop()
        changed = self.files[b"tcp.smtp.cdb"] != self.source
        self.files[b"tcp.smtp.cdb"] = self.source
        self.take(self.machine.done(self.now, entry, Outcome(changed=changed)))

    @invariant()
    def a_difference_is_being_worked_on(self) -> None:
        if self.machine.due is None and not self.jobs:
            assert self.files[b"tcp.smtp.cdb"] == self.files[b"tcp.smtp"]
            assert self.serving == self.files or {**self.files, b"tcp.smtp": self.serving[b"tcp.smtp"]} == self.serving


TestEditing = Editing.TestCase
TestEditing.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=40))
def test_the_first_hint_of_a_storm_is_looked_after_in_time(pauses: list[float]) -> None:
    machine = Machine(0)
    machine.begin()
    now = 1.0
    for pause in pauses:
        machine.hint(now)
        assert machine.due is not None
        assert machine.due <= max(1.0 + AT_MOST, now)
        now += pause


def test_a_program_runs_like_a_compilation() -> None:
    entry = Entry(1, b"conf", Run((b"make",)))
    machine = Machine(0)
    machine.configure((entry,))
    machine.looked(0, Look({entry: {b"conf": b"1"}}, frozenset(), frozenset()))
    assert machine.looked(1, Look({entry: {b"conf": b"2"}}, frozenset(), frozenset())) == [Job(entry)]
