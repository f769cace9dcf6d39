"""Addresses to seeds."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from selfpab.seeding import seed_of

parts = st.lists(st.one_of(st.integers(-5, 5), st.sampled_from(["mask", "order", "", "1"])), max_size=4)


@given(parts, parts)
def test_other_addresses_have_other_seeds(one, other):
    assert (seed_of(*one) == seed_of(*other)) == (one == other)


@given(parts)
def test_a_seed_fits_every_generator(address):
    assert 0 <= seed_of(*address) < 2**63


def test_a_number_and_its_text_are_two_addresses():
    assert len({seed_of(1, 2), seed_of("1", 2), seed_of(12), seed_of(1, 2, 0), seed_of(2, 1)}) == 5


def test_another_process_gives_the_same_seed():
    code = "from selfpab.seeding import seed_of; print(seed_of('mask', 7, 3))"
    done = subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True)
    assert int(done.stdout) == seed_of("mask", 7, 3)
