"""Ctrl-C while modules are imported."""

import os
import signal
import threading

import pytest

from paddle_vfl.interrupts import interrupt_deferred


def test_ctrl_c_waits_for_the_end_of_the_block():
    steps, handler = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with interrupt_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("after")
    assert steps == ["after"] and signal.getsignal(signal.SIGINT) is handler
    with interrupt_deferred():
        pass


def test_an_error_of_the_block_is_not_lost():
    with pytest.raises(ValueError):
        with interrupt_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError


def test_other_threads_may_use_it():
    ran = []

    def work():
        with interrupt_deferred():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran
