"""mbsync: a Maildir here, pail there, both changed meanwhile; and what is left when either is killed in the middle."""
import hashlib
import imaplib
import os
import random
import re
import signal
import subprocess
import threading
import zlib

import pytest
from pail import PATIENCE, until
from programs import Maildir, Relay, ca, letter, person, plain, run, view, write_private

WAYS = {
    'clear': (143, 'SSLType None'),
    'STARTTLS': (143, 'SSLType STARTTLS'),
    'IMAPS': (993, 'SSLType IMAPS'),
    'PipelineDepth 1': (143, 'SSLType None\nPipelineDepth 1'),
    'Tunnel': (143, 'SSLType None\nTunnel "bash -c \'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&0 >&3 & cat <&3; kill $!\'"'),
    'Tunnel by TLS': (993, 'SSLType None\nTunnel "openssl s_client -quiet -verify_quiet -connect 127.0.0.1:{port}"'),
}


class Mbsync:
    """A configuration: this person's mailboxes at pail, and one Maildir or several."""

    def __init__(self, demo, folder, who, way='clear', port=None, more=''):
        number, words = WAYS[way]
        self.port = port or demo.port(number)
        self.folder = folder
        trust = '' if 'None' in words else f'CertificateFile {ca(demo)}\nSystemCertificates no\n'
        self.text = (f'FSync no\n\nIMAPAccount pail\nHost localhost\nPort {self.port}\nUser {who}\nPass fetch\nAuthMechs LOGIN\n'
                     f'Timeout {PATIENCE}\n{words.format(port=self.port)}\n{trust}\nIMAPStore far\nAccount pail\n\n')
        self.more = more

    def channel(self, name):
        """Gives the Maildir of that name; the channel has it too."""
        maildir = Maildir(self.folder / name)
        self.text += (f'MaildirStore {name}-store\nPath {maildir.path}/\nInbox {maildir.path}/INBOX\nSubFolders Verbatim\n\n'
                      f'Channel {name}\nFar :far:\nNear :{name}-store:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\n'
                      f'CopyArrivalDate yes\nSyncState *\nSync All\n{self.more}\n')
        write_private(self.folder / 'mbsyncrc', self.text)
        return maildir

    def command(self, name):
        return ['mbsync', '-V', '-c', str(self.folder / 'mbsyncrc'), name]

    def sync(self, name, good=(0,)):
        return run(*self.command(name), good=good)

    def begin(self, name):
        return subprocess.Popen(self.command(name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)


def quiet(said):
    """It found nothing to do."""
    return '*0' in said


@pytest.fixture
def who(demo, request):
    return person(demo, 'mbsync-' + str(zlib.crc32(request.node.name.encode())))


@pytest.mark.parametrize('way', WAYS)
def test_two_copies_are_identical_to_the_source(demo, tmp_path, who, way):
    m = Mbsync(demo, tmp_path, who, way)
    source, copy = m.channel('source'), m.channel('copy')
    flags = ['', 'S', 'F', 'RS', 'DFRS', 'FS', 'PS', 'PRS']
    for i in range(60):
        source.add(letter(i), flags[i % len(flags)])
    for i, box in enumerate(['Work', 'Work/2024/May', 'Entw&APw-rfe', '&U,BTFw-', 'a b', 'quo"te', 'R&AOk-sum&AOk-/&U,BTFw-']):
        for j in range(3):
            source.add(letter(j, mark=f'in {i}'), flags[(i + j) % len(flags)], box)
    source.add(letter(99, 3_000_000, 'large'), 'S')
    source.add(b'Subject: 8 bit and odd\n\n\xff\xfe\x80 caf\xe9\ttab \x0c\x01 and a last line without an end', 'F')
    source.add(b'Subject: no body\n\n')
    source.add(b'X-Long: ' + b'x' * 20_000 + b'\n\n.\n..\nFrom here\n>From there\n\n\n')
    m.sync('source')
    m.sync('copy')
    assert {box: source.letters(box) for box in source.boxes()} == {box: found for box, found in copy.all().items()
                                                                    if box in source.boxes()}
    assert {plain(p.read_bytes()) for p in source.files()} == {plain(p.read_bytes()) for p in copy.files()}
    i = demo.imap(who, 'fetch')
    assert view(i) == source.letters()
    names = [line.decode().split('"/" ')[1].strip('"') for line in i.list()[1]]
    assert {'Entw&APw-rfe', '&U,BTFw-', 'R&AOk-sum&AOk-/&U,BTFw-', 'Work/2024/May', 'a b', 'quo\\"te'} <= set(names)
    i.logout()
    assert source.all() == copy.all() or m.sync('source') and source.all() == copy.all()


def test_both_sides_changed_with_conflicts(demo, tmp_path, who):
    m = Mbsync(demo, tmp_path, who)
    here = m.channel('here')
    for i in range(12):
        here.add(letter(i, mark='number'), 'S' if i % 2 else '')
    m.sync('here')
    i = demo.imap(who, 'fetch')
    i.select()

    def uid(n):
        return i.uid('SEARCH', 'SUBJECT', f'"number {n}"')[1][0].split()[0].decode()

    def path(n):
        return here.find(f'Subject: number {n}\n'.encode())
    uids = {n: uid(n) for n in (0, 2, 3, 4, 5, 6, 7)}
    # there: a flag, a keyword, a deletion, a new letter; here: another flag of the same letters, a deletion, a new letter
    i.uid('STORE', uids[0], '+FLAGS', '(\\Flagged $Work)')
    here.flag(path(0), 'RS')
    i.uid('STORE', uids[3], '-FLAGS', '(\\Seen)')               # seen is taken back there, answered set here
    here.flag(path(3), 'RS')
    i.uid('STORE', uids[4], '+FLAGS', '(\\Deleted)')            # deleted there, changed here
    here.flag(path(4), 'F')
    i.uid('STORE', uids[5], '+FLAGS', '(\\Deleted)')
    here.flag(path(6), 'T')                                     # deleted here, changed there
    i.uid('STORE', uids[6], '+FLAGS', '(\\Answered)')
    i.uid('STORE', uids[7], '+FLAGS', '(\\Deleted)')            # gone on both sides
    path(7).unlink()
    i.uid('EXPUNGE', uids[5])
    i.append('INBOX', '(\\Flagged)', None, letter(1, mark='new there').replace(b'\n', b'\r\n'))
    here.add(letter(1, mark='new here'), 'F')
    demo.send('Subject: by smtp\r\n\r\nhello\r\n', [who])
    until('it is filed', lambda: i.noop() and i.uid('SEARCH', 'SUBJECT', '"by smtp"')[1][0])
    said = m.sync('here')
    said = m.sync('here')
    assert here.letters() == view(i), said
    assert len(here.letters()) == 12 - 4 + 3
    for n in (4, 5, 6, 7):
        assert not [p for p in here.files() if f'Subject: number {n}\n'.encode() in p.read_bytes()]
    assert path(0).name.endswith(':2,FRS') and path(3).name.endswith(':2,R')
    i.select()
    assert b'$Work' in i.uid('FETCH', uids[0], '(FLAGS)')[1][0]     # mbsync knows no keywords: they stay
    i.logout()


def test_boxes_made_removed_and_renamed_on_either_side(demo, tmp_path, who):
    m = Mbsync(demo, tmp_path, who)
    here = m.channel('here')
    here.add(letter(1), 'S', 'Rivers/Seine')
    i = demo.imap(who, 'fetch')
    i.create('Lakes/Como')
    i.append('Lakes/Como', None, None, letter(2).replace(b'\n', b'\r\n'))
    m.sync('here')
    assert view(i, 'Rivers/Seine') == here.letters('Rivers/Seine')
    assert view(i, 'Lakes/Como') == here.letters('Lakes/Como') != []

    # renamed there, and the folder with mbsync's own notes in it here: the letters are known again by UID and UIDVALIDITY
    i.unselect()
    assert i.rename('Rivers', 'Flüsse'.encode('utf-7').decode().replace('+', '&'))[0] == 'OK'
    (here.path / 'Rivers').rename(here.path / 'Fl&APw-sse')
    before = here.files('Fl&APw-sse/Seine')
    said = m.sync('here')
    assert here.files('Fl&APw-sse/Seine') == before, said
    assert view(i, 'Fl&APw-sse/Seine') == here.letters('Fl&APw-sse/Seine') != []

    # emptied and deleted there: gone here; renamed there only: a box that went, whose letters are not taken away, and a new one
    i.select('Lakes/Como')
    i.store('1', '+FLAGS', '\\Deleted')
    i.expunge()
    m.sync('here')
    assert here.letters('Lakes/Como') == []
    i.unselect()
    assert i.delete('Lakes/Como')[0] == 'OK'
    m.sync('here')
    assert 'Lakes/Como' not in here.boxes()
    assert i.rename('Fl&APw-sse/Seine', 'Fl&APw-sse/Marne')[0] == 'OK'
    m.sync('here', good=(0, 1))
    assert len(here.letters('Fl&APw-sse/Marne')) == 1
    assert len(view(i, 'Fl&APw-sse/Marne')) == 1
    i.logout()


def view_of(demo, who):
    i = demo.imap(who, 'fetch')
    try:
        return view(i)
    finally:
        i.logout()


def interrupted(m, relay, strike, sync, first, more):
    """mbsync again and again, each time cut off after some `more` bytes, until a run gets through."""
    dice, cuts = random.Random(1), 0
    while True:
        begun = threading.Event()

        def then():
            assert begun.wait(PATIENCE)
            strike(running)
        relay.happened, relay.then = False, then
        relay.left = dice.randrange(first, 2 * first) + cuts * more if cuts < 5 else None   # a role that dies often waits long
        running = m.begin(sync)
        begun.set()
        said = running.communicate(timeout=4 * PATIENCE)[0].decode('utf-8', 'replace')
        if running.returncode == 0:
            return cuts, said
        assert relay.happened, said
        relay.settle()
        cuts += 1


def listens(demo):
    try:
        imaplib.IMAP4('localhost', demo.port(143), timeout=PATIENCE).logout()
        return True
    except (OSError, imaplib.IMAP4.abort):
        return False


def striker(demo, victim):
    def strike(running):
        if victim == 'mbsync':
            running.kill()
            running.wait()
            return
        before = demo.roles()
        mail = [role for role in before if role.startswith('mail.')]
        for role in mail:
            os.kill(before[role], signal.SIGKILL)
        for role in mail:
            demo.restarted(role, before[role])
        until('it listens again', lambda: listens(demo))
    return strike


victims = pytest.mark.parametrize('victim', ['mbsync', 'pail'])


@victims
def test_two_thousand_letters_with_kill_9_in_the_middle(pail, tmp_path, victim):
    """Nothing is lost and nothing is there twice: up, and down again into another Maildir."""
    who = person(pail, 'cut-off')
    strike = striker(pail, victim)
    with Relay(pail.port(143)) as relay:
        m = Mbsync(pail, tmp_path, who, port=relay.port)
        source, copy = m.channel('source'), m.channel('copy')
        for n in range(2000):
            source.add(letter(n), 'S' if n % 3 == 0 else '')
        size = sum(path.stat().st_size for path in source.files())
        wanted = source.letters()
        up, said = interrupted(m, relay, strike, 'source', 20_000, size // 12)
        assert up >= 2, said
        assert view_of(pail, who) == source.letters() == wanted
        down, said = interrupted(m, relay, strike, 'copy', 20_000, size // 12)
        assert down >= 2, said
        assert copy.letters() == wanted == view_of(pail, who)


@victims
def test_changes_of_both_sides_with_kill_9_in_the_middle(pail, tmp_path, victim):
    """Letters, flags and deletions under way in both directions, cut off after every few thousand bytes."""
    who = person(pail, 'cut-off')
    with Relay(pail.port(143)) as relay:
        m = Mbsync(pail, tmp_path, who, port=relay.port)
        here = m.channel('here')
        for n in range(200):
            here.add(letter(n), 'S')
        m.sync('here')
        relay.settle()
        wanted = {n: 'S' for n in range(200)}
        i = pail.imap(who, 'fetch')
        i.select()
        uids = {text.split()[-1]: uid for uid, text in re.findall(
            r'UID (\d+) .*?Subject: (letter \d+)', ' '.join(
                f'{part[0].decode()} {part[1].decode()}' for part in
                i.fetch('1:*', '(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])')[1] if isinstance(part, tuple)))}
        paths = {int(re.search(rb'Subject: letter (\d+)', path.read_bytes()).group(1)): path for path in here.files()}
        for n in range(200):
            if n % 5 == 0:
                here.flag(paths[n], 'FS')
                wanted[n] = 'FS'
            elif n % 5 == 1:
                i.uid('STORE', uids[str(n)], '+FLAGS.SILENT', '(\\Answered)')
                wanted[n] = 'RS'
            elif n % 5 == 2:
                paths[n].unlink()
                del wanted[n]
            elif n % 10 == 3:
                i.uid('STORE', uids[str(n)], '+FLAGS.SILENT', '(\\Deleted)')
                del wanted[n]
        i.expunge()
        for n in range(200, 240):
            here.add(letter(n), '')
            i.append('INBOX', None, None, letter(n + 40).replace(b'\n', b'\r\n'))
            wanted[n] = wanted[n + 40] = ''
        i.logout()
        cuts, said = interrupted(m, relay, striker(pail, victim), 'here', 1_500, 2_000)
        assert cuts >= 3, said
        assert here.letters() == sorted((hashlib.sha256(letter(n)).hexdigest(), flags) for n, flags in wanted.items())
        assert view_of(pail, who) == here.letters()


@pytest.mark.parametrize('disable', ['LITERAL+', 'LITERAL+ MOVE CONDSTORE QRESYNC ESEARCH NAMESPACE'])
def test_a_server_with_less(demo, tmp_path, disable):
    """Not without UIDPLUS: then Debian 12's mbsync looks for what it sent by a header line, and takes the right answer for wrong,
    from any server."""
    who = person(demo, f'mbsync-less-{len(disable.split())}', disable)
    m = Mbsync(demo, tmp_path, who)
    here = m.channel('here')
    for n in range(20):
        here.add(letter(n), 'S')
    m.sync('here')
    i = demo.imap(who, 'fetch')
    assert view(i) == here.letters() and len(here.letters()) == 20
    here.flag(here.find(b'Subject: letter 3\n'), 'T')
    m.sync('here')
    assert view(i) == here.letters() and len(here.letters()) == 19
    i.logout()
