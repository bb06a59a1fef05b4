"""pail queue: what waits, found by filters, shown with its attempts, and steered."""
import json
import smtplib
import socket
import threading
import time

import pytest

from pail import PATIENCE, Pail, until


class Sink:
    """A server that says what the test wants to every RCPT, and keeps what it is given."""

    def __init__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.answer, self.letters = '250 ok', []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        with peer, peer.makefile('rwb') as f:
            def say(line):
                f.write(line.encode() + b'\r\n')
                f.flush()
            say('220 sink')
            for line in f:
                verb = line.split(None, 1)[0].upper() if line.strip() else b''
                if verb == b'DATA':
                    say('354 go')
                    text = b''
                    while not text.endswith(b'\r\n.\r\n') and (more := f.readline()):
                        text += more
                    self.letters.append(text)
                    say('250 kept')
                else:
                    say(self.answer if verb == b'RCPT' else '221 bye' if verb == b'QUIT' else '250 ok')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.fixture
def here():
    """A demo whose sea.example goes to a sink; everything else is held."""
    with Sink() as sink, Pail('--route', f'sea.example=127.0.0.1:{sink.port}') as p:
        p.sink = sink
        yield p


def send(p, to, subject='x', sender='jack@town.com', password='crown'):
    with smtplib.SMTP('127.0.0.1', p.port(587), local_hostname='laptop', timeout=PATIENCE) as s:
        s.login(sender, password)
        for one in to if isinstance(to[0], list) else [to]:
            s.sendmail(sender, one, f'Subject: {subject}\r\n\r\nhello\r\n')


def queue(p, *words):
    return json.loads(p.verb('queue', 'list', *words, '--json').stdout)['outbox']


def who(p, *words):
    return sorted(r['address'] for letter in queue(p, *words) for r in letter['waiting'])


def orders(p, *words):
    return json.loads(p.verb('queue', *words, '--json').stdout)['recipients']


def waits(p, address, word):
    def look():
        for letter in queue(p):
            for r in letter['waiting']:
                if r['address'] == address and word in r['reason']:
                    return letter
    return until(f'{address} waits: {word}', look)


def test_filters(here):
    here.sink.answer = '450 4.2.0 come back at high tide'
    send(here, ['far@hill.example', 'near@hill.example'])
    send(here, ['ship@sea.example'], sender='jill@hill.com', password='tumbling')
    waits(here, 'ship@sea.example', 'high tide')
    waits(here, 'near@hill.example', 'no route')
    assert who(here) == ['far@hill.example', 'near@hill.example', 'ship@sea.example']
    assert who(here, '--domain', 'Sea.Example') == ['ship@sea.example']
    assert who(here, '--sender', 'jill@hill.com') == ['ship@sea.example']
    assert who(here, '--reason', 'high tide') == ['ship@sea.example']
    assert who(here, '--held') == ['far@hill.example', 'near@hill.example']
    assert who(here, '--recipient', 'far@hill.example') == ['far@hill.example', 'near@hill.example']   # a letter is shown whole
    assert who(here, '--older', '1h') == [] and len(who(here, '--older', '0s')) == 3
    assert who(here, '--domain', 'nowhere.example') == []
    assert 'high tide' in here.verb('queue').stdout
    for words, says in ((['--older', 'long'], 'no time'), (['--domain', 'a b'], 'no domain')):
        done = here.verb('queue', 'list', *words, check=False)
        assert done.returncode == 64 and says in done.stderr


def test_an_attempt_is_shown_with_its_conversation(here):
    here.sink.answer = '450 4.2.0 come back at high tide'
    send(here, ['ship@sea.example'], subject='message in a bottle')
    letter = waits(here, 'ship@sea.example', 'high tide')
    assert letter['next'] > time.time()
    shown = json.loads(here.verb('queue', 'show', letter['id'], '--json').stdout)
    [attempt] = shown['attempts']
    assert attempt['destination'] == 'sea.example' and '127.0.0.1' in attempt['peer']
    talk = attempt['conversation'].split('\n')
    assert talk[0] == 'S: 220 sink' and 'C: RCPT TO:<ship@sea.example>' in talk
    assert 'S: 450 4.2.0 come back at high tide' in talk
    assert 'Subject: message in a bottle' in shown['text']
    text = here.verb('queue', 'show', letter['id']).stdout
    assert 'C: RCPT TO:<ship@sea.example>' in text and 'Subject: message in a bottle' in text


def test_orders(here):
    here.sink.answer = '450 4.2.0 later'
    send(here, [['one@sea.example'], ['two@sea.example'], ['three@hill.example']])
    letter = waits(here, 'one@sea.example', 'later')
    waits(here, 'two@sea.example', 'later')
    waits(here, 'three@hill.example', 'no route')
    assert orders(here, 'hold', letter['id']) == 1
    assert [r['state'] for r in queue(here, '--recipient', 'one@sea.example')[0]['waiting']] == ['held']
    here.sink.answer = '250 ok'
    assert orders(here, 'retry', '--domain', 'sea.example') == 1    # what is held is not retried
    until('two is gone', lambda: 'two@sea.example' not in who(here))
    assert len(here.sink.letters) == 1
    assert orders(here, 'release', letter['id']) == 1
    until('one is gone', lambda: who(here) == ['three@hill.example'])
    assert orders(here, 'bounce', '--held') == 1
    until('jack is told', lambda: here.count('jack@town.com') == 1)
    report = here.letters('jack@town.com')[0]
    assert b'Action: failed' in report and b'three@hill.example' in report
    until('nothing waits', lambda: not queue(here))


def test_remove_is_heard_by_nobody(here):
    send(here, [['a@hill.example'], ['b@hill.example', 'c@wood.example']])
    waits(here, 'c@wood.example', 'no route')
    waits(here, 'a@hill.example', 'no route')
    assert orders(here, 'remove', '--domain', 'hill.example') == 2
    assert who(here) == ['c@wood.example']
    assert orders(here, 'remove', '--all') == 1
    assert queue(here) == [] and here.count('jack@town.com') == 0
    assert here.verb('check').returncode == 0


def test_an_order_to_everything_must_be_meant(here):
    for what in 'retry', 'hold', 'release', 'remove', 'bounce':
        done = here.verb('queue', what, check=False)
        assert done.returncode == 64 and '--all' in done.stderr
    assert here.verb('queue', 'remove', '--all', '--held', check=False).returncode == 64
    assert here.verb('queue', 'remove', '77', check=False).returncode == 66
    assert here.verb('queue', 'hold', 'x', check=False).returncode == 64


def test_more_than_a_page(here):
    send(here, [[f'u{i}@hill.example'] for i in range(130)])
    until('all wait', lambda: len(queue(here)) == 130)
    ids = [int(letter['id']) for letter in queue(here)]
    assert ids == sorted(set(ids))
    assert len(here.verb('queue', 'list', '--domain', 'hill.example').stdout.splitlines()) == 260


def test_what_a_list_holds_says_so(here):
    here.verb('list', 'add', 'harbour@hill.com', 'jill@hill.com', 'ship@sea.example')
    here.verb('list', 'set', 'harbour@hill.com', 'moderated', 'yes')
    here.verb('list', 'set', 'harbour@hill.com', 'title', 'Those of the harbour')
    shown = json.loads(here.verb('list', 'show', 'harbour@hill.com', '--json').stdout)
    assert shown['moderated'] is True and shown['title'] == 'Those of the harbour'
    assert shown['members'] == [{'member': who, 'bounces': 0, 'last': 0} for who in ('jill@hill.com', 'ship@sea.example')]
    send(here, ['harbour@hill.com'], subject='the tide')
    letter = waits(here, 'ship@sea.example', 'the list harbour@hill.com waits to be approved')
    assert {r['state'] for r in letter['waiting']} == {'held'} and here.count('jill@hill.com') == 0
    here.verb('queue', 'release', letter['id'])
    until('the ship has it', lambda: here.sink.letters)
    until('jill has it', lambda: here.count('jill@hill.com') == 1)
    assert b'List-Id: ' in here.sink.letters[0]
    assert here.verb('list', 'set', 'harbour@hill.com', 'colour', 'blue', check=False).returncode == 64
