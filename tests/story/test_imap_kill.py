"""kill -9 while APPEND, COPY, MOVE, STORE and EXPUNGE are in flight: what got its OK is so, what got no answer is so wholly
or not at all, and a client that keeps a copy of its own by QRESYNC (RFC 7162) ends with the truth.

ROUNDS and SEED come from the environment; `make soak` asks for many."""
import os
import random
import re
import signal
import threading
import time

import pytest
from imapwire import Literal, Refused, Soon, Wire, as_set, fetched, numbers, parse
from load import BROKEN, text_of
from pail import PATIENCE, PEOPLE, Pail
from test_kill import kill_all, kill_one, wrong

ROUNDS = int(os.environ.get('ROUNDS', '12'))
SEED = os.environ.get('SEED') or str(random.randrange(10 ** 9))
BOXES = ('A', 'B')
FLAGS = ('\\Seen', '\\Answered', '\\Flagged', '\\Draft', '$Forwarded', 'story')
FOR_NOW = ('[UNAVAILABLE]', '[INUSE]')


class Letter:
    def __init__(self, uid, name, flags):
        self.uid, self.name, self.flags = uid, name, frozenset(flags)

    def now(self, **new):
        return Letter(new.get('uid', self.uid), self.name, new.get('flags', self.flags))

    def __repr__(self):
        return f'{self.uid}:{self.name}{sorted(self.flags)}'


def gist(state):
    """What a state is but for the uids."""
    return {box: sorted((m.name, sorted(m.flags)) for m in letters) for box, letters in state.items()}


class Owner(threading.Thread):
    """The only one who changes this account: it knows what must be there after every answer."""

    def __init__(self, load, who):
        super().__init__(daemon=True)
        self.load, self.who = load, who
        self.rng = random.Random(f'{SEED}-{who}')
        self.lender = 'alice@crepes.fr'     # who has a mailbox for us
        self.boxes = (*BOXES, f'user/{self.lender}/{who[:4]}')
        self.state = {box: [] for box in self.boxes}
        self.after = []         # the states there may be if the command without an answer was carried out
        self.named = {box: {} for box in self.boxes}    # uid: name, ever
        self.validity = {}
        self.made = False
        self.count = 0

    def run(self):
        while not self.load.over.is_set():
            try:
                self.session()
            except BROKEN:
                time.sleep(0.02)
            except Refused as e:
                if not any(code in str(e) for code in FOR_NOW):
                    self.load.complain(f'{self.who}: {e}')
                    return

    def connect(self):
        w = Wire(self.load.pail.port(143))
        w.login(self.who, PEOPLE[self.who])
        if not self.made:
            for box in BOXES:
                w.command(f'CREATE {box}')
            lender = Wire(self.load.pail.port(143))
            lender.login(self.lender, PEOPLE[self.lender])
            lender.command(f'CREATE {self.who[:4]}')
            lender.ok(f'SETACL {self.who[:4]} {self.who} lrswipte')
            lender.close()
            self.made = True
        return w

    def look(self, w):
        """What is there now."""
        truth = {}
        for box in self.boxes:
            _, told = w.ok(f'SELECT {box}')
            validity = next(m.group(1) for m in (re.match(rb'OK \[UIDVALIDITY (\d+)\]', t) for t in told) if m)
            if self.validity.setdefault(box, validity) != validity:
                self.load.complain(f'{self.who}/{box}: another UIDVALIDITY')
            found = w.fetch('FETCH 1:* (UID FLAGS ENVELOPE)') if b'0 EXISTS' not in told else {}
            truth[box] = [Letter(uid, items['ENVELOPE'][1].decode(), (f.decode() for f in items['FLAGS'] if f != b'\\Recent'))
                          for uid, items in sorted(found.items())]
            for m in truth[box]:
                if self.named[box].setdefault(m.uid, m.name) != m.name:
                    self.load.complain(f'{self.who}/{box}: uid {m.uid} was {self.named[box][m.uid]}, is {m.name}')
        return truth

    def compare(self, truth):
        possible = [self.state, *self.after]
        if gist(truth) not in [gist(p) for p in possible]:
            self.load.complain(f'{self.who}: found\n{gist(truth)}\n, possible were\n' + '\nor\n'.join(str(gist(p)) for p in possible))
        for box in self.boxes:
            for m in self.state[box] if not self.after else []:
                if m.uid and not any(t.uid == m.uid and t.name == m.name for t in truth[box]):
                    self.load.complain(f'{self.who}/{box}: {m} has another uid or is gone')
        self.state, self.after = truth, []

    def session(self):
        w = self.connect()
        try:
            self.compare(self.look(w))
            for _ in range(self.rng.randrange(5, 40)):
                if self.load.over.is_set():
                    break
                self.change(w)
        finally:
            w.close()

    def change(self, w):
        here, there = self.rng.sample(self.boxes, 2)
        w.ok(f'SELECT {here}')
        n = len(self.state[here])
        some = self.rng.sample(self.state[here], min(n, self.rng.randrange(1, 9)))
        what = self.rng.choice((self.append, self.append_many, self.store, self.store, self.copy, self.move, self.expunge))
        if n > 60:
            what = self.rng.choice((self.move, self.expunge, self.store))
        if some or what in (self.append, self.append_many):
            what(w, here, there, some)
            self.load.one_more()

    def carry_out(self, w, after, *command, between=None):
        """The command, during which either state may be, or one between; after its OK only `after`. Gives the response code."""
        self.after = [after] + ([between] if between else [])
        code, told = w.ok(*command)
        self.state, self.after = after, []
        for line in told:       # MOVE
            m = re.match(rb'OK \[(COPYUID [^]]*)\]', line)
            code = m.group(1).decode() if m else code
        return code

    def name_uids(self, box, uids, letters):
        for uid, m in zip(uids, letters, strict=True):
            m.uid = uid
            if self.named[box].setdefault(uid, m.name) != m.name:
                self.load.complain(f'{self.who}/{box}: uid {uid} given twice')

    def append(self, w, here, _, __):
        letters, pieces = [], []
        for _ in range(self.rng.choice((1, 1, 1, 3))):
            self.count += 1
            flags = self.rng.sample(FLAGS, self.rng.randrange(3))
            letters.append(Letter(None, f'letter-{self.who[0]}{self.count}', flags))
            text = text_of(letters[-1].name)
            pieces += [f' ({" ".join(flags)}) ', Soon(text) if self.rng.random() < 0.5 else Literal(text)]
        after = {**self.state, here: self.state[here] + letters}
        code = self.carry_out(w, after, f'APPEND {here}', *pieces)
        self.name_uids(here, numbers(code.split()[2]), letters)

    def append_many(self, w, here, _, __):
        """Without waiting for the answers: those of which none came may be there up to any of them."""
        letters = []
        for _ in range(self.rng.randrange(2, 9)):
            self.count += 1
            letters.append(Letter(None, f'letter-{self.who[0]}{self.count}', self.rng.sample(FLAGS, self.rng.randrange(3))))
        states = [{**self.state, here: self.state[here] + letters[:n + 1]} for n in range(len(letters))]
        self.after = states
        answers = w.pipeline([(f'APPEND {here} ({" ".join(m.flags)}) ', Literal(text_of(m.name))) for m in letters])
        for n, (status, code) in enumerate(answers):
            if status != 'OK':
                raise Refused(f'APPEND: {status} {code}')
            self.state, self.after = states[n], states[n + 1:]
            self.name_uids(here, numbers(code.split()[2]), [letters[n]])

    def store(self, w, here, _, some):
        how = self.rng.choice(('+FLAGS', '-FLAGS', 'FLAGS', '+FLAGS.SILENT'))
        flags = frozenset(self.rng.sample(FLAGS, self.rng.randrange(1, 3)))
        new = {m.uid: m.flags | flags if how[0] == '+' else m.flags - flags if how[0] == '-' else flags for m in some}
        after = {**self.state, here: [m.now(flags=new.get(m.uid, m.flags)) for m in self.state[here]]}
        self.carry_out(w, after, f'UID STORE {as_set(new)} {how} ({" ".join(flags)})')

    def copy(self, w, here, there, some):
        some = sorted(some, key=lambda m: m.uid)
        copies = [m.now(uid=None) for m in some]
        after = {**self.state, there: self.state[there] + copies}
        code = self.carry_out(w, after, f'UID COPY {as_set(m.uid for m in some)} {there}')
        self.name_uids(there, numbers(code.split()[3]), copies)

    def move(self, w, here, there, some):
        some = sorted(some, key=lambda m: m.uid)
        copies = [m.now(uid=None) for m in some]
        copied = {**self.state, there: self.state[there] + copies}
        after = {**copied, here: [m for m in self.state[here] if m not in some]}
        between = copied if (here in BOXES) != (there in BOXES) else None    # from account to account: never lost
        code = self.carry_out(w, after, f'UID MOVE {as_set(m.uid for m in some)} {there}', between=between)
        self.name_uids(there, numbers(code.split()[3]), copies)

    def expunge(self, w, here, _, some):
        uids = {m.uid for m in some}
        marked = [m.now(flags=m.flags | {'\\Deleted'}) if m.uid in uids else m for m in self.state[here]]
        self.carry_out(w, {**self.state, here: marked}, f'UID STORE {as_set(uids)} +FLAGS.SILENT (\\Deleted)')
        left = [m for m in self.state[here] if '\\Deleted' not in m.flags]
        self.carry_out(w, {**self.state, here: left}, 'EXPUNGE')

    def end(self):
        """Nobody changes anything any more: the truth, every letter whole."""
        w = self.connect()
        self.compare(self.look(w))
        for box in self.boxes:
            w.ok(f'EXAMINE {box}')
            for m in self.state[box]:
                text = w.fetch(f'UID FETCH {m.uid} (BODY.PEEK[])')[m.uid]['BODY[]']
                if text != text_of(m.name):
                    self.load.complain(f'{self.who}/{box}: {m} is not whole')
        w.close()


class Copyist(threading.Thread):
    """Keeps a copy of a mailbox by QRESYNC: uids and flags, and the modseq up to which it knows all."""

    def __init__(self, load, who, box):
        super().__init__(daemon=True)
        self.load, self.who, self.box = load, who, box
        self.rng = random.Random(f'{SEED}-{who}-{box}')
        self.copy, self.validity, self.modseq = {}, None, 0

    def run(self):
        while not self.load.over.is_set():
            try:
                self.session(self.rng.randrange(1, 30))
            except BROKEN:
                time.sleep(0.02)
            except Refused as e:
                if not any(code in str(e) for code in (*FOR_NOW, '[NONEXISTENT]')):
                    self.load.complain(f'{self.who}: {e}')
                    return

    def session(self, looks):
        w = Wire(self.load.pail.port(143))
        try:
            w.login(self.who, PEOPLE[self.who])
            w.ok('ENABLE QRESYNC')
            known = f' (QRESYNC ({self.validity} {self.modseq}))' if self.validity and self.modseq else ''
            _, told = w.ok(f'SELECT {self.box}{known}')
            self.heard(w, told, fresh=not known)
            for _ in range(looks):
                if self.load.over.is_set():
                    break
                code, told = w.ok('NOOP')
                self.heard(w, told)
        finally:
            w.close()

    def heard(self, w, told, fresh=False):
        """What a command told; it may have to ask for letters that are new, and be told more by that."""
        newest = self.modseq
        while True:
            exists, modseq = self.hear(told)
            newest = max(newest, modseq)
            if exists is None or (not fresh and exists <= len(self.copy)):
                break
            _, told = w.ok(f'UID FETCH {1 if fresh else max(self.copy, default=0) + 1}:* (FLAGS MODSEQ)')
            fresh = False
        self.modseq = newest    # only now all up to it is in the copy

    def hear(self, told):
        """(EXISTS, the highest modseq) of these lines."""
        newest, exists = 0, None
        for line in told:
            words = parse(line)
            code = re.match(rb'OK \[(UIDVALIDITY|HIGHESTMODSEQ) (\d+)\]', line)
            if code and code.group(1) == b'UIDVALIDITY':
                if self.validity not in (None, int(code.group(2))):
                    self.load.complain(f'{self.who}/{self.box}: another UIDVALIDITY')
                self.validity = int(code.group(2))
            elif code:
                newest = max(newest, int(code.group(2)))
            elif words[0] == b'VANISHED':
                for uid in numbers(words[-1].decode()):
                    self.copy.pop(uid, None)
            elif words[-1] == b'EXISTS' and int(words[0]):
                exists = int(words[0])
            elif words[1:2] == [b'FETCH']:
                newest = max(newest, self.take(fetched([line])))
        return exists, newest

    def take(self, found):
        newest = 0
        for uid, items in found.items():
            if 'MODSEQ' not in items or 'FLAGS' not in items:
                continue
            self.copy[uid] = frozenset(f.decode() for f in items['FLAGS'] if f != b'\\Recent')
            newest = max(newest, int(items['MODSEQ'][0]))
        return newest

    def end(self):
        self.session(1)
        w = Wire(self.load.pail.port(143))
        w.login(self.who, PEOPLE[self.who])
        _, told = w.ok(f'EXAMINE {self.box}')
        found = w.fetch('FETCH 1:* (UID FLAGS)') if b'0 EXISTS' not in told else {}
        truth = {uid: frozenset(f.decode() for f in items['FLAGS'] if f != b'\\Recent') for uid, items in found.items()}
        w.close()
        if truth != self.copy:
            differ = {uid: (self.copy.get(uid), truth.get(uid)) for uid in truth.keys() | self.copy.keys()
                      if truth.get(uid) != self.copy.get(uid)}
            self.load.complain(f'{self.who}/{self.box}: the copy and the truth differ: {differ}')


class Changes:
    """Like load.Load, with owners and copyists."""

    def __init__(self, pail, people):
        self.pail, self.over = pail, threading.Event()
        self.done, self.wrong, self.lock = threading.Semaphore(0), [], threading.Lock()
        self.threads = [Owner(self, who) for who in people]
        self.threads += [Copyist(self, who, box) for who in people for box in BOXES]

    def complain(self, what):
        with self.lock:
            self.wrong.append(what)

    def one_more(self):
        self.done.release()

    def wait_for(self, changes):
        for _ in range(changes):
            assert self.done.acquire(timeout=PATIENCE), 'nothing is changed any more' + '\n'.join(self.wrong)
            assert not self.wrong, '\n'.join(self.wrong)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f'{thread} hangs'

    def check(self):
        for thread in self.threads:
            thread.end()
        assert not self.wrong, '\n'.join(self.wrong)


@pytest.mark.parametrize('how', ['a role', 'everything'])
def test_what_got_its_ok_is_so(how):
    rng = random.Random(f'{SEED}-{how}')
    print(f'SEED={SEED}')
    with Pail() as pail:
        with Changes(pail, ('jill@hill.com', 'bob@hamburger.edu')) as changes:
            for _ in range(ROUNDS // 2):
                changes.wait_for(rng.randrange(1, 60))
                if how == 'a role':
                    kill_one(pail, rng)
                else:
                    kill_all(pail, rng)
            changes.wait_for(60)
        changes.check()
        pail.kill()
        pail.start('--set', 'workers=1')
        changes.check()
        pail.stop()
        assert not wrong(pail)
