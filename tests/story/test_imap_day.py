"""A reader's day: a letter comes, is announced, read, answered, filed; every protocol then tells the same of it."""
import imaplib
import re
import ssl
import threading
import zlib

from imapwire import Literal, Wire
from pail import PATIENCE, until
from programs import ca, person, run, write_private


class Idler(Wire):
    """One that has said IDLE; `next(word)` waits for an announcement with that word."""

    def idle(self, who, password, box='INBOX'):
        self.login(who, password)
        self.ok(f'SELECT {box}')
        self.socket.sendall(b'i IDLE\r\n')
        assert self.until(b'+').startswith(b'+')
        return self

    def next(self, word):
        while True:
            line = self.response()
            if word in line:
                return line


def test_a_day(demo, tmp_path):
    who = person(demo, 'reader')
    phone = Idler(demo.port(143)).idle(who, 'fetch')            # lies on the table all day
    desk = Wire(demo.port(143))
    desk.login(who, 'fetch')
    desk.ok('SELECT INBOX')

    # a letter comes by SMTP, and the phone says so
    run('swaks', '--server', '127.0.0.1', '--port', demo.port(25), '--helo', 'town.com', '--from', 'jack@town.com', '--to', who,
        '--data', f'From: Jack <jack@town.com>\nTo: {who}\nSubject: a pail\nMessage-ID: <day@town.com>\n\nPlease fetch me one.')
    assert phone.next(b'EXISTS') == b'* 1 EXISTS'
    desk.ok('NOOP')
    [(uid, found)] = desk.fetch('UID FETCH 1:* (UID FLAGS ENVELOPE BODY[TEXT])').items()
    assert found['BODY[TEXT]'] == b'Please fetch me one.\r\n' and found['ENVELOPE'][1] == b'a pail'
    assert b'\\Seen' in phone.next(b'FETCH')

    # answered by submission; the copy is appended to Sent and the letter marked
    answer = f'From: {who}\r\nTo: jack@town.com\r\nSubject: Re: a pail\r\nIn-Reply-To: <day@town.com>\r\n\r\nHere it is.\r\n'
    before = demo.count('jack@town.com')
    config = write_private(tmp_path / 'msmtprc', f'account default\nhost localhost\nport {demo.port(587)}\ntls on\n'
                           f'tls_trust_file {ca(demo)}\nauth plain\nuser {who}\npassword fetch\nfrom {who}\n')
    run('msmtp', '-C', config, 'jack@town.com', input=answer.replace('\r\n', '\n').encode())
    until('jack has it', lambda: demo.count('jack@town.com') == before + 1)
    code, _ = desk.ok('APPEND Sent (\\Seen) ', Literal(answer.encode()))
    assert re.fullmatch(r'APPENDUID \d+ 1', code)
    desk.ok(f'UID STORE {uid} +FLAGS (\\Answered)')
    assert b'\\Answered' in phone.next(b'FETCH')
    assert demo.letters('jack@town.com')[-1].endswith(b'\r\n\r\nHere it is.\r\n')

    # two more come, one is junk; POP3 sees what there is
    for subject in ('lunch', 'you have won'):
        demo.send(f'Subject: {subject}\r\n\r\nhello\r\n', [who])
    assert phone.next(b'3 EXISTS')
    pop = demo.pop3(who, 'fetch')
    assert pop.stat()[0] == 3
    desk.ok('NOOP')
    _, told = desk.ok('UID SEARCH SUBJECT "won"')
    junk = told[0].split()[-1].decode()
    desk.ok(f'UID STORE {junk} +FLAGS.SILENT (\\Deleted)')
    desk.ok(f'UID EXPUNGE {junk}')
    assert phone.next(b'EXPUNGE') == b'* 3 EXPUNGE'
    assert pop.stat()[0] == 3                                   # RFC 1939: its own view does not change under it
    pop.quit()
    assert demo.count(who, 'fetch') == 2

    # filed by MOVE: gone from POP3, too; and what POP3 takes away is gone for those who idle
    _, told = desk.ok(f'UID MOVE {uid} Archive')
    assert phone.next(b'EXPUNGE') == b'* 1 EXPUNGE'
    pop = demo.pop3(who, 'fetch')
    assert pop.stat()[0] == 1 and b'Subject: lunch' in pop.retr(1)[1]
    pop.dele(1)
    pop.quit()
    assert phone.next(b'EXPUNGE') == b'* 1 EXPUNGE'
    desk.ok('SELECT Archive')
    assert set(desk.fetch('UID FETCH 1 (UID FLAGS)')[1]['FLAGS']) - {b'\\Recent'} == {b'\\Seen', b'\\Answered'}
    for w in (phone, desk):
        w.close()


class Deflated:
    """What imaplib reads and writes once COMPRESS is on."""

    def __init__(self, socket):
        self.socket, self.buffer = socket, b''
        self.out, self.into = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        self.written = self.got = 0

    def sendall(self, data):
        data = self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH)
        self.written += len(data)
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        assert data, 'cut off'
        self.got += len(data)
        self.buffer += self.into.decompress(data)

    def read(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def readline(self, _=None):
        while b'\n' not in self.buffer:
            self.more()
        return self.read(self.buffer.index(b'\n') + 1)

    def close(self):
        pass

    def shutdown(self, how):
        self.socket.shutdown(how)
        self.socket.close()


def compressed(demo, who):
    """As Thunderbird does it: TLS first, then COMPRESS."""
    i = imaplib.IMAP4_SSL('localhost', demo.port(993), ssl_context=ssl.create_default_context(cafile=ca(demo)),
                          timeout=PATIENCE)
    i.login(who, 'fetch')
    assert i.xatom('COMPRESS', 'DEFLATE')[0] == 'OK'
    i.sock = i.file = i.inside = Deflated(i.sock)
    i.read, i.readline, i.send = i.inside.read, i.inside.readline, i.inside.sendall
    return i


def test_a_program_with_five_connections_all_compressed(demo):
    """Each looks into a mailbox of its own, all at once; what one appends, the others find."""
    who = person(demo, 'five')
    boxes = ['INBOX', 'Sent', 'Drafts', 'Archive', 'Junk']
    open = [compressed(demo, who) for _ in boxes]
    text = b'Subject: to %s\r\n\r\n' + b'the same again and again\r\n' * 400
    failed = []

    def work(i, box, other):
        try:
            for n in range(10):
                assert i.append(other, '(\\Seen)' if n % 2 else None, None, text % box.encode())[0] == 'OK'
            i.select(box)
            until(f'all are in {box}', lambda: i.noop() and i.search(None, 'ALL')[1][0].split()[9:])
            found = [part[1] for part in i.fetch('1:*', '(BODY.PEEK[])')[1] if isinstance(part, tuple)]
            assert found == [text % boxes[boxes.index(box) - 1].encode()] * 10
            assert i.inside.got < len(text) * 4
            assert len(i.search(None, 'SEEN')[1][0].split()) == 5
        except BaseException as e:
            failed.append(e)
    threads = [threading.Thread(target=work, args=(i, boxes[n], boxes[(n + 1) % 5])) for n, i in enumerate(open)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed
    for i in open:
        assert i.logout()[0] == 'BYE'
