import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from pail import Pail  # noqa: E402


@pytest.fixture
def pail():
    with Pail() as p:
        yield p


@pytest.fixture(scope='module')
def demo():
    """One demo for the tests of a file that do not disturb each other."""
    with Pail() as p:
        yield p
