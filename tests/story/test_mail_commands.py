"""pail mail's single commands: a copy of an account at pail and at Dovecot, brought in step both ways, killed at random moments; POP3; writing; the store
of the server itself."""
import email.message
import email.policy
import os
import random
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from pail import until
from reader import BUILD, Reader, Server, letter, of_demo


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path)


def account(pail, name):
    """A new account, that no other test knows."""
    pail.verb('account', 'add', name)
    pail.verb('passwd', name, input='measure\n')
    return Server(pail.port(143), name, 'measure', pail.port(110), pail.port(587))


@pytest.fixture(scope='module')
def dovecot():
    if os.geteuid() != 0:
        pytest.skip('needs root, to run Dovecot from its unpacked package')
    import peers
    if not os.path.isdir(f'{BUILD}/peers/dovecot/tree'):
        pytest.skip('Dovecot is not unpacked')
    with peers.Dovecot(BUILD, 100, fast=False) as d:
        yield d


taken = iter(range(100))


@pytest.fixture(params=['pail', 'dovecot'])
def server(request):
    """An empty account."""
    number = next(taken)
    if request.param == 'pail':
        return account(request.getfixturevalue('demo'), f'reader{number}@hill.com')
    d = request.getfixturevalue('dovecot')
    return Server(d.imap, f'u{number}@bench.test', 'measure', d.pop3)


# ---- reading ----

def test_a_letter_is_found_read_searched_and_saved(demo, reader):
    server = account(demo, 'day@hill.com')
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message['From'], message['To'], message['Subject'] = 'Jäck <jack@town.com>', 'day@hill.com', 'Wässer, bitte'
    message['Message-ID'] = '<pail@town.com>'
    message.set_content('Please fetch me a pail of water.\n')
    message.add_attachment(b'%PDF water', maintype='application', subtype='pdf', filename='../../ho\x1bse.pdf')
    server.fill([message.as_bytes(), letter(2)])
    said = reader.json('add', 'day@hill.com', '--incoming', f'imap://127.0.0.1:{server.port}', '--outgoing',
                       f'submission://127.0.0.1:{server.submission}', '--save-password', input='measure\n')
    assert said['incoming'] == f'imap://day@hill.com@127.0.0.1:{server.port}'
    assert [a['address'] for a in reader.json('accounts')['accounts']] == ['day@hill.com']
    assert reader.json('sync')['fetched'] == 2
    rows = reader.list()
    assert [(r['from'], r['subject'], r['flags'], r['attachments']) for r in rows] == [
        ('Jäck', 'Wässer, bitte', [], True), ('Jack', 'water 2', [], False)]
    assert rows[1]['date'] == '2026-11-20T00:00:02Z'
    inbox = next(f for f in reader.json('folders')['folders'] if f['name'] == 'INBOX')
    assert (inbox['letters'], inbox['unread']) == (2, 2)

    uid = rows[0]['uid']
    assert reader.json('read', uid, '--peek')['flags'] == []
    seen = reader.json('read', uid)
    assert (seen['subject'], seen['text'], seen['flags']) == ('Wässer, bitte', 'Please fetch me a pail of water.\n', [r'\Seen'])
    assert [(p['type'], p['attachment']) for p in seen['parts']] == [('text/plain', False), ('application/pdf', True)]
    assert '\x1b' not in reader.run('read', uid) and 'Wässer' in reader.run('read', uid)
    assert 'Message-ID: <pail@town.com>' in reader.run('read', uid, '--headers')

    assert [r['uid'] for r in reader.json('search', '~s wasser')['letters']] == [uid]
    assert [r['uid'] for r in reader.json('search', 'pail', 'INBOX')['letters']] == [r['uid'] for r in rows]
    assert [r['uid'] for r in reader.list('INBOX', '~N')] == [rows[1]['uid']]
    assert [r['uid'] for r in reader.list('INBOX', '--sort', '-arrived', '--limit', '1')] == [uid]
    assert reader.json('search', 'nothing-like-it')['letters'] == []

    (reader_folder := os.path.join(reader.folder, 'saved')) and os.mkdir(reader_folder)
    for _ in range(2):
        files = reader.json('save', uid, 'all', '--to', reader_folder)['files']
        assert all(os.path.dirname(f) == reader_folder for f in files)
        with open(files[0], 'rb') as f:
            assert f.read() == b'%PDF water'
    assert len(os.listdir(reader_folder)) == 2 and not any('\x1b' in name for name in os.listdir(reader_folder))

    reader.json('sync')
    assert server.state()[1] == ('<pail@town.com>', (r'\Seen',))


def test_what_cannot_be_is_said_by_the_exit_code(demo, reader):
    assert 'mail add' in reader.run('list', code=66)
    reader.account('jill@hill.com', of_demo(demo, 'jill@hill.com'))
    reader.run('list', 'Nowhere', code=66)
    reader.run('read', '99999', code=66)
    reader.run('list', 'INBOX', '~q~q~', code=64)
    reader.run('nothing', code=64)
    reader.run('list', '--account', 'nobody@hill.com', code=66)
    wrong = Reader(reader.folder + '/wrong')
    wrong.account('jill@hill.com', Server(demo.port(143), 'jill@hill.com', 'not this', submission=demo.port(587)))
    wrong.run('sync', code=77)


def test_straight_from_the_store(pail, reader):
    pail.send('From: jack@town.com\r\nSubject: =?utf-8?q?pa=1Bil=C2=9B=E2=80=AEx?=\r\nMessage-ID: <1@town.com>\r\n\r\nwater\r\n', ['jill@hill.com'])
    there = ('--dir', pail.folder, '--account', 'jill@hill.com')
    until('it is filed', lambda: reader.json('list', *there)['letters'])
    uid = reader.json('list', *there)['letters'][0]['uid']
    assert '\x1b' not in reader.run('list', *there)
    for row in (reader.run('list', *there), reader.run('list', '--json', *there)):
        assert not any(c in row for c in '\x1b\x9b\u202e')
    assert reader.json('list', *there)['letters'][0]['subject'] == 'pa il \u202ex'
    assert reader.json('read', uid, *there)['text'] == 'water\n'
    assert r'\Seen' in reader.json('list', *there)['letters'][0]['flags']
    assert reader.json('reply', uid, '--body', '-', *there, input='Here it is.\n')['result'] == 'sent'
    until('jack has it', lambda: any(b'Here it is.' in text for text in pail.letters('jack@town.com')))
    assert reader.json('list', 'Sent', *there)['letters'][0]['to'] == 'jack@town.com'
    reader.run('sync', *there, code=64)


# ---- writing ----

def test_send_reply_and_forward(demo, reader):
    bob = account(demo, 'writer@hamburger.edu')
    reader.account('writer@hamburger.edu', bob, more='name = Bob B. Writer\n')
    reader.account('jill@hill.com', of_demo(demo, 'jill@hill.com'))
    with open(f'{reader.folder}/well.bin', 'wb') as f:
        f.write(bytes(range(256)) * 10)
    said = reader.json('send', '--to', 'Jill <jill@hill.com>', '--cc', 'writer@hamburger.edu', '--subject', 'Grüße an jill', '--attach', 'well.bin',
                       '--body', '-', input='Žádost o vodu\n.\nFrom here\n')
    assert said['result'] == 'sent'

    def arrived(who, words):
        reader.json('sync', '--account', who)
        return reader.json('search', words, 'INBOX', '--account', who)['letters']
    row = until('jill has it', lambda: arrived('jill@hill.com', '~s "an jill"'))[0]
    got = reader.json('read', row['uid'], '--account', 'jill@hill.com')
    assert (got['from'], got['text']) == ('"Bob B. Writer" <writer@hamburger.edu>', 'Žádost o vodu\n.\nFrom here\n')
    saved = reader.json('save', row['uid'], '--account', 'jill@hill.com', '--to', reader.folder)['files']
    with open(saved[0], 'rb') as f:
        assert f.read() == bytes(range(256)) * 10

    said = reader.json('reply', row['uid'], '--all', '--quote', '--account', 'jill@hill.com', '--body', '-', input='Coming.\n')
    assert said['result'] == 'sent'
    assert r'\Answered' in next(r for r in reader.json('list', '--account', 'jill@hill.com')['letters'] if r['uid'] == row['uid'])['flags']
    back = until('bob has the answer', lambda: arrived('writer@hamburger.edu', '~s "Re: Grüße"'))[0]
    answer = reader.json('read', back['uid'])
    assert answer['in-reply-to'] == got['message-id'] and answer['text'].startswith('Coming.\n') and '> Žádost o vodu' in answer['text']
    threads = reader.list('INBOX', '--sort', 'threads')
    assert [r['depth'] for r in threads] == [0, 1]

    assert reader.json('forward', row['uid'], '--account', 'jill@hill.com', '--to', 'writer@hamburger.edu')['result'] == 'sent'
    again = until('bob has it back', lambda: arrived('writer@hamburger.edu', '~s "Fwd: Grüße"'))[0]
    assert again['attachments']

    assert [r['subject'] for r in reader.list('Sent')] == ['Grüße an jill']
    reader.json('sync')
    assert len(bob.state('Sent')) == 1 and reader.json('outbox')['letters'] == []


def test_a_whole_letter_on_stdin(demo, reader):
    who = account(demo, 'pipe@hill.com')
    reader.account('pipe@hill.com', who, more='name = Peter\n')
    reader.json('send', input='To: pipe@hill.com\nBcc: jill@hill.com\nSubject: by hand\nX-Pail: yes\n\nhello\n')

    def came():
        reader.json('sync')
        return reader.json('list')['letters']
    raw = reader.raw('INBOX', until('it is there', came)[0]['uid'])
    assert (raw['X-Pail'], raw['Bcc'], raw['From']) == ('yes', None, 'Peter <pipe@hill.com>')
    assert 'nobody' in reader.run('send', input='Subject: to whom?\n\nhello\n', code=64)
    assert 'header' in reader.run('send', input='this is no field\nTo: pipe@hill.com\n\n', code=64)


def test_without_a_network_it_waits_in_outbox(demo, reader):
    who = account(demo, 'train@hill.com')
    with socket.socket() as nobody:
        nobody.bind(('127.0.0.1', 0))
        away = Server(who.port, who.user, who.password, submission=nobody.getsockname()[1])
        reader.account('train@hill.com', away)
        assert reader.json('send', '--to', 'train@hill.com', '--subject', 'later', '--body', '-', input='x\n')['result'] == 'waiting'
        assert [r['subject'] for r in reader.json('outbox')['letters']] == ['later']
        reader.run('outbox', 'flush', code=75)
    os.remove(f'{reader.folder}/config/pail/mail')
    reader.account('train@hill.com', who)
    assert reader.json('outbox', 'flush')['sent'] == 1
    assert reader.json('outbox')['letters'] == [] and [r['subject'] for r in reader.list('Sent')] == ['later']


# ---- both ways ----

def test_changes_go_both_ways(server, reader):
    there = server.imap()
    there.create('Work')
    server.fill([letter(n) for n in range(1, 13)])
    reader.account('both@hill.com', server)
    assert reader.json('sync')['fetched'] == 12
    uids = [r['uid'] for r in reader.list()]
    reader.run('flag', f'{uids[0]},{uids[1]}:{uids[2]}', '+flagged', '+water')
    reader.run('move', uids[3], 'Work')
    reader.run('delete', uids[4], '--purge')
    reader.run('delete', uids[5])
    there.select('INBOX')
    there.uid('store', there.uid('search', 'HEADER', 'Message-ID', '<7@town.com>')[1][0].decode(), '+FLAGS', r'(\Seen \Answered)')
    there.uid('store', there.uid('search', 'HEADER', 'Message-ID', '<1@town.com>')[1][0].decode(), '+FLAGS', r'(\Seen)')
    for number, command in ((8, 'move'), (9, 'delete')):
        uid = there.uid('search', 'HEADER', 'Message-ID', f'<{number}@town.com>')[1][0].decode()
        if command == 'move':
            there.uid('copy', uid, 'Work')
        there.uid('store', uid, '+FLAGS', r'(\Deleted)')
    there.expunge()
    there.logout()
    server.fill([letter(20)])
    reader.json('sync')
    for folder in ('INBOX', 'Work', 'Trash'):
        assert reader.state(folder) == server.state(folder), folder
    inbox = dict(server.state())
    assert sorted(inbox) == sorted(f'<{n}@town.com>' for n in (1, 2, 3, 7, 10, 11, 12, 20))
    assert inbox['<1@town.com>'] == (r'\Flagged', r'\Seen', 'water') and inbox['<7@town.com>'] == (r'\Answered', r'\Seen')
    assert [name for name, _ in server.state('Work')] == ['<4@town.com>', '<8@town.com>']
    assert [name for name, _ in server.state('Trash')] == ['<6@town.com>']
    again = reader.json('sync')
    assert not any(again[k] for k in ('fetched', 'sent', 'moved', 'flags-here', 'flags-there', 'removed-here', 'removed-there')), again


def test_a_new_uidvalidity_doubles_nothing(server, reader):
    there = server.imap()
    there.create('Box')
    letters = [letter(n) for n in range(1, 8)]
    server.fill(letters, 'Box', r'(\Seen)')
    reader.account('anew@hill.com', server)
    reader.json('sync')
    before = reader.state('Box')
    assert len(before) == 7
    there.delete('Box')
    there.create('Box')
    there.logout()
    server.fill(letters + [letter(8)], 'Box', r'(\Seen)')
    reader.json('sync')
    assert server.state('Box') == reader.state('Box')
    assert len(reader.state('Box')) == 8


def test_folders_made_and_named_on_both_sides(server, reader):
    reader.account('folders@hill.com', server)
    there = server.imap()
    there.create('&AOQA9g-')
    server.fill([letter(1)], '&AOQA9g-')
    reader.json('sync')
    assert [name for name, _ in reader.state('äö')] == ['<1@town.com>']
    there.rename('&AOQA9g-', 'Plain')
    there.logout()
    reader.json('sync')
    names = [f['name'] for f in reader.json('folders')['folders']]
    assert 'Plain' in names and 'äö' not in names
    assert reader.state('Plain') == server.state('Plain') == [('<1@town.com>', ())]


def test_most_of_a_folder_gone_is_asked_for_first(server, reader):
    server.fill([letter(n) for n in range(1, 41)])
    reader.account('gone@hill.com', server)
    reader.json('sync')
    there = server.imap()
    there.select('INBOX')
    there.store('1:30', '+FLAGS', r'(\Deleted)')
    there.expunge()
    there.logout()
    process = reader.start('sync')
    process.communicate('', timeout=60)
    assert len(reader.list()) == 40
    reader.json('sync', '--yes')
    assert len(reader.list()) == 10 and reader.state() == server.state()


@pytest.mark.parametrize('seed', range(3))
def test_killed_at_random_moments(server, reader, seed):
    """Changes on both sides, and then pass after pass is killed: nothing lost, nothing doubled, and at last both sides are the same."""
    like = random.Random(seed)
    there = server.imap()
    there.create('Work')
    there.logout()
    reader.account('killed@hill.com', server)
    server.fill([letter(1)])
    reader.json('sync')
    expected, number, kills = {'<1@town.com>'}, 1, 0
    for _ in range(4):
        fresh = [number + n + 1 for n in range(60)]
        number = fresh[-1]
        server.fill([letter(n, 'x' * like.randrange(20000)) for n in fresh])
        expected |= {f'<{n}@town.com>' for n in fresh}
        here = reader.list()
        some = like.sample(here, min(20, len(here)))
        uids = [','.join(str(r['uid']) for r in some[i::3]) for i in range(3)]
        if len(some) > 2:
            for row in some[2::3]:
                expected.discard(reader.raw('INBOX', row['uid'])['Message-ID'].strip())
            reader.run('flag', uids[0], '+flagged')
            reader.run('move', uids[1], 'Work')
            reader.run('delete', uids[2], '--purge')
        for after in (0.02, 0.04, 0.06, 0.1, 0.2):
            kills += reader.killed_sync(like.uniform(after / 2, after))
        reader.json('sync')
        assert server.state() == reader.state() and server.state('Work') == reader.state('Work')
    both = [name for folder in ('INBOX', 'Work') for name, _ in server.state(folder)]
    assert sorted(both) == sorted(expected)
    print(f'{kills} kills came in time')


# ---- POP3 ----

@pytest.mark.parametrize('keep', ['yes', 'no'])
def test_pop3(server, reader, keep):
    server.fill([letter(n) for n in range(1, 6)])
    reader.account('pop@hill.com', server, how='pop3', more=f'keep = {keep}\n')
    assert reader.json('sync')['fetched'] == 5
    names = [f'<{n}@town.com>' for n in range(1, 6)]
    assert [name for name, _ in reader.state()] == names
    assert [name for name, _ in server.state()] == (names if keep == 'yes' else [])
    assert reader.json('sync')['fetched'] == 0
    reader.run('delete', reader.list()[0]['uid'], '--purge')
    server.fill([letter(6)])
    assert reader.json('sync')['fetched'] == 1
    assert [name for name, _ in reader.state()] == names[1:] + ['<6@town.com>']


@pytest.mark.parametrize('keep', ['yes', 'no'])
def test_pop3_killed_at_random_moments(server, reader, keep):
    like = random.Random(keep)
    reader.account('pop@hill.com', server, how='pop3', more=f'keep = {keep}\n')
    number, kills = 0, 0
    for _ in range(4):
        server.fill([letter(number + n + 1, 'x' * like.randrange(20000)) for n in range(60)])
        number += 60
        for after in (0.02, 0.04, 0.08, 0.16):
            kills += reader.killed_sync(like.uniform(after / 2, after))
    until('the server has ended the sessions that were cut off', lambda: reader.start('sync').wait() == 0)
    reader.json('sync')
    print(f'{kills} kills came in time')
    assert [name for name, _ in reader.state()] == sorted(f'<{n + 1}@town.com>' for n in range(number))
    assert len(server.state()) == (number if keep == 'yes' else 0)


# ---- found by the address ----

class Dns:
    """UDP: SRV records of one domain, addresses; what is not there does not exist."""

    def __init__(self, records):
        self.records = records
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        self.asked = set()
        threading.Thread(target=self.serve, daemon=True).start()

    def name(self, name):
        return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.') if label) + b'\0'

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            at, labels = 12, []
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
                at += 1 + query[at]
            name, (kind,) = '.'.join(labels), struct.unpack('>H', query[at + 1:at + 3])
            self.asked.add(name)
            found = [struct.pack('>HHH', *numbers) + self.name(target) for *numbers, target in self.records.get(name, [])] if kind == 33 else []
            found = [socket.inet_aton(address) for address in self.records.get((name, 'A'), [])] if kind == 1 else found
            soa = self.name('example') + struct.pack('>HHIH', 6, 1, 1, 22) + b'\0\0' + struct.pack('>IIIII', 1, 2, 3, 4, 1)
            self.socket.sendto(query[:2] + struct.pack('>HHHHH', 0x8580, 1, len(found), 0 if found else 1, 0) + query[12:at + 5] +
                               b''.join(b'\xc0\x0c' + struct.pack('>HHIH', kind, 1, 1, len(r)) + r for r in found) + (b'' if found else soa), peer)


def test_servers_found_by_srv(demo, reader):
    server = account(demo, 'found@hill.com')
    dns = Dns({'_imaps._tcp.found.example': [(0, 0, 0, '.')],
               '_imap._tcp.found.example': [(20, 9, 1, 'localhost'), (10, 1, 2, 'localhost'), (10, 5, server.port, 'localhost')],
               '_submission._tcp.found.example': [(0, 0, server.submission, 'localhost')]})
    resolver = ('--resolver', f'127.0.0.1@{dns.socket.getsockname()[1]}')
    # a host outside of the domain, by DNS that nobody signed: no password goes there unasked
    refused = reader.run('add', 'me@found.example', *resolver, input='measure\n', code=77)
    assert 'localhost' in refused and not os.path.exists(f'{reader.folder}/config/pail/mail')
    said = reader.run('add', 'me@found.example', *resolver, '--yes', '--json', input='measure\n', code=77)
    assert '_pop3._tcp.found.example' not in dns.asked and '_imaps._tcp.found.example' in dns.asked
    assert 'localhost' in said      # it was tried, and there is no such account
    demo.verb('domain', 'add', 'found.example')
    account(demo, 'me@found.example')
    said = reader.json('add', 'me@found.example', *resolver, '--yes', '--save-password', input='measure\n')
    assert said['incoming'] == f'imap://me@found.example@localhost:{server.port}'
    assert said['outgoing'] == f'submission://me@found.example@localhost:{server.submission}'
    assert reader.json('sync')['fetched'] == 0
    dns.socket.close()


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root, for the port of IMAPS')
def test_a_common_name_with_a_strange_certificate_gets_no_password(reader, tmp_path):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=imap.names.example', '-keyout',
                    tmp_path / 'key', '-out', tmp_path / 'cert'], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / 'cert', tmp_path / 'key')
    heard, calls = [], []
    listening = socket.create_server(('127.0.0.93', 993))

    def serve():
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            calls.append(peer)
            try:
                with tls.wrap_socket(peer, server_side=True) as inside:
                    inside.sendall(b'* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n')
                    heard.append(inside.recv(4096))
            except OSError:
                pass
    threading.Thread(target=serve, daemon=True).start()
    dns = Dns({('imap.names.example', 'A'): ['127.0.0.93']})
    said = reader.run('add', 'me@names.example', '--resolver', f'127.0.0.1@{dns.socket.getsockname()[1]}', input='\n\nmeasure\n', code=66)
    assert calls and 'imaps://imap.names.example: ' in said and 'ertificate' in said
    assert not b''.join(heard) and not os.path.exists(f'{reader.folder}/config/pail/mail')
    assert {'_imaps._tcp.names.example', '_pop3._tcp.names.example', '_submissions._tcp.names.example', 'mail.names.example'} <= dns.asked
    listening.close()
    dns.socket.close()


def test_ctrl_c_ends_it(demo, reader):
    """While it waits for a server that says nothing."""
    with socket.create_server(('127.0.0.1', 0)) as silent:
        reader.account('silent@hill.com', Server(silent.getsockname()[1], 'x', 'x'))
        process = reader.start('sync')
        peer, _ = silent.accept()
        process.send_signal(2)
        process.communicate(timeout=60)
        assert process.returncode == -2
        peer.close()
