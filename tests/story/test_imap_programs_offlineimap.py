"""offlineimap3: a Maildir here, pail there, in both directions; it keeps notes of its own about what is where."""
import os
import zlib

import pytest
from pail import PATIENCE
from programs import Maildir, ca, letter, person, run, view, write_private

WAYS = {
    'clear': (143, 'ssl = no\nstarttls = no'),
    # Not STARTTLS: its imaplib2 goes on reading the clear socket from a second thread during the handshake, and now and then
    # waits for ever for an answer that thread has taken, from any server and with any version of TLS.
    'IMAPS': (993, 'ssl = yes\nsslcacertfile = {ca}'),
}


class Offlineimap:
    def __init__(self, demo, folder, who, way='clear'):
        port, tls = WAYS[way]
        self.folder, self.config = folder, folder / 'rc'
        self.here = Maildir(folder / 'mail')
        (folder / 'home').mkdir()
        write_private(self.config, f'''[general]
accounts = pail
metadata = {folder}/notes
ui = basic
socktimeout = {PATIENCE}
[Account pail]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {folder}/mail
sync_deletes = yes
[Repository there]
type = IMAP
remotehost = localhost
remoteport = {demo.port(port)}
remoteuser = {who}
remotepass = fetch
{tls.format(ca=ca(demo))}
maxconnections = 3
''')

    def sync(self):
        return run('offlineimap', '-c', self.config, '-o', '-1', env={**os.environ, 'HOME': str(self.folder / 'home')})

    def letters(self, box='INBOX'):
        """It keeps a header line of its own in what it has sent to a server without UIDPLUS."""
        return [flags for _, flags in self.here.letters(box)]


def crlf(text):
    return text.replace(b'\n', b'\r\n')


@pytest.mark.parametrize('disable', ['', 'UIDPLUS'], ids=['UIDPLUS', 'no UIDPLUS'])
@pytest.mark.parametrize('way', WAYS)
def test_both_ways(demo, tmp_path, request, way, disable):
    who = person(demo, f'offlineimap-{zlib.crc32(request.node.name.encode())}', disable)
    o = Offlineimap(demo, tmp_path, who, way)
    i = demo.imap(who, 'fetch')
    for n in range(10):
        i.append('INBOX', '(\\Seen)' if n % 2 else None, None, crlf(letter(n)))
    i.create('Rivers/Seine')
    i.append('Rivers/Seine', '(\\Flagged)', None, crlf(letter(50)))
    i.create('Entw&APw-rfe')
    i.append('Entw&APw-rfe', '(\\Draft)', None, crlf(letter(60)))
    o.sync()
    assert o.here.letters() == view(i) and len(view(i)) == 10
    boxes = {box.replace('.', '/') for box in o.here.boxes()}
    assert {'INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive', 'Rivers/Seine', 'Entw&APw-rfe'} <= boxes, boxes
    assert o.here.letters('Rivers.Seine') == view(i, 'Rivers/Seine')

    # both changed: flags, deletions, letters
    i.select()
    i.store('1', '+FLAGS', '\\Flagged')
    i.store('2', '+FLAGS', '\\Deleted')
    i.expunge()
    i.append('INBOX', None, None, crlf(letter(11)))
    for n, flags in ((4, 'RS'), (5, 'FS')):
        o.here.flag(o.here.find(f'Subject: letter {n}\n'.encode()), flags)
    o.here.find(b'Subject: letter 6\n').unlink()
    o.here.add(letter(12), 'S')
    o.here.add(letter(13, 200_000), '')
    o.here.add(letter(14), 'S', 'Letters')          # of a/b it would make a there, and then miss it here
    o.sync()
    o.sync()
    there = view(i)
    assert len(there) == 10 - 2 + 3
    assert sorted(flags for _, flags in there) == sorted(['F', 'S', 'RS', 'FS', 'S', '', 'S', '', '', 'S', ''])
    assert len(o.here.letters()) == 11 and sorted(o.letters()) == sorted(flags for _, flags in there)
    if not disable:
        assert o.here.letters() == there
    assert len(view(i, 'Letters')) == 1
    before = (o.here.all(), there)
    o.sync()
    assert (o.here.all(), view(i)) == before        # nothing moves any more
    i.logout()
