"""Several sessions in one mailbox, on every worker process, do what comes to their minds; in the end each one's view, made of
nothing but what it was told, is the truth."""
import os
import random
import threading

import pytest

from imap_view import View, runs
from pail import Pail

FLAGS = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft', '$Work', 'Home']
WHO = 'truth@hill.com'
GUEST = 'guest@hill.com'


@pytest.fixture(scope='module')
def truth():
    with Pail() as p:
        for who in WHO, GUEST:
            p.verb('account', 'add', who)
            p.verb('passwd', who, input='fetch\n')
        yield p


def client(pail, *enable):
    return View(pail.port(143), WHO, 'fetch', *enable)


def act(c, dice):
    known = [u for u in c.letters if u]
    n = len(c.letters)
    some = runs(dice.sample(known, min(len(known), dice.randint(1, 6)))) if known else None
    flags = ' '.join(dice.sample(FLAGS, dice.randint(1, 3)))
    sign = dice.choice(['', '+', '-'])
    silent = dice.choice(['', '.SILENT'])
    kind = dice.randrange(12)
    if kind <= 2 or not n:
        c.append(*dice.sample(FLAGS, dice.randint(0, 3)))
    elif kind <= 4 and not c.uidonly:
        first = dice.randint(1, n)
        store(c, f'STORE {first}:{min(n, first + dice.randint(0, 4))}', sign, silent, flags)
    elif kind <= 6 and some:
        store(c, f'UID STORE {some}', sign, silent, flags)
    elif kind == 7:
        c.command('EXPUNGE', ok=False)
    elif kind == 8 and some:
        c.command(f'UID EXPUNGE {some}', ok=False)
    elif kind == 9 and not c.uidonly:
        c.command(f'FETCH 1:{n} ({dice.choice(["FLAGS", "FLAGS MODSEQ", "MODSEQ"])})', ok=False)
    elif kind == 10 and some:
        c.command(f'UID {dice.choice(["COPY", "MOVE"])} {some} {c.mailbox}', ok=False)
    else:
        dice.choice([c.idle_done, lambda: c.command('NOOP'), lambda: c.command('UID FETCH 1:* (FLAGS)', ok=False)])()


def store(c, head, sign, silent, flags):
    """What a silent one did is known to who asked for it, unless something went wrong: so it is looked up."""
    c.command(f'{head} {sign}FLAGS{silent} ({flags})', ok=False)
    if silent:
        what = head.replace('STORE', 'FETCH')
        c.command(f'{what} (FLAGS)', ok=False)


def begin(pail, mailbox, *kinds):
    clients = [client(pail, *enable) for enable in kinds]
    clients[0].command(f'CREATE {mailbox}')
    for c in clients:
        c.select(mailbox)
    return clients


def compare(pail, clients, mailbox):
    """The truth is what a session sees that has just come."""
    seer = client(pail)
    seer.select(mailbox)
    truth = seer.view()
    for i, c in enumerate(clients):
        assert c.view() == truth, f'client {i}'
    for c in [*clients, seer]:
        c.drop()


KINDS = [(), ('CONDSTORE',), ('QRESYNC',), ('QRESYNC', 'IMAP4rev2'), ('UIDONLY',)]


@pytest.mark.parametrize('seed', range(int(os.environ.get('TRUTH_SEEDS', 6))))
def test_in_turns(truth, seed):
    dice = random.Random(seed)
    mailbox = f'turns{seed}'
    clients = begin(truth, mailbox, *KINDS)
    for _ in range(250):
        c = dice.choice(clients)
        act(c, dice)
        if c.qresync and dice.random() < 0.05:
            if dice.random() < 0.5:     # in the middle of something: what that did must be told when it comes back
                c.send(dice.choice(['EXPUNGE', 'UID STORE 1:* +FLAGS (\\Flagged)', 'UID STORE 1:* FLAGS (\\Deleted)']))
            c.drop()
            for other in clients:
                if other is not c and dice.random() < 0.7:
                    act(other, dice)
            c.again(known=dice.random() < 0.3)
    compare(truth, clients, mailbox)


@pytest.mark.parametrize('seed', range(3))
def test_a_guest(truth, seed):
    """Who reads in a mailbox of somebody else has \\Seen flags of his own, and is told of all the rest."""
    dice = random.Random(seed)
    mailbox = f'guest{seed}'
    clients = begin(truth, mailbox, (), ('QRESYNC',))
    clients[0].command(f'SETACL {mailbox} {GUEST} lrswite')
    guests = [View(truth.port(143), GUEST, 'fetch', *enable) for enable in [(), ('QRESYNC',)]]
    for g in guests:
        g.select(f'user/{WHO}/{mailbox}')
    for _ in range(200):
        c = dice.choice(clients + guests)
        act(c, dice)
        if c.qresync and dice.random() < 0.05:
            c.drop()
            act(dice.choice([other for other in clients + guests if other is not c]), dice)
            c.again()
    seer = View(truth.port(143), GUEST, 'fetch')
    seer.select(f'user/{WHO}/{mailbox}')
    seen = seer.view()
    for g in guests:
        assert g.view() == seen
    compare(truth, clients, mailbox)
    def of(view):
        return [(uid, flags - {'\\Seen'}) for uid, flags in view]
    last = client(truth)
    last.select(mailbox)
    assert of(last.view()) == of(seen)


@pytest.mark.parametrize('seed', range(int(os.environ.get('TRUTH_SEEDS', 6)) // 2))
def test_all_at_once(truth, seed):
    mailbox = f'once{seed}'
    clients = begin(truth, mailbox, *KINDS, (), ('QRESYNC',))
    wrong = []

    def run(c, dice):
        try:
            for _ in range(120):
                act(c, dice)
                if c.qresync and dice.random() < 0.05:
                    c.drop()
                    c.again(known=dice.random() < 0.3)
        except Exception as e:      # told by the main thread
            wrong.append((c.events[-30:], e))

    threads = [threading.Thread(target=run, args=(c, random.Random(seed * 100 + i))) for i, c in enumerate(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong:
        print(*wrong[0][0], sep='\n')
        raise wrong[0][1]
    compare(truth, clients, mailbox)


@pytest.mark.parametrize('seed', range(2))
def test_who_comes_back_after_a_kill(pail, seed):
    """kill -9 of all processes while commands are under way: QRESYNC clients that come back have the truth, whatever of the last
    commands was carried out."""
    dice = random.Random(seed)
    pail.verb('account', 'add', WHO)
    pail.verb('passwd', WHO, input='fetch\n')
    clients = begin(pail, 'killed', ('QRESYNC',), ('QRESYNC', 'IMAP4rev2'), ('QRESYNC',))
    for _ in range(4):
        for _ in range(40):
            act(dice.choice(clients), dice)
        for c in clients:
            c.send(dice.choice(['EXPUNGE', 'UID STORE 1:* +FLAGS (\\Flagged)', 'UID STORE 1:* FLAGS.SILENT (\\Deleted)',
                                'UID MOVE 1:3 killed', 'UID COPY 1:* killed', 'IDLE']))
        pail.kill()
        pail.start()
        for c in clients:
            c.drop()
            c.where = ('127.0.0.1', pail.port(143))
            c.again()
    compare(pail, clients, 'killed')
