"""Sending: what TLS a peer must have: whatever it offers, DANE (RFC 7672), MTA-STS (RFC 8461), a relay with a password, REQUIRETLS (RFC 8689); and
certificates that are wrong in each way."""
import http.server
import socket
import ssl
import threading
import time

import pytest

from pail import until
from sending_sink import ALL, DROP, Sink
from sending_tls import Authority


@pytest.fixture(scope='module')
def crepes(world):
    passwords = f'{world.folder}/relay-passwords'
    with open(passwords, 'w') as f:
        f.write('mx.relayed.example alice secret\n')
    return world.pail('crepes.fr', 'alice', mta_sts='yes', relay_passwords=passwords)


@pytest.fixture(scope='module')
def certificates(world):
    """{what is wrong: a function of the name that it should be for}."""
    strangers = Authority(f'{world.folder}/strangers', 'nobody knows us')
    return {'good': world.authority.certificate, 'wrong name': lambda name: world.authority.certificate('mx.elsewhere.example'),
            'expired': lambda name: world.authority.certificate(name, expired=True), 'self-signed': world.authority.self_signed,
            'unknown authority': strangers.certificate}


WRONG = ['wrong name', 'expired', 'self-signed', 'unknown authority']


def waits(crepes, domain, *words):
    """It rests for that reason; nothing was delivered, nothing came back."""
    line = crepes.event('rests', f'destination={domain}', *words)
    assert not [m for m in crepes.reports('alice') if domain in m.as_string()]
    return line


@pytest.mark.parametrize('what', ['good', *WRONG])
def test_opportunistic(world, crepes, certificates, what):
    """Encrypted is better than clear, whoever it is (RFC 7435); the log says what was found."""
    domain = f'may-{what.replace(" ", "-")}.example'
    with Sink(world.far, certificate=certificates[what](f'mx.{domain}')) as sink:
        world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}')
        crepes.mail('alice', f'x@{domain}')
        assert sink.wait()[0].tls
        assert (' verified' in crepes.event('sent', f'to=x@{domain}')) == (what == 'good')


def test_opportunistic_without(world, crepes):
    with Sink(world.far) as sink:
        world.dns.publish('clear.example', '@ MX 10 mx', f'mx A {sink.address}')
        crepes.mail('alice', 'x@clear.example')
        assert not sink.wait()[0].tls


@pytest.mark.parametrize('how', ['nonsense', 'hangs-up'])
def test_opportunistic_broken(world, crepes, how):
    """STARTTLS is offered and does not work: in clear, rather than never."""
    domain = f'broken-{how}.example'
    with Sink(world.far, broken_tls=True, answer=lambda stage, _: DROP if stage == 'starttls' and how == 'hangs-up' else None) as sink:
        world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}')
        crepes.mail('alice', f'x@{domain}')
        assert not sink.wait()[0].tls


@pytest.mark.parametrize('what', ['good', 'self-signed', 'expired', 'wrong name'])
def test_dane_that_fits(world, crepes, certificates, what):
    """Usage 3: the key counts, neither name nor date nor authority (RFC 7672 section 3.1.1)."""
    domain = f'dane-{what.replace(" ", "-")}.example'
    certificate = certificates[what](f'mx.{domain}')
    with Sink(world.far, certificate=certificate) as sink:
        world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}', f'_25._tcp.mx TLSA {certificate.tlsa()}')
        crepes.mail('alice', f'x@{domain}')
        assert sink.wait()[0].tls
        assert ' verified' in crepes.event('sent', f'to=x@{domain}')


def test_dane_that_does_not_fit(world, crepes, certificates):
    """Another key: the letter waits, though the certificate is good for everybody else; then the right record is published."""
    right, other = certificates['good']('mx.danger.example'), certificates['good']('mx.danger.example')
    with Sink(world.far, certificate=right) as sink:
        world.dns.publish('danger.example', '@ MX 10 mx', f'mx A {sink.address}', f'_25._tcp.mx TLSA {other.tlsa()}')
        crepes.mail('alice', 'x@danger.example')
        waits(crepes, 'danger.example')
        assert not sink.letters and not sink.said('MAIL')
        world.dns.publish('danger.example', '@ MX 10 mx', f'mx A {sink.address}', f'_25._tcp.mx TLSA {right.tlsa()}')
        sink.wait()


def test_dane_and_no_starttls(world, crepes, certificates):
    """Somebody took STARTTLS away: nothing goes in clear."""
    with Sink(world.far) as sink:
        world.dns.publish('stripped.example', '@ MX 10 mx', f'mx A {sink.address}',
                          f'_25._tcp.mx TLSA {certificates["good"]("mx.stripped.example").tlsa()}')
        crepes.mail('alice', 'x@stripped.example')
        waits(crepes, 'stripped.example')
        assert not sink.said('MAIL')


def test_tlsa_of_an_unsigned_zone(world, crepes, certificates):
    """Counts for nothing: anybody could have written it."""
    with Sink(world.far, certificate=certificates['good']('mx.unsigned.example')) as sink:
        world.dns.publish('unsigned.example', '@ MX 10 mx', f'mx A {sink.address}',
                          f'_25._tcp.mx TLSA {certificates["self-signed"]("x.example").tlsa()}', signed=False)
        crepes.mail('alice', 'x@unsigned.example')
        assert sink.wait()[0].tls


class Policy:
    """https://mta-sts.DOMAIN/.well-known/mta-sts.txt"""

    def __init__(self, world, domain, mode, mx, certificate=None, hostile=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                if hostile and handler.path == '/.well-known/mta-sts.txt':
                    self.asked += 1
                    hostile(handler, f'https://{handler.headers["Host"]}/elsewhere')
                    return
                text = f'version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n'.encode()
                handler.send_response(200 if hostile or handler.path == '/.well-known/mta-sts.txt' else 404)
                handler.send_header('Content-Length', str(len(text)))
                handler.end_headers()
                handler.wfile.write(text)
                self.asked += 1

            def log_message(self, *_):
                pass

        self.asked = 0
        self.address = world.far.another()
        with world.far:
            self.server = http.server.ThreadingHTTPServer((self.address, 443), Handler)
        context = (certificate or world.authority.certificate(f'mta-sts.{domain}')).context()
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.records = ('_mta-sts TXT "v=STSv1; id=1"', f'mta-sts A {self.address}')
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def with_policy(world, crepes, domain, mode, certificate, mx=None, https=None, extensions=ALL, hostile=None):
    """The sink and the policy of a domain that is not signed, and a letter on its way there."""
    policy = Policy(world, domain, mode, mx or f'mx.{domain}', https, hostile)
    sink = Sink(world.far, certificate=certificate, extensions=extensions)
    world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}', *policy.records, signed=False)
    return policy, sink


def test_mta_sts_enforced_and_good(world, crepes, certificates):
    policy, sink = with_policy(world, crepes, 'sts-good.example', 'enforce', certificates['good']('mx.sts-good.example'))
    with policy, sink:
        crepes.mail('alice', 'x@sts-good.example')
        assert sink.wait()[0].tls
        assert policy.asked == 1
        assert ' verified' in crepes.event('sent', 'to=x@sts-good.example')


@pytest.mark.parametrize('what', [*WRONG, 'none'])
def test_mta_sts_enforced_and_wrong(world, crepes, certificates, what):
    domain = f'sts-{what.replace(" ", "-")}.example'
    policy, sink = with_policy(world, crepes, domain, 'enforce', None if what == 'none' else certificates[what](f'mx.{domain}'))
    with policy, sink:
        crepes.mail('alice', f'x@{domain}')
        waits(crepes, domain)
        assert policy.asked and not sink.said('MAIL')


def test_mta_sts_names_another_host(world, crepes, certificates):
    """Whoever changed the MX records of an unsigned zone gets nothing."""
    policy, sink = with_policy(world, crepes, 'sts-other.example', 'enforce', certificates['good']('mx.sts-other.example'), mx='*.elsewhere.example')
    with policy, sink:
        crepes.mail('alice', 'x@sts-other.example')
        waits(crepes, 'sts-other.example', 'MTA-STS')
        assert not sink.sessions


def test_mta_sts_testing(world, crepes, certificates):
    """Only told of: the letter goes."""
    policy, sink = with_policy(world, crepes, 'sts-testing.example', 'testing', certificates['self-signed']('mx.sts-testing.example'))
    with policy, sink:
        crepes.mail('alice', 'x@sts-testing.example')
        assert sink.wait()[0].tls


def test_mta_sts_that_cannot_be_fetched(world, crepes, certificates):
    """A policy behind a certificate that is wrong is none (RFC 8461 section 3.3)."""
    policy, sink = with_policy(world, crepes, 'sts-https.example', 'enforce', certificates['self-signed']('mx.sts-https.example'),
                               https=certificates['self-signed']('mta-sts.sts-https.example'))
    with policy, sink:
        crepes.mail('alice', 'x@sts-https.example')
        assert sink.wait()[0].tls
        assert not policy.asked


def redirects(handler, there):
    """Where a good policy is; but RFC 8461 section 3.3 lets nobody follow."""
    handler.send_response(301)
    handler.send_header('Location', there)
    handler.end_headers()


def never_ends(handler, _):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b'version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\nmx: mx.elsewhere.example\r\n' * 1000)
    except OSError:
        pass


def breaks_off(handler, _):
    handler.send_response(200)
    handler.send_header('Content-Length', '500')
    handler.end_headers()
    handler.wfile.write(b'version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\nmx: mx.elsewhere.example\r\n')


def is_no_http(handler, _):
    handler.wfile.write(b'version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\nmx: mx.elsewhere.example\r\n\0\r\n' * 10)


@pytest.mark.parametrize('how', [redirects, never_ends, breaks_off, is_no_http])
def test_mta_sts_servers_that_lie(world, crepes, certificates, how):
    """What is no whole policy is none: the letter goes as if there were none, and the log tells."""
    domain = f'sts-{how.__name__.replace("_", "-")}.example'
    policy, sink = with_policy(world, crepes, domain, 'enforce', certificates['self-signed'](f'mx.{domain}'), hostile=how)
    with policy, sink:
        crepes.mail('alice', f'x@{domain}')
        assert sink.wait()[0].tls
        assert policy.asked == 1
        crepes.event('mta-sts', f'domain={domain}', 'why=')


def test_mta_sts_servers_that_stall(world):
    """They take the connection and say nothing. A large letter to somebody else, whose bytes are read by the same workers, does not wait; nor does the
    end of the server."""
    town = world.pail('town.com', 'jack', mta_sts='yes')
    address = world.far.another()
    with world.far:
        silent = socket.create_server((address, 443), backlog=64)
    names = [f'stalls-{i}.example' for i in range(8)]
    with silent, Sink(world.far) as sink, Sink(world.far) as other:
        for name in names:
            world.dns.publish(name, '@ MX 10 mx', f'mx A {sink.address}', '_mta-sts TXT "v=STSv1; id=1"', f'mta-sts A {address}', signed=False)
        world.dns.publish('quick.example', '@ MX 10 mx', f'mx A {other.address}')
        for name in names:
            town.mail('jack', f'x@{name}')
        peers = [silent.accept()[0] for _ in range(2)]
        town.mail('jack', 'x@quick.example', text='From: jack@town.com\r\n\r\n' + 'a line of a large letter\r\n' * 10000)
        other.wait()
        assert not town.events('mta-sts') and not sink.letters      # all of those still wait
        before = time.monotonic()
        town.stop()
        assert time.monotonic() - before < 15       # half of what a fetch may take
        for peer in peers:
            peer.close()


@pytest.mark.parametrize('what', ['good', *WRONG])
def test_a_relay_with_a_password(world, crepes, certificates, what):
    """The password goes to nobody but the right one."""
    if not world.net.apart and what != 'good':
        pytest.skip('it never leaves this machine: no TLS is asked for')
    domain = f'relay-{what.replace(" ", "-")}.example'
    with Sink(world.far, port=587, certificate=certificates[what]('mx.relayed.example'), extensions=[*ALL, 'AUTH PLAIN']) as sink:
        world.dns.publish('relayed.example', f'mx A {sink.address}')
        crepes.change(routes=f'{domain}=mx.relayed.example:587')
        try:
            crepes.mail('alice', f'x@{domain}')
            if what == 'good':
                assert sink.wait()[0].tls
                assert sink.said('AUTH')
            else:
                waits(crepes, domain)
                assert not sink.said('AUTH') and not sink.said('MAIL')
        finally:
            crepes.change(routes='')


def require_tls(crepes, to):
    with crepes.smtp(who='alice') as s:
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        s.login('alice@crepes.fr', 'correct horse')
        assert s.has_extn('requiretls')
        s.sendmail('alice@crepes.fr', [to], 'Subject: secret\r\n\r\nhush\r\n', ['REQUIRETLS'])


def test_requiretls(world, crepes, certificates):
    """RFC 8689: verified TLS, to a server that promises the same; told so."""
    certificate = certificates['good']('mx.careful.example')
    with Sink(world.far, certificate=certificate, extensions=[*ALL, 'REQUIRETLS']) as sink:
        world.dns.publish('careful.example', '@ MX 10 mx', f'mx A {sink.address}', f'_25._tcp.mx TLSA {certificate.tlsa()}')
        require_tls(crepes, 'x@careful.example')
        assert 'REQUIRETLS' in sink.wait()[0].parameters


@pytest.mark.parametrize('how', ['in clear', 'not offered'])
def test_requiretls_that_cannot_be(world, crepes, certificates, how):
    """It comes back rather than going on unprotected."""
    domain = f'careless-{how.replace(" ", "-")}.example'
    with Sink(world.far, certificate=None if how == 'in clear' else certificates['good'](f'mx.{domain}')) as sink:
        world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}')
        require_tls(crepes, f'x@{domain}')
        [report] = until('a report', lambda: [m for m in crepes.reports('alice') if domain in m.as_string()])
        assert report.get_payload()[1].get_payload()[1]['Status'].startswith('5.7.')
        assert not sink.letters
