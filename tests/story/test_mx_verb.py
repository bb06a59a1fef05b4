"""pail mx: what a person wants to know of a domain's mail, from a DNS server of the test's own (unsigned: DNSSEC is test_sending's)."""
import json
import os
import socket
import struct
import subprocess
import threading

import pytest

from pail import PAIL, PATIENCE

A, SOA, MX, TXT, AAAA, TLSA = 1, 6, 15, 16, 28, 52


def name_bytes(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.') if label) + b'\0'


def mx(preference, host):
    return struct.pack('>H', preference) + name_bytes(host)


ZONE = {
    ('two.example', MX): [mx(20, 'back.two.example'), mx(10, 'first.two.example')],
    ('first.two.example', A): [socket.inet_aton('198.51.100.1')],
    ('first.two.example', AAAA): [socket.inet_pton(socket.AF_INET6, '2001:db8::1')],
    ('_25._tcp.first.two.example', TLSA): [bytes([3, 1, 1]) + bytes(range(32))],
    ('back.two.example', A): [socket.inet_aton('198.51.100.2')],
    ('null.example', MX): [mx(0, '')],
    ('plain.example', A): [socket.inet_aton('198.51.100.3')],
    ('lost.example', MX): [mx(10, 'nowhere.lost.example')],
}


class Dns:
    """UDP, and what stands in ZONE; a name that is not there does not exist."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, (kind,) = '.'.join(labels), struct.unpack('>H', query[at + 1:at + 3])
        records = ZONE.get((name, kind), [])
        exists = any(known == name or known.endswith('.' + name) for known, _ in ZONE)
        if name.endswith('broken.example'):
            return query[:2] + struct.pack('>HHHHH', 0x8182, 1, 0, 0, 0) + query[12:at + 5]
        soa = name_bytes('example') + struct.pack('>HHIH', SOA, 1, 1, 22) + b'\0\0' + struct.pack('>IIIII', 1, 2, 3, 4, 1)
        flags = 0x8580 | (0 if exists else 3)
        return (query[:2] + struct.pack('>HHHHH', flags, 1, len(records), 0 if records else 1, 0) + query[12:at + 5] +
                b''.join(b'\xc0\x0c' + struct.pack('>HHIH', kind, 1, 1, len(r)) + r for r in records) + (b'' if records else soa))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    dns = Dns()
    root = tmp_path_factory.mktemp('mx')
    os.chmod(root, 0o755)
    folder = root / 'data'
    subprocess.run([PAIL, 'init', 'hill.example', '--dir', folder], check=True, capture_output=True)
    conf = folder / 'pail.conf'
    conf.write_text(conf.read_text() + f'\nresolver = "127.0.0.1@{dns.port}"\ntrust-anchors = ""\n'
                    'routes = "held.example=hold by.example=127.0.0.9:2525"\n')
    yield folder
    dns.socket.close()


def ask(folder, *words, code=0):
    done = subprocess.run([PAIL, 'mx', *words, '--dir', folder], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if '--json' in words else done.stdout


def test_hosts_by_preference_and_the_order_we_would_take(folder):
    said = ask(folder, 'Two.Example', '--json')
    assert (said['domain'], said['null-mx'], said['implicit'], said['secure']) == ('two.example', False, False, False)
    assert [(h['host'], h['preference']) for h in said['mx']] == [('first.two.example', 10), ('back.two.example', 20)]
    assert sorted(said['mx'][0]['addresses']) == ['198.51.100.1', '2001:db8::1']
    [tlsa] = said['mx'][0]['tlsa']
    assert tlsa['record'].startswith('3 1 1 000102') and tlsa['usable'] is False      # nobody has signed it
    assert said['mta-sts']['mode'] == 'none'
    assert [(w['kind'], w['host'], w['port']) for w in said['ways']] == [('direct', 'first.two.example', 25),
                                                                       ('direct', 'back.two.example', 25)]


def test_for_people(folder):
    said = ask(folder, 'two.example').splitlines()
    assert said[0].split() == ['domain', 'two.example']
    assert [line.split() for line in said if line.startswith('MX ')] == [['MX', '10', 'first.two.example'], ['MX', '20', 'back.two.example']]
    assert [line.split()[:4] for line in said if line.startswith('pail')] == [['pail', '1.', 'to', 'first.two.example,'],
                                                                            ['pail', '2.', 'to', 'back.two.example,']]


@pytest.mark.parametrize('domain,code,says', [
    ('null.example', 68, 'null MX'),
    ('nowhere.example', 68, 'there is no domain nowhere.example'),
    ('lost.example', 68, 'nowhere.lost.example has no address'),
    ('held.example', 0, 'would hold it'),
    ('by.example', 0, 'by the relay 127.0.0.9'),
    ('hill.example', 0, 'it is a domain here'),
    ('plain.example', 0, 'the domain itself is its mail host'),
    ('a b', 64, ''),
])
def test_what_else_there_is(folder, domain, code, says):
    assert says in ask(folder, domain, code=code)


def test_it_cannot_be_known_now(folder):
    said = ask(folder, 'broken.example', '--json', code=75)
    assert said['result'] == 'later' and said['why'] and said['ways'] == []


def test_beside_a_demo(demo):
    """Its routes are no settings of a file: what the verb cannot know it says."""
    dns = Dns()
    said = demo.verb('mx', 'far.broken.example', '--resolver', f'127.0.0.1@{dns.port}', check=False).stdout
    dns.socket.close()
    assert 'would hold it' in said and '--route of the demo' in said
