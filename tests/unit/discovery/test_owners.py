"""Which processes hold a socket."""

from __future__ import annotations

import os
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.owners import Owners
from engine.discovery.processes import Turn
from engine.discovery.sockdiag import TABLES, SockDiag
from tests.unit.discovery.listener import Listener
from tests.waiting import wait_until


def inode_of(port: int) -> int:
    with SockDiag() as diag:
        (found,) = [each for each in diag.dump(TABLES[0]).sockets if each.port == port]
    return found.inode


def test_every_holder_of_a_shared_socket_is_found() -> None:
    with Listener() as listener:
        inode = inode_of(listener.open())
        first, second = listener.fork(), listener.fork()
        assert sorted(Owners().resolve({inode})[inode]) == sorted([listener.pid, first, second])


def test_a_new_socket_in_a_known_process_is_found() -> None:
    with Listener() as listener:
        owners = Owners()
        for _ in range(3):
            inode = inode_of(listener.open())
            assert owners.resolve({inode}) == {inode: [listener.pid]}


def test_a_child_that_inherits_a_known_socket_is_found() -> None:
    with Listener() as listener:
        owners = Owners()
        inode = inode_of(listener.open())
        owners.resolve({inode})
        child = listener.fork()
        assert sorted(owners.resolve({inode})[inode]) == sorted([listener.pid, child])
        listener.end_child(child)
        assert owners.resolve({inode}) == {inode: [listener.pid]}


def test_a_holder_that_closes_a_shared_socket_is_dropped() -> None:
    with Listener() as listener:
        owners = Owners()
        port = listener.open()
        inode = inode_of(port)
        child = listener.fork()
        for _ in range(3):
            owners.resolve({inode})
        listener.close(port)
        assert owners.resolve({inode}) == {inode: [child]}


def test_a_socket_handed_over_between_known_processes_is_found_in_turn() -> None:
    with Listener() as giver, Listener() as taker:
        owners = Owners()
        port = giver.open()
        inode = inode_of(port)
        taker.open_mailbox()
        for _ in range(3):
            assert owners.resolve({inode}) == {inode: [giver.pid]}
        giver.hand_over(port, taker)
        both = sorted([giver.pid, taker.pid])
        wait_until(lambda: sorted(owners.resolve({inode})[inode]) == both)


def test_a_socket_nobody_holds_is_unowned_once() -> None:
    owners = Owners()
    assert owners.resolve({0}) == {}
    assert (owners.unowned, owners.newly_unowned) == ({0}, True)
    assert owners.resolve({0}) == {}
    assert (owners.unowned, owners.newly_unowned) == ({0}, False)
    owners.resolve(set())
    assert owners.unowned == set()


def test_new_processes_are_fresh_for_two_looks() -> None:
    owners = Owners()
    owners.resolve(set())
    with Listener() as listener:
        seen = []
        for _ in range(3):
            owners.resolve(set())
            seen.append(listener.pid in owners.processes.fresh)
        assert seen == [True, True, False]


def test_a_further_try_is_part_of_the_same_look() -> None:
    owners = Owners()
    owners.resolve(set())
    with Listener() as listener:
        owners.resolve(set(), again=True)
        owners.resolve(set(), again=True)
        owners.resolve(set())
        assert listener.pid in owners.processes.fresh
        owners.resolve(set())
        assert listener.pid not in owners.processes.fresh


def test_processes_that_may_not_be_looked_into_are_noticed() -> None:
    owners = Owners()
    owners.resolve(set())
    hidden = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_hidden(pid)]
    assert owners.denied is bool(hidden)


def is_hidden(pid: str) -> bool:
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            os.readlink(f"/proc/{pid}/fd/{fd}")
    except PermissionError:
        return True
    except FileNotFoundError:
        pass
    return False


@given(st.sets(st.integers(1, 99), min_size=1), st.integers(1, 20))
def test_a_turn_comes_to_everyone_once_a_round(pids: set[int], at_a_time: int) -> None:
    turn = Turn()
    taken: list[int] = []
    while len(taken) < len(pids):
        taken += islice(turn.over(pids), min(at_a_time, len(pids) - len(taken)))
    assert sorted(taken) == sorted(pids)


def test_a_turn_goes_on_behind_a_pid_that_left() -> None:
    turn = Turn()
    assert list(islice(turn.over([1, 5, 9]), 2)) == [1, 5]
    assert list(turn.over([1, 4, 7, 9])) == [9, 1, 4, 7]
