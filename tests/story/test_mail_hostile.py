"""pail mail sync against a server that lies: nothing is lost, nothing is doubled, nothing leaves its folder."""
import os

import pytest

from imap_liar import Liar
from reader import Reader, letter

LETTERS = {uid: letter(uid) for uid in range(1, 41)}


@pytest.fixture
def liar():
    with Liar() as l:
        yield l


@pytest.fixture
def reader(tmp_path, liar):
    r = Reader(tmp_path)
    r.account(liar.user, liar)
    return r


def count(reader):
    return {f['name']: f['letters'] for f in reader.json('folders')['folders'] if f['letters']}


def test_what_a_server_has_lost_stays_here(liar, reader):
    """All letters of a folder, a whole folder, all folders."""
    liar.folders = full = {'INBOX': dict(LETTERS), 'Work': {uid: letter(uid + 100) for uid in range(1, 41)}}
    reader.json('sync')
    for less in {**full, 'INBOX': {}}, {'INBOX': full['INBOX']}, {}:
        liar.folders = less
        assert 'removed' in reader.run('sync', code=77)
        assert count(reader) == {'INBOX': 40, 'Work': 40}
    liar.folders = full
    assert reader.json('sync')['fetched'] == 0 and liar.appended == 0


def test_a_letter_told_of_and_sent_again_and_again_is_one(liar, reader):
    liar.folders = {'INBOX': dict(LETTERS)}
    liar.instead = lambda verb, line: liar.fetch(line, LETTERS) * 3 if verb == 'UID FETCH' else None
    assert reader.json('sync')['fetched'] == 40
    assert reader.json('sync')['sent'] == 0
    assert count(reader) == {'INBOX': 40} and liar.appended == 0


def test_letters_that_nobody_asked_for_are_passed_over(liar, reader):
    liar.folders = {'INBOX': {1: LETTERS[1]}}
    liar.instead = lambda verb, line: liar.fetch('UID FETCH 1:40 (BODY.PEEK[])', LETTERS) if 'BODY' in line else None
    assert reader.json('sync')['fetched'] == 1
    assert count(reader) == {'INBOX': 1}


def test_uidvalidity_that_changes_every_time(liar, reader):
    """Also letters without any of the fields that tell letters apart."""
    times = iter(range(1, 1000))
    liar.validity = lambda name: next(times)
    liar.folders = {'INBOX': {**LETTERS, **{uid: b'X-Bucket: %d\r\n\r\nwater\r\n' % uid for uid in range(50, 60)}}}
    for fetched in 50, 0, 0:
        said = reader.json('sync')
        assert (said['fetched'], said['sent'], said['removed-here']) == (fetched, 0, 0)
    assert count(reader) == {'INBOX': 50}


def test_names_of_folders_stay_names(liar, reader):
    names = ['../x', 'INBOX/INBOX', '/etc/passwd', 'a/../../b', 'x\x1b]0;t\x07y', 'Work', 'work', 'WORK', '.', '..', '&AAA-', '&2AA-', 'e' * 900]
    liar.folders = {'INBOX': dict(LETTERS), **{name: {number: letter(number)} for number, name in enumerate(names, 100)}}
    first = reader.json('sync')
    assert first['fetched'] >= 40 + 6
    assert reader.json('sync')['fetched'] == 0 and liar.appended == 0
    told = count(reader)
    assert told['INBOX'] == 40 and told['Work'] == told['work'] == told['WORK'] == 1
    assert not any('\x1b' in name or '..' in name.split('/') for name in told) and '\x1b' not in reader.run('folders')
    assert set(os.listdir(reader.folder)) <= {'config', 'data'} and set(os.listdir(f'{reader.folder}/data')) == {'pail'}


def test_bye_anywhere(liar, reader):
    liar.folders = {'INBOX': {uid: LETTERS[uid] for uid in range(1, 4)}, 'Work': {5: LETTERS[5]}}
    for commands in range(12):
        liar.bye_after = commands
        process = reader.start('sync')
        process.communicate(timeout=60)
        assert process.returncode in (0, 69, 75, 76)
    liar.bye_after = None
    reader.json('sync')
    assert count(reader) == {'INBOX': 3, 'Work': 1} and liar.appended == 0
