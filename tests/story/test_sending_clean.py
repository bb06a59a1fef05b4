"""Sending: what leaves is clean (outbound smuggling). Whatever came in, and however: no bare CR, no bare LF, and no peer hears a command that was in a
letter. A server that takes LF.LF for a letter's end would have it smuggled otherwise."""
import imaplib
import re
import smtplib
import subprocess

import pytest

from pail import PAIL, PATIENCE, until
from sending_hosts import PASSWORD
from sending_sink import ALL, Sink

SMUGGLED = b'MAIL FROM:<admin@crepes.fr>'
BODIES = [b'one\n.\n' + SMUGGLED + b'\r\n', b'two\r.\r' + SMUGGLED + b'\r\n', b'three\r\n.\n' + SMUGGLED + b'\r\n', b'four\n.\r\n' + SMUGGLED + b'\r\n',
          b'five\r\n.\r' + SMUGGLED + b'\r\n', b'\r\r\n.\r\n' + SMUGGLED + b'\r\n', b'.\r\n' + SMUGGLED + b'\r\n', b'\n', b'no end of line\r',
          b'nor here', b'nul\0 too\r\n', 'été\n.\n'.encode(), b'x' * 5000 + b'\n.\n' + SMUGGLED]
EXTENSIONS = {'seven bits': ('PIPELINING',), 'data': ('8BITMIME',), 'bdat': ALL}


@pytest.fixture(scope='module')
def crepes(world):
    server = world.pail('crepes.fr', 'alice', 'away', 'lost', 'boxes', bare_lf_mended=f'{world.far.ip} 127.0.0.1')     # where hosts are loopback addresses, strangers are that
    server.verb('account', 'may-send-as', 'alice@crepes.fr', '@crepes.fr')
    return server


def text_of(number, body):
    return f'From: alice@crepes.fr\r\nSubject: {number}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'.encode() + body


def give(s, sender, to, text, how='BDAT', options=()):
    """Taken?"""
    s.ehlo_or_helo_if_needed()
    s.mail(sender, options)
    code, said = s.rcpt(to)
    assert code in (250, 251), said
    if how == 'BDAT':       # in pieces, the ends of which fall anywhere
        half = len(text) // 2
        s.send(b'BDAT %d\r\n' % half + text[:half])
        code = s.getreply()[0]
        if code == 250:
            s.send(b'BDAT %d LAST\r\n' % (len(text) - half) + text[half:])
            code = s.getreply()[0]
    else:
        assert s.docmd('DATA')[0] == 354
        s.send(re.sub(rb'(?m)^\.', b'..', text) + b'\r\n.\r\n')
        code = s.getreply()[0]
    if code != 250:
        s.rset()
    return code == 250


def by_command(how):
    def submit(world, crepes, to):
        with crepes.smtp(who='alice') as s:
            return sum(give(s, 'alice@crepes.fr', to, text_of(i, body), how) for i, body in enumerate(BODIES))
    return submit


def by_append(world, crepes, to):
    """Kept by IMAP as it is; a mail program sends it again."""
    with crepes.host:
        i = imaplib.IMAP4(crepes.host.ip, 143, timeout=PATIENCE)
    i.login('boxes@crepes.fr', PASSWORD)
    box = to.partition('@')[2]
    i.create(box)
    for n, body in enumerate(BODIES):
        i.literal = text_of(n, body)        # imaplib's append() would mend it
        i._simple_command('APPEND', box)
    i.select(box)
    _, found = i.search(None, 'ALL')
    texts = [i.fetch(n, '(BODY.PEEK[])')[1][0][1] for n in found[0].split()]
    i.logout()
    assert any(re.search(rb'\r(?!\n)|(?<!\r)\n', text) for text in texts), 'APPEND keeps them'
    with crepes.smtp(who='alice') as s:
        return sum(give(s, 'alice@crepes.fr', to, text) for text in texts)


def by_verb(world, crepes, to):
    taken = 0
    for i, body in enumerate(BODIES):
        with crepes.host:
            done = subprocess.run([PAIL, 'send', '--config', crepes.config, '-i', '-f', 'alice@crepes.fr', to], input=text_of(i, body),
                                  capture_output=True, timeout=PATIENCE)
        taken += done.returncode == 0
    return taken


def straight(world, crepes, to):
    """`pail send --to-host` speaks SMTP itself."""
    address = world.dns.zones[to.partition('@')[2]][0][-1].split()[-1]
    taken = 0
    for i, body in enumerate(BODIES):
        with crepes.host:
            done = subprocess.run([PAIL, 'send', '--config', crepes.config, '--to-host', f'{address}:25', '-i', '-f', 'alice@crepes.fr', to],
                                  input=text_of(i, body), capture_output=True, timeout=PATIENCE)
        taken += done.returncode == 0
    return taken


def from_a_stranger(world, crepes, to, options=()):
    with world.far, smtplib.SMTP(crepes.host.ip, 25, local_hostname='mx.stranger.example') as s:
        return sum(give(s, 'sam@stranger.example', to, text_of(i, body), options=options) for i, body in enumerate(BODIES))


def by_forwarding(world, crepes, to):
    crepes.verb('account', 'forward', 'away@crepes.fr', to)
    return from_a_stranger(world, crepes, 'away@crepes.fr')


def by_list(world, crepes, to):
    name = f'list-{to.partition("@")[2].partition(".")[0]}@crepes.fr'
    crepes.verb('list', 'add', name, to)
    return from_a_stranger(world, crepes, name)


WAYS = {'bdat': by_command('BDAT'), 'data': by_command('DATA'), 'append': by_append, 'send': by_verb, 'straight': straight, 'forward': by_forwarding,
        'list': by_list}

# how many are taken at least: SMTP refuses bare CR and LF, but for LF from who is to be mended; pail send mends all
LEAST = {'bdat': 2, 'data': 2, 'append': 2, 'send': 12, 'straight': 12, 'forward': 6, 'list': 6}


def look(sink):
    for letter in sink.letters:
        assert not re.search(rb'\r(?!\n)|(?<!\r)\n', letter.text), letter.text
        assert letter.text.endswith(b'\r\n')
    assert not [line for line in sink.said('MAIL') if 'admin@' in line]


@pytest.mark.parametrize('extensions', EXTENSIONS)
@pytest.mark.parametrize('way', WAYS)
def test_no_bare_cr_or_lf_leaves(world, crepes, way, extensions):
    with Sink(world.far, extensions=EXTENSIONS[extensions]) as sink:
        name = f'{way}-{extensions.replace(" ", "-")}.example'
        world.dns.publish(name, '@ MX 10 mx', f'mx A {sink.address}')
        taken = WAYS[way](world, crepes, f'x@{name}')
        print(f'{taken} of {len(BODIES)} were taken')
        assert taken >= LEAST[way]
        sink.wait(taken)
        crepes.wait_empty(name)
        look(sink)
        assert len(sink.letters) == taken


def test_nor_in_a_report(world, crepes):
    """The letter that failed, in full."""
    def answer(stage, session):
        return '550 5.1.1 nobody' if stage == 'rcpt' and '<nobody@' in session.heard[-1] else None
    with Sink(world.far, extensions=('PIPELINING', 'CHUNKING'), answer=answer) as sink:
        for name in ('stranger.example', 'refuses.example'):
            world.dns.publish(name, '@ MX 10 mx', f'mx A {sink.address}')
        crepes.verb('account', 'forward', 'lost@crepes.fr', 'nobody@refuses.example')
        taken = from_a_stranger(world, crepes, 'lost@crepes.fr', ['RET=FULL'])
        until('all reports', lambda: len(sink.letters) >= taken)
        look(sink)
        assert all(b'multipart/report' in letter.text and letter.to == ['sam@stranger.example'] for letter in sink.letters)
