"""A thread for each core."""

import threading
import time

import pytest
import torch

from selfpab.core_threads import one_core_each


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(threads):
    def late(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * 10

    assert list(one_core_each(late, range(10))) == [number * 10 for number in range(10)]


def test_each_has_one_thread_of_torch_and_all_work_at_once(threads):
    together = threading.Barrier(threads)

    def task(_):
        together.wait(10)
        return torch.get_num_threads()

    assert list(one_core_each(task, range(2 * threads))) == [1] * (2 * threads)


def test_afterwards_torch_has_its_threads_again(threads):
    list(one_core_each(abs, range(5)))
    assert torch.get_num_threads() == threads
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [threads]


def test_a_thread_that_begins_meanwhile_has_all_of_them(threads):
    together = threading.Barrier(threads)

    def task(number):
        together.wait(10)  # so that all threads have begun
        return number

    results, found = one_core_each(task, range(9)), []
    next(results)
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert list(results) == list(range(1, 9))
    assert found == [threads]


def test_items_are_taken_as_they_are_needed(threads):
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = one_core_each(abs, items())
    assert not taken
    assert [next(results), next(results)] == [0, 1]
    assert len(taken) <= threads + 3
    results.close()
    assert len(taken) <= threads + 3


def test_an_error_comes_where_the_result_would_have_come(threads):
    def task(number):
        if number == 2:
            raise ValueError("number two")
        return number

    results = one_core_each(task, range(50))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="number two"):
        next(results)
    assert torch.get_num_threads() == threads


def test_nothing_to_do(threads):
    assert list(one_core_each(abs, [])) == []
