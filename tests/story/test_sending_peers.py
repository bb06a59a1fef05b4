"""Sending: peers as they are: greylisting, failing by share, without the extensions, slow, silent, dripping."""
import email
import email.policy
import re

import pytest

from pail import until
from sending_sink import ALL, STALL, Sink, by_share


@pytest.fixture(scope='module')
def crepes(world):
    return world.pail('crepes.fr', 'alice', 'bulk', sender_connections_per_domain=10, max_recipients=1000)


def domain_of(world, name, sink):
    world.dns.publish(name, '@ MX 10 mx', f'mx A {sink.address}')
    return name


def test_five_at_one_domain_are_one_transfer(world, crepes):
    with Sink(world.far) as sink:
        name = domain_of(world, 'five.example', sink)
        crepes.mail('alice', [f'p{i}@{name}' for i in range(5)])
        sink.wait()
        assert sorted(sink.letters[0].to) == [f'p{i}@{name}' for i in range(5)]
        crepes.wait_empty(name)
        assert len(sink.letters) == 1 and len(sink.said('MAIL')) == 1


def test_some_of_them_refused(world, crepes):
    """Each recipient has an answer of its own: taken, put off and then taken, or never."""
    seen = set()

    def answer(stage, session):
        line = session.heard[-1] if session.heard else ''
        if stage != 'rcpt' or '<good@' in line:
            return None
        if '<never@' in line:
            return '550 5.1.1 nobody by that name'
        new = line not in seen
        seen.add(line)
        return '450 4.2.1 not just now' if new else None
    with Sink(world.far, answer=answer) as sink:
        name = domain_of(world, 'mixed.example', sink)
        crepes.mail('alice', [f'{who}@{name}' for who in ('good', 'later', 'never')], subject='mixed')
        sink.wait(2)
        assert [letter.to for letter in sink.letters] == [[f'good@{name}'], [f'later@{name}']]
        [report] = until('a report', lambda: [m for m in crepes.reports('alice') if f'never@{name}' in m.as_string()])
        assert f'good@{name}' not in report.get_payload()[1].as_string()


def test_greylisting(world, crepes):
    """Whoever comes again is let in; nothing is doubled and nobody is told."""
    known = set()

    def answer(stage, session):
        if stage != 'rcpt' or session.heard[-1] in known:
            return None
        known.add(session.heard[-1])
        return '451 4.7.1 greylisted, come back'
    with Sink(world.far, answer=answer) as sink:
        name = domain_of(world, 'grey.example', sink)
        crepes.mail_many('alice', [f'p{i}@{name}' for i in range(10)])
        sink.wait(10)
        crepes.wait_empty(name)
        assert sorted(letter.to[0] for letter in sink.letters) == sorted(f'p{i}@{name}' for i in range(10))
        assert not [m for m in crepes.reports('alice') if name in m.as_string()]


def test_failing_by_share(world, crepes):
    """4xx, 5xx and connections that break after the letter: each letter arrives once or comes back once."""
    n = 200
    with Sink(world.far, answer=by_share(four=0.2, five=0.1, drop=0.1)) as sink:
        name = domain_of(world, 'share.example', sink)
        crepes.mail_many('bulk', [f'p{i}@{name}' for i in range(n)])
        crepes.wait_empty(name)
        arrived = [letter.to[0] for letter in sink.letters]
    reports = [re.search(rf'p\d+@{name}', m.get_payload()[1].as_string())[0] for m in crepes.reports('bulk')]
    assert len(arrived) == len(set(arrived)) and len(reports) == len(set(reports))
    assert not set(arrived) & set(reports)
    assert sorted(arrived + reports) == sorted(f'p{i}@{name}' for i in range(n))
    assert 0 < len(reports) < n / 2


EIGHT_BIT = ('From: alice@crepes.fr\r\nTo: x@seven.example\r\nSubject: summer\r\nMIME-Version: 1.0\r\n'
             'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nL\u2019\u00e9t\u00e9 \u00e0 Crêpes = sun\r\n.dot\r\n')


def test_a_peer_of_seven_bits(world, crepes):
    """Down-coded (RFC 6152): what leaves is ASCII, and reads the same."""
    with Sink(world.far, extensions=('PIPELINING', 'SIZE 1000000')) as sink:
        name = domain_of(world, 'seven.example', sink)
        crepes.mail('alice', f'x@{name}', EIGHT_BIT.encode(), options=['BODY=8BITMIME'])
        [letter] = sink.wait()
    assert letter.text.isascii() and b'8BITMIME' not in letter.parameters.encode()
    got = email.message_from_bytes(letter.text, policy=email.policy.default)
    assert got['Content-Transfer-Encoding'] in ('quoted-printable', 'base64')
    assert got.get_content().split() == EIGHT_BIT.split('\r\n\r\n')[1].split()


def test_what_is_signed_stays_as_it_is(world, crepes):
    """A signature would break: it comes back with the reason."""
    with Sink(world.far, extensions=('PIPELINING',)) as sink:
        name = domain_of(world, 'signed.example', sink)
        text = 'DKIM-Signature: v=1; a=rsa-sha256; d=crepes.fr; s=x; bh=aa; b=bb\r\n' + EIGHT_BIT
        crepes.mail('alice', f'x@{name}', text.encode(), options=['BODY=8BITMIME'])
        [report] = until('a report', lambda: [m for m in crepes.reports('alice') if f'x@{name}' in m.as_string()])
        assert report.get_payload()[1].get_payload()[1]['Status'] == '5.6.3'
        assert not sink.letters


@pytest.mark.parametrize('extensions', [(), ('PIPELINING',), ('CHUNKING',), ('SIZE',), ALL])
@pytest.mark.parametrize('size', [10, 100_000, 3_000_000])
def test_extensions(world, crepes, extensions, size):
    """The same letter, byte for byte, whatever the peer knows."""
    body = ('.' + 'x' * 70 + '\r\n') * (size // 73 + 1)
    with Sink(world.far, extensions=extensions) as sink:
        name = domain_of(world, f'{"all" if extensions is ALL else "-".join(extensions).lower() or "none"}-{size}.example', sink)
        crepes.mail('alice', f'x@{name}', f'Subject: size\r\n\r\n{body}')
        [letter] = sink.wait()
        assert letter.text.split(b'\r\n\r\n', 1)[1].decode() == body
        assert bool(sink.said('BDAT')) == ('CHUNKING' in extensions)


def test_only_helo(world, crepes):
    def answer(stage, _):
        return '502 5.5.1 what?' if stage == 'ehlo' else None
    with Sink(world.far, answer=answer) as sink:
        name = domain_of(world, 'helo.example', sink)
        crepes.mail('alice', f'x@{name}')
        sink.wait()
        assert sink.said('HELO')


def test_too_large_for_them(world, crepes):
    """SIZE (RFC 1870): known before a byte of it leaves."""
    with Sink(world.far, extensions=('SIZE 1000',)) as sink:
        name = domain_of(world, 'small.example', sink)
        crepes.mail('alice', f'x@{name}', 'Subject: long\r\n\r\n' + 'x' * 70 + '\r\n' * 1000)
        [report] = until('a report', lambda: [m for m in crepes.reports('alice') if f'x@{name}' in m.as_string()])
        assert report.get_payload()[1].get_payload()[1]['Status'] == '5.3.4'
        assert not sink.said('DATA')


def test_strange_replies(world, crepes):
    """Long, with many lines, without text, with bytes that a terminal obeys."""
    said = {'connect': '220-' + 'x' * 1500 + '\r\n220-\x1b[2J\r\n220', 'mail': '250', 'rcpt': '250-one\r\n250-two\r\n250 three',
            'text': '554 5.7.1 \x1b]0;title\x07 said \x00 \xff'}
    with Sink(world.far, answer=lambda stage, _: said.get(stage)) as sink:
        name = domain_of(world, 'strange.example', sink)
        crepes.mail('alice', f'x@{name}')
        [report] = until('a report', lambda: [m for m in crepes.reports('alice') if f'x@{name}' in m.as_string()])
    assert not re.search(rb'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]', report.as_bytes())
    assert not crepes.malformed()


def test_drip_and_stall_cost_nobody_else(world, crepes):
    """A peer that drips gets its letter; those that stop at every stage hold up nobody."""
    stages = ('connect', 'ehlo', 'mail', 'rcpt', 'data', 'text')
    stalls = [Sink(world.far, extensions=(), answer=lambda s, _, stage=stage: STALL if s == stage else None) for stage in stages]
    with Sink(world.far, drip=0.001) as dripping, Sink(world.far) as well:
        for sink, stage in zip(stalls, stages):
            sink.__enter__()
            crepes.mail('alice', f'x@{domain_of(world, f"stall-{stage}.example", sink)}')
        crepes.mail('alice', f'x@{domain_of(world, "drip.example", dripping)}')
        for sink in stalls:
            until('it is stuck', lambda: sink.open)
        crepes.mail('alice', f'x@{domain_of(world, "well.example", well)}')
        well.wait()
        dripping.wait()
        for sink, stage in zip(stalls, stages):
            assert sink.open <= 2 and len(sink.said('MAIL')) <= 1 and not sink.letters, stage
            sink.answer = None
            sink.__exit__()
    crepes.verb('queue', 'remove', '--domain', 'stall', check=False)
