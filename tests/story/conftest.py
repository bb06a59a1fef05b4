import os
import subprocess
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


@pytest.fixture(scope='module')
def world():
    """Hosts on a network of their own, with DNS, for the sending stories."""
    from sending_net import loopback, namespaces
    if not namespaces() and not loopback():
        pytest.skip('neither network namespaces nor port 25 here')
    from sending_hosts import World
    with World() as w:
        yield w


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip('needs root to mount a small disk')
    disk = tmp_path / 'disk'
    disk.mkdir()
    os.chmod(tmp_path, 0o755)
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m,mode=755', 'pail-story', disk], capture_output=True)
    if done.returncode:
        pytest.skip('nothing may be mounted here')
    yield disk
    subprocess.run(['umount', '-l', disk], check=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    fixture = item.funcargs.get('pail') or item.funcargs.get('demo')
    if report.failed and fixture and call.when == 'call':
        report.sections.append(('log of pail', '\n'.join(fixture.log[-60:])))
    if report.failed and 'world' in item.funcargs and call.when == 'call':
        report.sections.append(('logs of the pails', item.funcargs['world'].logs()))
