"""pail ftp: a password is in no transcript, no error sentence, no history, and in nothing that `ps` shows."""
import os
import subprocess

import pytest
from ftp_liar import Liar
from ftp_wire import BOB
from pail import PAIL, PATIENCE, PEOPLE, until
from test_ftp_client import Prompt, environment, ftp, url

SECRET = 'tumbling-after'


def command_line(pid):
    with open(f'/proc/{pid}/cmdline', 'rb') as f:
        return f.read().replace(b'\0', b' ').decode()


def test_transcripts_and_what_debug_shows(demo, tmp_path):
    script = f'user {BOB} {PEOPLE[BOB]}\n-quote PASS {SECRET}\n-quote acct {SECRET}\n-account {SECRET}\n-site pswd old {SECRET}\npwd\n'
    said = ftp(tmp_path, '-nvd', '--trace', 'kept', '127.0.0.1', demo.port(21), input=script)
    kept = (tmp_path / 'kept').read_text()
    assert f'C: USER {BOB}' in kept and 'S: 230 ' in kept and '---> PASS XXXX' in said and '---> ACCT XXXX' in said
    for secret in (PEOPLE[BOB], SECRET):
        assert secret not in kept and secret not in said
    assert (tmp_path / 'kept').stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('words, refuses, code', [
    (('get', 'ftp://bob:{}@127.0.0.1:{}/'), False, 64), (('get', 'ftp://bob:{}@127.0.0.1:{}/x%0d'), False, 64), (('ls', 'http://bob:{}@127.0.0.1:{}/'), False, 64),
    (('put', 'a', 'b', 'ftp://bob:{}@127.0.0.1:{}/c'), False, 64), (('mirror', 'ftp://bob:{}@a', 'ftp://bob:{}@b'), False, 64),
    (('get', 'ftp://bob:{}@127.0.0.1:{}/x'), True, 77)])
def test_error_sentences(tmp_path, words, refuses, code):
    with Liar(replies={'PASS': b'530 no\r\n'} if refuses else None) as liar:
        said = ftp(tmp_path, *(word.format(SECRET, liar.port) for word in words), code=code)
    assert said and SECRET not in said


def test_the_list_of_processes(tmp_path):
    """Its own words, and those of a program that it starts."""
    go = tmp_path / 'go'
    with Liar({'file': b'x' * 100}) as liar:
        address = liar.url('file').replace('ftp://', f'ftp://bob:{SECRET}@')
        child = subprocess.Popen([PAIL, 'ftp', 'get', address, f'|cat >file; touch here; while [ ! -e {go} ]; do sleep 0.05; done'], cwd=tmp_path,
                                 env=environment(tmp_path), start_new_session=True)
        try:
            until('its program runs', lambda: os.path.exists(tmp_path / 'here'))
            with open(f'/proc/{child.pid}/task/{child.pid}/children') as f:
                programs = f.read().split()
            shown = [command_line(pid) for pid in (child.pid, *programs)]
            assert len(shown) > 1 and 'ftp://bob:XXXX' in shown[0] and not [line for line in shown if SECRET in line]
        finally:
            go.touch()
            assert child.wait(PATIENCE) == 0
    assert ('PASS', SECRET) in liar.commands      # it is still what is sent


def test_the_history(demo, tmp_path):
    lines = ['status', f'user {BOB} {SECRET}', f'us {BOB} {SECRET}', f'-user {BOB} {SECRET}', f'quote PASS {SECRET}', f'lit ACCT {SECRET}',
             f'account {SECRET}', f'acc {SECRET}', f'proxy user {BOB} {SECRET}', f'site pswd a {SECRET}', f'open ftp://bob:{SECRET}@127.0.0.1:1/',
             f'uesr {BOB} {SECRET}', 'verbose']
    with Prompt(tmp_path, '-n') as p:
        for line in lines:
            p('ftp> ', line)
        p('ftp> ', 'bye')
        p.end()
    kept = (tmp_path / '.config/pail/ftp-history').read_text()
    assert 'status' in kept and 'verbose' in kept and SECRET not in kept
    ftp(tmp_path, 'ls', url(demo, BOB))


def test_bookmarks(tmp_path):
    ftp(tmp_path, input=f'bookmark add there ftp://bob:{SECRET}@127.0.0.1/pub\n')
    kept = (tmp_path / '.config/pail/ftp-bookmarks').read_text()
    assert 'ftp://bob@127.0.0.1/pub' in kept and SECRET not in kept
