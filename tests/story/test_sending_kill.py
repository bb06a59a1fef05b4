"""Sending: a slow domain with thousands of letters, and kill -9 at random moments. Nothing is lost; twice comes at most the one letter that a connection was
about, when it was cut: its duplicates are counted, and each is looked at."""
import os
import random
import signal
import threading

import pytest

from pail import until
from sending_sink import Sink

ROUNDS = int(os.environ.get('ROUNDS', '6'))     # kills; `make soak` asks for many
SEED = os.environ.get('SEED') or str(random.randrange(10 ** 9))
LETTERS = 60        # between two kills


def domain_of(world, name, sink):
    world.dns.publish(name, '@ MX 10 mx', f'mx A {sink.address}')
    return name


@pytest.fixture(scope='module')
def crepes(world):
    return world.pail('crepes.fr', 'alice', 'bulk', sender_connections_per_domain=10)


def test_a_slow_domain_delays_nobody(world, crepes):
    """Thousands of letters for a domain that takes one after another, and hundreds of domains that take none."""
    n = 3000
    with Sink(world.far, seconds_a_letter=5) as slow, Sink(world.far, answer=lambda stage, _: '421 4.3.2 not now' if stage == 'connect' else None) as ill, \
            Sink(world.far) as quick:
        name = domain_of(world, 'slow.example', slow)
        world.dns.publish('ill.example', '* MX 10 mx', f'mx A {ill.address}')
        load = [threading.Thread(target=crepes.mail_many, args=('bulk', to))
                for to in ([f'p{i}@{name}' for i in range(n)], [f'p@d{i}.ill.example' for i in range(300)])]
        for thread in load:
            thread.start()
        for thread in load:
            thread.join()
        crepes.mail('alice', f'x@{domain_of(world, "quick.example", quick)}')
        quick.wait()
        assert len(slow.letters) < n / 2        # it still had most of its letters to come
        assert slow.most <= 10                  # sender-connections-per-domain
    for domain in ('slow.example', 'ill.example'):
        crepes.verb('queue', 'remove', '--domain', domain, check=False)


class Counted:
    """What came twice, and whether it may have: every copy but the last was its connection's last letter, and that connection did not end by itself."""

    def __init__(self, sink):
        by_address, last = {}, {letter.connection: letter for letter in sink.letters}
        for letter in sink.letters:
            [address] = letter.to
            by_address.setdefault(address, []).append(letter)
        self.arrived = set(by_address)
        self.twice = sum(len(copies) - 1 for copies in by_address.values())
        ended = {session.number for session in sink.sessions if 'QUIT' in session.heard}
        self.wrong = [(address, letter.connection) for address, copies in by_address.items() for letter in copies[:-1]
                      if last[letter.connection] is not letter or letter.connection in ended]


def kill_the_sender(crepes):
    before = crepes.roles()['sender.0']
    os.kill(before, signal.SIGKILL)
    crepes.restarted('sender.0', before)


def kill_everything(crepes):
    crepes.kill()
    crepes.start()


@pytest.mark.parametrize('kill', [kill_the_sender, kill_everything])
def test_kill_at_random_moments(world, kill):
    print(f'SEED={SEED}')
    like = random.Random(f'{SEED}-{kill.__name__}')
    domain = kill.__name__.replace('_', '-')
    mortal = world.pail(f'{domain}.com', 'bulk', sender_connections_per_domain=10, max_recipients=1000)
    open_ = threading.Event()       # nothing is taken before all is in the queue: intake's own kills are test_kill's
    with Sink(world.far, seconds_a_letter=0.01,
              answer=lambda stage, _: '421 4.3.2 not yet' if stage == 'connect' and not open_.is_set() else None) as sink:
        name = domain_of(world, f'{domain}.example', sink)
        wanted = {f'p{i}@{name}' for i in range((ROUNDS + 1) * LETTERS)}
        mortal.mail_many('bulk', sorted(wanted))
        open_.set()
        for turn in range(ROUNDS):
            more = turn * LETTERS + like.randrange(LETTERS)
            until(f'{more} letters of {len(wanted)}, has {len(sink.letters)}', lambda: len(sink.letters) >= more)
            (kill if turn % 6 < 5 else kill_everything)(mortal)     # a role that dies again and again is started more and more slowly
        mortal.wait_empty(name)
        found = Counted(sink)
    mortal.stop()
    print(f'{ROUNDS} kills, {len(sink.sessions)} connections, {found.twice} letters came twice')
    assert found.arrived == wanted
    assert not found.wrong
