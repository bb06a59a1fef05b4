"""Sending: where a letter goes, as DNS says: MX in order and the next one when one fails, none, null, ourselves, CNAME, and DNS that fails or lies."""
import re

import pytest

from pail import until
from sending_dns import LyingDns
from sending_sink import DROP, STALL, Silence, Sink


@pytest.fixture(scope='module')
def crepes(world):
    return world.pail('crepes.fr', 'alice')


def failed(crepes, to):
    """The report about that address, its recipient's fields."""
    def look():
        return [m for m in crepes.reports('alice') if to in m.get_payload()[1].as_string()]
    [report] = until(f'a report about {to}', look)
    fields = report.get_payload()[1].get_payload()[1]
    assert fields['Action'] == 'failed'
    return fields


def test_mx_order(world, crepes):
    with Sink(world.far) as best, Sink(world.far) as other:
        world.dns.publish('order.example', '@ MX 20 other', '@ MX 10 best', f'best A {best.address}', f'other A {other.address}')
        crepes.mail('alice', 'x@order.example')
        best.wait()
        assert not other.sessions


@pytest.mark.parametrize('how', ['nobody listens', 'no such host', 'greets with 421', 'greets with 554', 'drops', 'no address', '4xx to HELO'])
def test_the_next_mx_when_one_fails(world, crepes, how):
    """RFC 5321 section 5.1: each in turn, until one takes it."""
    domain = how.replace(' ', '-').lower() + '.example'
    said = {'greets with 421': ('connect', '421 4.3.2 closing'), 'greets with 554': ('connect', '554 5.3.2 no mail here'), 'drops': ('connect', DROP),
            '4xx to HELO': ('ehlo helo', '451 4.3.0 later')}.get(how)

    def answer(stage, _):
        return said[1] if said and stage in said[0].split() else None
    with Sink(world.far, answer=answer) as first, Sink(world.far) as second:
        where = {'nobody listens': world.far.another, 'no such host': world.net.fresh}.get(how, lambda: first.address)()
        world.dns.publish(domain, '@ MX 10 first', '@ MX 20 second', *([] if how == 'no address' else [f'first A {where}']),
                          f'second A {second.address}')
        crepes.mail('alice', f'x@{domain}')
        second.wait()
        assert not first.letters


@pytest.mark.parametrize('how', ['takes no connection', 'takes it and says nothing', 'greets and says no more'])
def test_the_next_mx_when_one_is_silent(world, crepes, how):
    """It has sender-reply-timeout; then the next one's turn has come, and the letters after that do not wait for it again."""
    domain = how.replace(' ', '-') + '.example'
    stage = {'takes it and says nothing': 'connect', 'greets and says no more': 'ehlo'}.get(how)
    crepes.change(sender_reply_timeout='3s')
    try:
        with Sink(world.far, answer=lambda s, _: STALL if s == stage else None) as first, Sink(world.far) as second:
            silence = None if stage else Silence(world.far, world.far.another())
            where = first.address if stage else silence.address
            world.dns.publish(domain, '@ MX 10 first', '@ MX 20 second', f'first A {where}', f'second A {second.address}')
            crepes.mail('alice', f'x@{domain}')
            second.wait()
            crepes.wait_empty(domain)
            for session in second.sessions:     # the next one needs a connection of its own
                session.hang_up()
            crepes.mail('alice', f'y@{domain}')
            second.wait(2)
            assert len(first.sessions) == (1 if stage else 0) and not first.said('MAIL')
            if silence:
                silence.close()
    finally:
        crepes.change(sender_reply_timeout='5m')
    assert not [m for m in crepes.reports('alice') if domain in m.as_string()]


def test_without_mx_the_domain_itself(world, crepes):
    with Sink(world.far) as sink:
        world.dns.publish('implicit.example', f'@ A {sink.address}')
        crepes.mail('alice', 'x@implicit.example')
        sink.wait()


def test_ipv6(world, crepes):
    if not world.net.apart or not world.far.ip6:
        pytest.skip('no IPv6 here')
    [address] = world.far.own('fd77::6:1')
    with Sink(world.far, address) as sink:
        world.dns.publish('six.example', '@ MX 10 mx', f'mx AAAA {address}')
        crepes.mail('alice', 'x@six.example')
        sink.wait()


def test_the_other_family_when_one_is_silent(world, crepes):
    """Happy eyeballs (RFC 8305): an IPv6 address that leads nowhere costs a moment."""
    if not world.net.apart or not world.far.ip6:
        pytest.skip('no IPv6 here')
    with Sink(world.far) as sink:
        world.dns.publish('both.example', '@ MX 10 mx', 'mx AAAA fd77::dead', f'mx A {sink.address}')
        crepes.mail('alice', 'x@both.example')
        sink.wait()


def test_null_mx(world, crepes):
    """RFC 7505: at once, and nobody is asked, though there is an address."""
    with Sink(world.far) as sink:
        world.dns.publish('null.example', '@ MX 0 .', f'@ A {sink.address}')
        crepes.mail('alice', 'x@null.example')
        assert failed(crepes, 'x@null.example')['Status'] == '5.1.10'
        assert not sink.sessions


def test_no_such_domain(crepes):
    crepes.mail('alice', 'x@there-is-none.example')
    assert failed(crepes, 'x@there-is-none.example')['Status'] == '5.1.2'


def test_cname(world, crepes):
    with Sink(world.far) as sink:
        world.dns.publish('names.example', 'alias CNAME real', 'real MX 10 mx', f'mx A {sink.address}')
        crepes.mail('alice', 'x@alias.names.example')
        assert sink.wait()[0].to == ['x@alias.names.example']


def test_cname_loop(world, crepes):
    """Known to be broken, not to be absent: it waits."""
    world.dns.publish('round.example', 'a CNAME b', 'b CNAME a')
    crepes.mail('alice', 'x@a.round.example')
    crepes.event('rests', 'destination=a.round.example')
    assert not [m for m in crepes.reports('alice') if 'a.round.example' in m.as_string()]


def test_mx_is_ourselves(world, crepes):
    world.dns.publish('mirror.example', '@ MX 10 mx.crepes.fr.')
    crepes.mail('alice', 'x@mirror.example')
    assert failed(crepes, 'x@mirror.example')['Status'] == '5.4.6'


def test_only_better_ones_than_ourselves(world, crepes):
    """RFC 5321 section 5.1: those of our own preference and worse are not asked; one better that is down is waited for."""
    with Sink(world.far) as worse:
        better = world.far.another()
        world.dns.publish('backup.example', '@ MX 5 better', '@ MX 10 mx.crepes.fr.', '@ MX 20 worse', f'better A {better}', f'worse A {worse.address}')
        crepes.mail('alice', 'x@backup.example')
        crepes.event('rests', 'destination=backup.example')
        with Sink(world.far, better) as back:
            back.wait()
        assert not worse.sessions


def test_address_literal(world, crepes):
    with Sink(world.far) as sink:
        crepes.mail('alice', f'x@[{sink.address}]')
        sink.wait()


def test_idn(world, crepes):
    with Sink(world.far) as sink:
        world.dns.publish('xn--bcher-kva.example', '@ MX 10 mx', f'mx A {sink.address}')
        with crepes.smtp(who='alice') as s:
            s.ehlo()
            s.command_encoding = 'utf-8'
            s.mail('alice@crepes.fr', ['SMTPUTF8'])
            assert s.rcpt('x@bücher.example')[0] == 250
            s.data('Subject: books\r\n\r\nhello\r\n')
        sink.wait()


@pytest.mark.parametrize('mode', ['servfail', 'silent'])
def test_dns_that_fails(world, crepes, mode):
    """What cannot be known is not "no such domain": the letter waits, and goes when DNS is well again."""
    domain = f'{mode}.example'
    server = world.far.another()
    lying = LyingDns(world.far, server, mode)
    with Sink(world.far) as sink:
        world.dns.publish(domain, server=server)
        crepes.change(sender_reply_timeout='3s' if mode == 'silent' else '5m')
        crepes.mail('alice', f'x@{domain}')
        crepes.event('rests', f'destination={domain}')
        crepes.change(sender_reply_timeout='5m')
        crepes.event('deferred', f'to=x@{domain}', 'status=4.4.3')      # DNS, not the host
        assert lying.asked
        assert not [m for m in crepes.reports('alice') if domain in m.as_string()]
        assert f'x@{domain}' in crepes.queued()
        lying.close()
        if mode == 'servfail':      # of a server that was silent, libunbound remembers that for minutes
            world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}')
            sink.wait()


def test_dnssec_that_does_not_fit(world, crepes):
    """A signed record was changed on its way: nobody is connected to, the letter waits, and the log says why."""
    with Sink(world.far) as wrong, Sink(world.far) as right:
        world.dns.publish('bogus.example', '@ MX 10 mx', f'mx A {right.address}',
                          spoil=(rf'(?m)^(mx\.bogus\.example\.\s+\d+\s+IN\s+A\s+){re.escape(right.address)}$', rf'\g<1>{wrong.address}'))
        crepes.mail('alice', 'x@bogus.example')
        assert 'bogus' in crepes.event('rests', 'destination=bogus.example').lower().replace('bogus.example', '')
        assert not wrong.sessions and not right.sessions
        assert not [m for m in crepes.reports('alice') if 'bogus.example' in m.as_string()]


def test_resolver_of_the_house(world):
    """resolver = ADDRESS: one that answers for everybody; signatures are looked at by ourselves all the same."""
    town = world.pail('town.com', 'jack', resolver=world.dns.host.ip, stub_zones='')
    with Sink(world.far) as sink:
        world.dns.publish('forwarded.example', '@ MX 10 mx', f'mx A {sink.address}')
        town.mail('jack', 'x@forwarded.example')
        sink.wait()
    town.stop()


def test_send_from(world, crepes):
    """From the address that the setting names, as the reverse name and SPF have it."""
    own = crepes.host.another()
    with Sink(world.far) as sink:
        world.dns.publish('from.example', '@ MX 10 mx', f'mx A {sink.address}')
        crepes.change(send_from=own)
        try:
            crepes.mail('alice', 'x@from.example')
            sink.wait()
        finally:
            crepes.change(send_from='')
        assert [session.connection.getpeername()[0] for session in sink.sessions] == [own]


def test_resolver_that_strips_signatures(world):
    """Found at the start and said; what comes by way of it is never taken for the truth, nor for "no such domain"."""
    address = world.far.another()
    lying = LyingDns(world.far, address, 'strip', behind=world.dns.host.ip)
    with Sink(world.far) as sink:
        world.dns.publish('whole.example', '@ MX 10 mx', f'mx A {sink.address}')
        town = world.pail('stripped.com', 'jack', resolver=address, stub_zones='')
        assert 'DNSSEC cannot be validated' in town.event('dns')
        town.mail('jack', 'x@whole.example')
        town.event('rests', 'destination=whole.example')
        assert lying.asked and not sink.sessions
        assert not town.reports('jack')
    town.stop()
    lying.close()


def test_mx_of_one_preference_share(world, crepes):
    """Shuffled: each of four gets something of many connections."""
    many = [Sink(world.far, answer=lambda stage, _: '421 4.3.2 one a connection' if stage == 'mail' and _.heard[-2][:4] != 'EHLO' else None)
            for _ in range(2)]
    with many[0], many[1]:
        world.dns.publish('shared.example', '@ MX 10 a', '@ MX 10 b', f'a A {many[0].address}', f'b A {many[1].address}')
        sent = 0
        while not all(sink.letters for sink in many):
            crepes.mail('alice', 'x@shared.example')
            sent += 1
            until('it went', lambda: sum(len(sink.letters) for sink in many) >= sent)
            for session in (*many[0].sessions, *many[1].sessions):      # the next needs a connection of its own
                session.hang_up()
            assert sent < 60
