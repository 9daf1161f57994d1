import os
import signal
import threading

import pytest

from trainables.machine.interrupts import handling_interrupts, kept_interrupts


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_raised_at_the_end(number: int) -> None:
    before, after = handlers(), []
    with pytest.raises(KeyboardInterrupt), kept_interrupts():
        press(number)
        after.append("went on")
    assert after == ["went on"]
    assert handlers() == before


def test_a_second_one_is_raised_where_it_came() -> None:
    before, after = handlers(), []
    with pytest.raises(KeyboardInterrupt), kept_interrupts():
        press()
        press()
        after.append("never")
    assert not after
    assert handlers() == before


def test_it_comes_before_an_error_of_what_it_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), kept_interrupts():
        press()
        raise RuntimeError("a child was interrupted")


def test_a_handler_of_the_programs_own_gets_it_after_the_block_and_an_error_is_raised_then() -> None:
    got: list[int] = []
    with handling_interrupts(lambda number, _: got.append(number)):
        with kept_interrupts():
            press()
            assert not got
        assert got == [signal.SIGINT]
        with pytest.raises(RuntimeError, match="its own"), kept_interrupts():
            press(signal.SIGTERM)
            raise RuntimeError("its own")
        assert got == [signal.SIGINT, signal.SIGTERM]


def test_other_errors_and_nothing_at_all_pass() -> None:
    before = handlers()
    with pytest.raises(RuntimeError, match="its own"), kept_interrupts():
        raise RuntimeError("its own")
    with kept_interrupts():
        pass
    assert handlers() == before


def test_in_another_thread_it_lets_all_be() -> None:
    before, seen = handlers(), []

    def run() -> None:
        with kept_interrupts():
            seen.append(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
