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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    fixture = item.funcargs.get('pail') or item.funcargs.get('demo')
    if report.failed and fixture and call.when == 'call':
        report.sections.append(('log of pail', '\n'.join(fixture.log[-60:])))
