"""What strangers have tried against other mail servers, and floods: the right refusal, bounded memory, nobody else disturbed."""
import base64
import contextlib
import ctypes
import os
import random
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from pail import PAIL, PATIENCE, Pail, until

ROOT = os.geteuid() == 0
LETTER = b'Subject: outer\r\n\r\nhello'
ENVELOPE = b'MAIL FROM:<jack@town.com>\r\nRCPT TO:<jill@hill.com>\r\n'


class Wire:
    """A bare connection: says what a mail program would never say."""

    def __init__(self, pail, port, address='127.0.0.1', source=''):
        self.pail = pail
        self.socket = socket.create_connection((address, pail.port(port)), timeout=PATIENCE, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')

    def tls(self):
        trust = ssl.create_default_context(cafile=f'{self.pail.folder}/ca.pem')
        self.socket = trust.wrap_socket(self.socket, server_hostname='localhost')
        self.file = self.socket.makefile('rb')

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece)

    def hear(self):
        """A reply, with all its lines; empty when they hung up."""
        reply = b''
        while True:
            try:
                line = self.file.readline()
            except ConnectionError:
                return reply
            reply += line
            if not re.match(rb'\d\d\d-', line):
                return reply

    def say(self, text, answer=None):
        self.send(text + b'\r\n')
        reply = self.hear()
        assert answer is None or reply.startswith(answer), (text[:60], reply)
        return reply

    def greeted(self, hello=b'EHLO town.com'):
        assert self.hear()[:3] in (b'220', b'+OK')
        if hello:
            self.say(hello, b'250')
        return self

    def data(self):
        """The connection after 354."""
        self.say(b'MAIL FROM:<jack@town.com>', b'250')
        self.say(b'RCPT TO:<jill@hill.com>', b'250')
        self.say(b'DATA', b'354')
        return self

    def goes_on(self):
        self.say(b'NOOP', b'250')
        self.say(b'QUIT', b'221')
        assert self.hear() == b''
        self.close()

    def until_hung_up(self, drip):
        """Sends that again and again, until the other side has had enough."""
        def hung_up():
            try:
                self.socket.sendall(drip)
                self.socket.setblocking(False)
                return self.socket.recv(65536) == b''
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            except OSError:
                return True
            finally:
                self.socket.settimeout(PATIENCE)
        until('they hang up', hung_up)
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


def jills(pail):
    """Her letters' texts; the mailbox is empty afterwards."""
    texts = pail.letters('jill@hill.com')
    p = pail.pop3('jill@hill.com')
    for i in range(p.stat()[0]):
        p.dele(i + 1)
    p.quit()
    return texts


def nothing_came(pail):
    """All that was sent before is in before this marker: a letter of each process to the same account."""
    for _ in range(8):
        pail.send('Subject: marker\r\n\r\n', ['jill@hill.com'])
    until('the markers are there', lambda: pail.count('jill@hill.com') >= 8)
    texts = jills(pail)
    assert len(texts) == 8 and all(b'Subject: marker' in text for text in texts), texts


# ---- smuggling: 1 ----

FALSE_ENDS = [b'\n.\n', b'\n.\r', b'\r.\n', b'\r.\r', b'\n.\r\n', b'\r.\r\n', b'\r\n\x00.\r\n', b'\r\n.\n', b'\r\n.\r',
              b'\r\n.\r\r\n', b'\r\r\n.\r\r\n', b'\r\n.\x00\r\n', b'\n\n.\r\n', b'\r\n.\n\r\n']
SMUGGLED = ENVELOPE + b'DATA\r\nSubject: smuggled\r\n\r\nx'
by_end = pytest.mark.parametrize('end', FALSE_ENDS, ids=repr)


@by_end
def test_a_false_end_of_data_ends_nothing_however_it_is_cut(demo, end):
    whole = LETTER + end + SMUGGLED
    cuts = [[whole + b'\r\n.\r\n']]
    at = len(LETTER)
    cuts += [[whole[:at + i], whole[at + i:] + b'\r\n.\r\n'] for i in range(len(end) + 2)]
    cuts += [[whole[:at], *(bytes([b]) for b in whole[at:at + len(end)]), whole[at + len(end):], b'\r\n', b'.', b'\r\n']]
    for pieces in cuts:
        w = Wire(demo, 25).greeted().data()
        w.send(*pieces)
        assert w.hear().startswith(b'550 5.6.11'), pieces
        w.goes_on()
    nothing_came(demo)


@by_end
def test_a_false_end_in_chunks_is_refused_wherever_the_border_lies(demo, end):
    whole = LETTER + end + SMUGGLED + b'\r\n'
    at = len(LETTER)
    for border in range(at - 1, at + len(end) + 2):
        w = Wire(demo, 25).greeted()
        w.say(b'MAIL FROM:<jack@town.com>', b'250')
        w.say(b'RCPT TO:<jill@hill.com>', b'250')
        chunks = whole[:border], whole[border:]
        w.send(b'BDAT %d\r\n%s' % (len(chunks[0]), chunks[0]), b'BDAT %d LAST\r\n%s' % (len(chunks[1]), chunks[1]))
        replies = [w.hear(), w.hear()]
        assert b'550 5.6.11' in b''.join(replies), replies
        w.say(b'RSET', b'250')
        w.goes_on()
    nothing_came(demo)


def test_a_dot_line_in_a_chunk_is_text(demo):
    text = LETTER + b'\r\n.\r\n' + SMUGGLED + b'\r\n.\r\n..\r\n'
    w = Wire(demo, 25).greeted()
    w.say(b'MAIL FROM:<jack@town.com>', b'250')
    w.say(b'RCPT TO:<jill@hill.com>', b'250')
    w.send(b'BDAT %d LAST\r\n%s' % (len(text), text))
    assert w.hear().startswith(b'250')
    w.goes_on()
    until('it is there', lambda: demo.count('jill@hill.com') == 1)
    [came] = jills(demo)
    assert came.endswith(text)


def test_a_chunk_whose_size_is_a_lie_is_read_to_its_size(demo):
    for size in (b'-1', b'18446744073709551616', b'99999999999999999999999', b'0x10', b'1e3', b'', b'5 LAST LAST', b'5 first'):
        w = Wire(demo, 25).greeted()
        w.say(b'MAIL FROM:<jack@town.com>', b'250')
        w.say(b'RCPT TO:<jill@hill.com>', b'250')
        assert w.say(b'BDAT ' + size)[:1] in (b'5', b''), size
        w.close()
    nothing_came(demo)


# ---- what stands behind STARTTLS: 2 ----

@pytest.mark.parametrize('port, injected', [
    (25, b'STARTTLS\r\nEHLO x.com\r\n'),
    (25, b'starttls\r\nmail from:<a@town.com>\r\n'),
    (25, b'STARTTLS\r\nM'),
    (587, b'STARTTLS\r\nAUTH PLAIN AGphY2sAY3Jvd24=\r\n'),
    (110, b'STLS\r\nCAPA\r\n'),
    (110, b'STLS\r\nUSER jill\r\nPASS tumbling\r\n'),
])
def test_what_stands_behind_starttls_is_carried_out_neither_before_nor_under_tls(demo, port, injected):
    w = Wire(demo, port).greeted(b'' if port == 110 else b'EHLO town.com')
    w.send(injected)
    reply = w.hear()
    if reply[:3] in (b'220', b'+OK'):
        w.tls()     # whoever says yes must have forgotten it
        assert w.say(b'QUIT')[:3] in (b'221', b'+OK')
    else:
        assert reply[:1] in (b'5', b'-')
    assert w.hear() == b''
    w.close()


def test_what_was_said_before_starttls_is_forgotten(demo):
    w = Wire(demo, 25).greeted()
    w.say(b'AUTH PLAIN AGphY2sAY3Jvd24=', b'235')
    if w.say(b'STARTTLS').startswith(b'220'):
        w.tls()
        w.say(b'MAIL FROM:<jack@town.com>', b'503')     # EHLO first
        w.say(b'EHLO town.com', b'250')
        assert b'AUTH' in w.say(b'EHLO town.com')       # nobody is signed in
        w.say(b'MAIL FROM:<x@elsewhere.org>', b'250')
        w.say(b'RCPT TO:<y@elsewhere.org>', b'55')
    w.close()
    w = Wire(demo, 25).greeted()
    w.say(b'MAIL FROM:<jack@town.com>', b'250')
    if w.say(b'STARTTLS').startswith(b'220'):
        w.tls()
        w.say(b'EHLO town.com', b'250')
        w.say(b'RCPT TO:<jill@hill.com>', b'503')
    w.close()
    w = Wire(demo, 110).greeted(b'')
    w.say(b'USER jill', b'+OK')
    w.say(b'STLS', b'+OK')
    w.tls()
    w.say(b'PASS tumbling', b'-ERR')
    w.close()


# ---- lines without end, letters without end: 4 ----

def sanitized():
    """AddressSanitizer keeps what was freed: its memory says nothing."""
    with open(PAIL, 'rb') as f:
        return b'libasan' in f.read()


def memory(pail):
    """KB of all roles together; a role's own and its share of what is shared."""
    total = 0
    for pid in pail.roles().values():
        with contextlib.suppress(PermissionError):
            with open(f'/proc/{pid}/smaps_rollup') as f:
                total += int(re.search(r'^Pss: +(\d+)', f.read(), re.M).group(1))
            continue
        with open(f'/proc/{pid}/status') as f:
            total += int(re.search(r'^VmRSS:\s+(\d+)', f.read(), re.M).group(1))
    return total


@contextlib.contextmanager
def bounded(pail, mb):
    before = memory(pail)
    yield
    after = memory(pail)
    print(f'memory: {before} KB before, {after} KB after')
    assert sanitized() or after - before < mb * 1024, f'{before} KB before, {after} KB after'


@pytest.mark.parametrize('port, begin', [
    (25, b''), (25, b'MAIL FROM:<'), (587, b'AUTH PLAIN '), (25, b'EHLO '), (110, b''), (110, b'USER '), (110, b'APOP '),
])
def test_a_line_without_end_costs_no_memory(demo, port, begin):
    wires = [Wire(demo, port).greeted(b'' if port == 110 or begin.startswith(b'EHLO') else b'EHLO town.com')
             for _ in range(8)]
    with bounded(demo, 8):
        for w in wires:
            w.send(begin)
            for _ in range(40):
                w.send(b'x' * 100_000)
    for w in wires:
        w.send(b'\r\n')
        assert w.hear()[:1] in (b'5', b'-')
        w.say(b'NOOP' if port != 110 else b'CAPA')
        w.close()


def test_a_line_without_end_in_a_sign_in_costs_no_memory_either(demo):
    for port, auth, no in ((587, b'AUTH PLAIN', b'500'), (110, b'AUTH PLAIN', b'-ERR')):
        w = Wire(demo, port).greeted(b'' if port == 110 else b'EHLO town.com')
        w.say(auth)
        with bounded(demo, 8):
            for _ in range(40):
                w.send(b'QUFB' * 25_000)
        w.send(b'\r\n')
        assert w.hear().startswith(no)
        w.close()


def staged(pail):
    if not ROOT and os.stat(pail.folder).st_uid != os.geteuid():
        return []
    return [name for name in os.listdir(f'{pail.folder}/intake') if name.endswith('.body')]


def test_a_letter_too_large_is_refused_at_once_at_its_end_or_not_awaited():
    with Pail(settings={'max-letter-size': '1m'}) as pail:
        w = Wire(pail, 25).greeted()
        w.say(b'MAIL FROM:<jack@town.com> SIZE=1048577', b'552')
        for lie in (b'18446744073709551617', b'-5', b'12x', b'1 SIZE=2'):
            assert w.say(b'MAIL FROM:<jack@town.com> SIZE=' + lie)[:1] == b'5', lie
            w.say(b'RSET', b'250')
        piece = b'x' * 70 + b'\r\n'
        with bounded(pail, 8):
            w.data()
            w.send(*[piece * 1000] * 16)        # beyond the size, and it ends
            w.send(b'.\r\n')
            assert w.hear().startswith(b'552')
            w.goes_on()
            for declared in (b'', b' SIZE=100'):        # far beyond, and it does not
                w = Wire(pail, 25).greeted()
                w.say(b'MAIL FROM:<jack@town.com>' + declared, b'250')
                w.say(b'RCPT TO:<jill@hill.com>', b'250')
                w.say(b'DATA', b'354')
                w.until_hung_up(piece * 1000)
            w = Wire(pail, 25).greeted()        # one chunk of them all
            w.say(b'MAIL FROM:<jack@town.com>', b'250')
            w.say(b'RCPT TO:<jill@hill.com>', b'250')
            w.send(b'BDAT 4000000000\r\n')
            w.until_hung_up(piece * 1000)
        until('nothing is left of them', lambda: not staged(pail))
        nothing_came(pail)


def test_many_half_letters_cost_a_bounded_part_of_memory(pail):
    wires = [Wire(pail, 25).greeted().data() for _ in range(60)]
    with bounded(pail, 48):     # up to some hundred KB each, and no more for all together than 64 MB
        for w in wires:
            w.send(LETTER + (b'x' * 70 + b'\r\n') * 10_000)
    for w in wires:
        w.close()       # they vanish in the middle
    until('nothing is left of them', lambda: not staged(pail))
    nothing_came(pail)


def test_a_reader_who_asks_and_never_reads_costs_no_memory(pail):
    pail.send('Subject: long\r\n\r\n' + ('y' * 70 + '\r\n') * 150_000, ['alice@crepes.fr'])
    until('it is there', lambda: pail.count('alice@crepes.fr') == 1)
    with bounded(pail, 16):
        wires = []
        for _ in range(30):
            w = Wire(pail, 110).greeted(b'')
            w.say(b'USER alice', b'+OK')
            w.say(b'PASS rabbit', b'+OK')
            w.send(b'RETR 1\r\n' * 500)
            assert w.file.readline().startswith(b'+OK')
            wires.append(w)
    for w in wires:
        w.close()
    assert pail.count('alice@crepes.fr') == 1


# ---- sign-ins without end ----

def test_aborted_and_abandoned_sign_ins_cost_nothing_and_hold_up_nobody():
    with Pail(settings={'signin-delay': 0, 'max-errors': 1000000}) as pail:
        pail.verb('passwd', 'jack@town.com', '--scram', input='crown\n')

        def round_():
            w = Wire(pail, 587).greeted()
            for _ in range(300):
                w.say(b'AUTH SCRAM-SHA-256 biwsbj1qYWNrLHI9Zng=', b'334')
                w.say(b'*', b'501')
                w.say(b'AUTH LOGIN', b'334')
                w.say(b'!!!!', b'501')
            w.say(b'AUTH SCRAM-SHA-256 biwsbj1qYWNrLHI9Zng=', b'334')
            w.close()
        round_()
        with bounded(pail, 8):
            for _ in range(4):
                round_()
        w = Wire(pail, 587).greeted()
        w.say(b'AUTH PLAIN AGphY2sAY3Jvd24=', b'235')
        w.close()


@pytest.mark.parametrize('name', [b'', b'*', b'%', b'jill@', b'@hill.com', b"' OR 1=1 --", b'jill@hill.com/../alice@crepes.fr',
                                  b'..', b'.', b'jill@hill.com.', b'jill\xc3\x28', b'\xff\xfe', b'JILL@HILL.COM\x00x',
                                  b'jill' * 20_000, b'jill+shop@hill.com', b'friends@hill.com', b'anonymous'])
def test_no_strange_name_signs_in_with_somebodys_password(demo, name):
    token = base64.b64encode(b'\0' + name + b'\0tumbling')
    w = Wire(demo, 587).greeted()
    reply = w.say(b'AUTH PLAIN ' + token)
    assert reply[:1] == b'5', reply
    w.close()
    if b'\0' not in name and len(name) < 200:
        w = Wire(demo, 110).greeted(b'')
        w.say(b'USER ' + name)
        assert w.say(b'PASS tumbling').startswith(b'-ERR')
        w.close()


def test_a_password_that_was_just_right_for_one_is_not_for_another(demo):
    for _ in range(3):
        demo.pop3('jack@town.com').quit()       # remembered now
        for who in ('jill@hill.com', 'jack@town.comx', 'ack@town.comj'):
            with pytest.raises(Exception, match='ERR'):
                demo.pop3(who, 'crown')
    for authzid, code in ((b'jack@town.com', b'235'), (b'jill@hill.com', b'535'), (b'root', b'535')):
        w = Wire(demo, 587).greeted()
        w.say(b'AUTH PLAIN ' + base64.b64encode(authzid + b'\0jack\0crown'), code)
        w.close()


# ---- floods ----

def test_more_connections_than_allowed_are_told_so_and_the_others_go_on():
    with Pail(settings={'workers': 1, 'max-connections': 20}) as pail:
        inside = [Wire(pail, 25).greeted() for _ in range(20)]
        for port, says in ((25, b'421'), (587, b'421'), (110, b'-ERR')):
            for _ in range(30):
                w = Wire(pail, port)
                assert w.hear().startswith(says)
                assert w.hear() == b''
                w.close()
        for w in inside:
            w.goes_on()
        until('there is room again', lambda: pail.pop3('jill@hill.com'))


@pytest.mark.skipif(not shutil.which('prlimit'), reason='no prlimit')
def test_with_few_descriptors_it_takes_fewer_says_so_and_does_not_spin():
    with Pail(settings={'workers': 1}, prefix=['prlimit', '--nofile=120:120']) as pail:
        pail.event('limits', 'descriptors=120')
        first = Wire(pail, 25).greeted()
        many = [socket.create_connection(('127.0.0.1', pail.port(25)), timeout=PATIENCE) for _ in range(200)]
        until('the log says so', lambda: pail.events('accept') or pail.events('refused'))
        before = cpu(pail)
        for _ in range(200):
            first.say(b'NOOP', b'250')      # who is in is served
        assert cpu(pail) - before < 2
        for s in many:
            s.close()
        first.goes_on()
        pail.send('Subject: after\r\n\r\n', ['jill@hill.com'])
        until('it works again', lambda: pail.count('jill@hill.com') == 1)


def cpu(pail):
    """Seconds the mail process has worked."""
    with open(f'/proc/{pail.roles()["mail.0"]}/stat') as f:
        words = f.read().rpartition(')')[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')


def test_a_flood_of_connections_that_say_nothing_leaves_nothing_behind(pail):
    def round_():
        for _ in range(20):
            wires = [socket.create_connection(('127.0.0.1', pail.port(port)), timeout=PATIENCE)
                     for port in (25, 110, 465, 995, 587) for _ in range(10)]
            for s in wires:
                s.close()
        pail.pop3('jill@hill.com').quit()
    round_()
    with bounded(pail, 8):
        round_()
        round_()
    pids = pail.roles().values()
    if ROOT:
        until('no descriptor is left', lambda: all(len(os.listdir(f'/proc/{pid}/fd')) < 150 for pid in pids))


def test_a_flood_of_commands_in_one_segment_is_answered_in_order(demo):
    w = Wire(demo, 25).greeted()
    w.send(b'NOOP\r\n' * 20_000 + b'QUIT\r\n')
    replies = [w.hear()[:3] for _ in range(20_001)]
    assert set(replies[:-1]) == {b'250'} and replies[-1] == b'221'
    w.close()
    w = Wire(demo, 110).greeted(b'')
    w.send(b'USER bob\r\nPASS hungry\r\n' + b'STAT\r\n' * 20_000 + b'QUIT\r\n')
    lines = [w.hear() for _ in range(20_003)]
    assert set(lines[2:-1]) == {b'+OK 2 1410\r\n'} and lines[-1].startswith(b'+OK')
    w.close()


@pytest.mark.parametrize('port', [25, 110, 587])
def test_a_flood_of_errors_ends_with_goodbye(demo, port):
    rng = random.Random(port)
    w = Wire(demo, port)
    for _ in range(5000):
        try:
            w.send(rng.randbytes(rng.randrange(1, 300)) + b'\r\n')
        except OSError:
            break
    while w.hear():
        pass
    w.close()
    demo.pop3('jill@hill.com').quit()
    assert not demo.events('role-died')


# ---- slow drips ----

@pytest.fixture(scope='module')
def impatient():
    with Pail(settings={'smtp-command-timeout': 2, 'smtp-data-timeout': 2, 'pop3-command-timeout': 2,
                        'data-min-rate': 1000, 'data-rate-window': 2}) as p:
        yield p


@pytest.mark.parametrize('where', ['command', 'DATA', 'DATA with dots', 'BDAT', 'AUTH', 'AUTH in POP3', 'USER', 'TLS'])
def test_a_slow_drip_is_hung_up_on_however_regularly_it_drips(impatient, where):
    pop3 = where in ('USER', 'AUTH in POP3')
    w = Wire(impatient, 110 if pop3 else 25).greeted(b'' if pop3 else b'EHLO town.com')
    drip = b'x'
    if where.startswith('DATA'):
        w.data()
        w.send(LETTER)
        drip = b'\r\n..' if 'dots' in where else b'x'
    elif where == 'BDAT':
        w.say(b'MAIL FROM:<jack@town.com>', b'250')
        w.say(b'RCPT TO:<jill@hill.com>', b'250')
        w.send(b'BDAT 1000000 LAST\r\n')
    elif where.startswith('AUTH'):
        w.say(b'AUTH PLAIN')
        drip = b'A'
    elif where == 'TLS':
        w.say(b'STARTTLS', b'220')
        w.tls()
    w.until_hung_up(drip)
    impatient.pop3('jill@hill.com').quit()


@pytest.mark.parametrize('port', [25, 110, 587])
def test_who_says_nothing_is_hung_up_on(impatient, port):
    w = Wire(impatient, port).greeted(b'')
    while w.hear():     # 421, then the end
        pass
    w.close()


# ---- what would stand in a header or in a path: 6, 7 ----

HELLOS = [b'town.com\x00', b'town.com\r X: y', b'town.com\x0bx', b'town.com (evil)', b'town.com)', b'[127.0.0.1', b'\xc4\x8d.com',
          b'town.com\tby hill.com', b'a' * 400, b'-x-.com', b'<town.com>', b'town.com;', b'"town.com"', b'town..com', b'']
PARAMETERS = [b'SIZE=1\x00', b'SIZE=1\x0bX: y', b'BODY=8BITMIME\x7f', b'X-EVIL=1', b'BODY=\xe2\x80\xa8', b'SIZE=', b'=1', b'AUTH=<>\x01',
              b'SMTPUTF8=1']
SENDERS = [b'<"a\x00b"@town.com>', b'<a\x0bb@town.com>', b'<"a\\\x01"@town.com>', b'<a@town.com\x00>', b'<a@b>c>', b'<"a"b@town.com>',
           b'<\xc4\x8d\xc4\x8a@town.com>', b'<a@' + b'b' * 300 + b'.com>', b'<' + b'a' * 2000 + b'@town.com>', b'<"@town.com>',
           b'<a\xff@town.com>', b'<@a,@b:>', b'<<a@town.com>>']


def only_what_belongs_there(text):
    """Every line of the header is one that somebody meant to be there."""
    header = text.split(b'\r\n\r\n')[0] + b'\r\n'
    assert re.fullmatch(rb'(?:(?:Return-Path|Received|Subject): [^\x00-\x08\x0a-\x1f\x7f]*\r\n(?:[ \t][^\x00-\x08\x0a-\x1f\x7f]*\r\n)*)+',
                        header), header
    assert header.count(b'\r\nReceived: ') == 1 and header.count(b'Return-Path: ') == 1, header


def test_nothing_that_a_peer_says_becomes_a_header_line(demo):
    taken = 0
    for hello in HELLOS:
        for verb in (b'HELO ', b'EHLO '):
            w = Wire(demo, 25).greeted(b'')
            code = w.say(verb + hello)[:3]
            assert code in (b'250', b'501', b'500', b''), (hello, code)
            if code == b'250':
                w.data().send(LETTER + b'\r\n.\r\n')
                assert w.hear().startswith(b'250')
                taken += 1
            w.close()
    for tail in [b'<jack@town.com> ' + p for p in PARAMETERS] + SENDERS:
        w = Wire(demo, 25).greeted()
        code = w.say(b'MAIL FROM:' + tail)[:3]
        assert code in (b'250', b'501', b'553', b'555', b'500', b'550', b'504'), (tail, code)
        if code == b'250':
            w.say(b'RCPT TO:<jill@hill.com>', b'250')
            w.say(b'DATA', b'354')
            w.send(LETTER + b'\r\n.\r\n')
            assert w.hear().startswith(b'250')
            taken += 1
        w.close()
    until('what was taken is there', lambda: demo.count('jill@hill.com') == taken)
    for text in jills(demo):
        only_what_belongs_there(text)


@pytest.mark.parametrize('to', [b'<""@hill.com>', b'<jill@hill.com', b'<../alice@crepes.fr>', b'<jill@hill.com/../x>', b'<jill\xc3@hill.com>',
                                b'<"jill\r"@hill.com>', b'<jill@hill.com>\x00', b'<@hill.com>', b'<jill@>', b'<>', b'<jill@[127.0.0.1]>',
                                b'<jill@[999.1.1.1]>', b'<|/bin/sh@hill.com>', b'<jill%elsewhere.org@hill.com>', b'<elsewhere.org!jill@hill.com>',
                                b'<@hill.com,@elsewhere.org:jill@elsewhere.org>', b'<jill@hill.com>garbage', b'<' + b'j' * 5000 + b'@hill.com>'])
def test_no_strange_recipient_is_taken_or_does_harm(demo, to):
    w = Wire(demo, 25).greeted()
    w.say(b'MAIL FROM:<stranger@elsewhere.org>', b'250')
    assert w.say(b'RCPT TO:' + to)[:1] in (b'5', b'4')
    w.goes_on()
    assert not demo.events('role-died')


@pytest.mark.parametrize('line', [b'RETR 0', b'RETR -1', b'RETR 3', b'RETR 4294967297', b'RETR 99999999999999999999999', b'TOP 1', b'TOP 1 -1',
                                  b'TOP 1 99999999999999999999', b'DELE', b'DELE 1 1', b'LIST 0', b'UIDL x', b'RETR 1\x00', b'RETR \xff',
                                  b'UTF8 x', b'LANG ' + b'x' * 250, b'APOP jill x', b'USER jill', b'STLS x', b'\t', b'RETR' + b' ' * 200 + b'9'])
def test_no_strange_number_is_taken_by_pop3(demo, line):
    w = Wire(demo, 110).greeted(b'')
    w.say(b'USER bob', b'+OK')
    w.say(b'PASS hungry', b'+OK')
    assert w.say(line).startswith(b'-ERR')
    w.say(b'STAT', b'+OK 2 1410')
    w.say(b'QUIT', b'+OK')
    w.close()


# ---- strangers that are not on loopback, which is never refused ----

STRANGER = '192.0.2.77'


@pytest.fixture
def elsewhere():
    """A network of its own, where 192.0.2.1 is this host, and STRANGER is not trusted."""
    if not (ROOT and shutil.which('ip') and subprocess.run(['unshare', '-n', 'true'], capture_output=True).returncode == 0):
        pytest.skip('needs root, ip and a network namespace')
    prefix = ['unshare', '-n', 'sh', '-c', 'ip link set lo up && ip addr add 192.0.2.1/24 dev lo && exec "$@"', 'sh']
    with Pail(prefix=prefix, settings={'listen': '127.0.0.1 192.0.2.1', 'workers': 1, 'max-connections-per-address': 5,
                                       'ban-after': 4, 'signin-delay': 0, 'plaintext-login': 'always'}) as pail:
        libc = ctypes.CDLL(None, use_errno=True)
        with open('/proc/self/ns/net') as ours, open(f'/proc/{pail.process.pid}/ns/net') as theirs:
            assert libc.setns(theirs.fileno(), 0x40000000) == 0     # CLONE_NEWNET, for this thread
            try:
                yield pail
            finally:
                assert libc.setns(ours.fileno(), 0x40000000) == 0


def stranger(pail, port):
    return Wire(pail, port, '192.0.2.1', STRANGER)


def test_a_host_gets_so_many_connections_and_no_more(elsewhere):
    inside = [stranger(elsewhere, 25).greeted() for _ in range(5)]
    for port, says in ((25, b'421'), (110, b'-ERR')):
        w = stranger(elsewhere, port)
        assert w.hear().startswith(says)
        w.close()
    Wire(elsewhere, 25).greeted().goes_on()     # others are not concerned
    inside.pop().goes_on()
    until('one more may come', lambda: stranger(elsewhere, 25).hear().startswith(b'220'))


def test_a_host_that_guesses_passwords_is_refused_until_it_is_forgiven(elsewhere):
    def guess(port):
        w = stranger(elsewhere, port)
        if not w.hear().startswith((b'220', b'+OK')):
            return False
        if port == 110:
            w.say(b'USER jill')
            w.say(b'PASS guess')
        else:
            w.say(b'EHLO town.com')
            w.say(b'AUTH PLAIN AGppbGwAZ3Vlc3M=')
        w.close()
        return True
    guesses = 0
    while guess((110, 587)[guesses % 2]):
        guesses += 1
        assert guesses < 100
    assert guesses >= 4
    assert STRANGER in elsewhere.verb('bans', 'list').stdout
    assert stranger(elsewhere, 25).hear()[:3] in (b'421', b'554')
    assert stranger(elsewhere, 110).hear().startswith(b'-ERR')
    Wire(elsewhere, 110).greeted(b'').say(b'CAPA', b'+OK')      # loopback never
    elsewhere.verb('bans', 'remove', STRANGER)
    until('it may come again', lambda: stranger(elsewhere, 25).hear().startswith(b'220'))
