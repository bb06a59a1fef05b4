"""Senders and readers that keep a ledger, so that after any disaster it can be said what must be there.

    ledger = Ledger(people)
    with Load(pail, ledger):        # senders and readers run; they put up with connections that break
        ...kill something...
    ledger.check(pail)              # every letter that got its 250 is there exactly once, nothing deleted is back
"""
import poplib
import random
import re
import socket
import threading
import time

from pail import PATIENCE, PEOPLE, until

SIZES = (100, 1500, 20000, 70000, 300000)   # below and above what is kept in a row, in one frame, in several
BROKEN = (OSError, EOFError)


def broke(e):
    """poplib's name for a connection that ended."""
    return e.args[0] == '-ERR EOF'


def for_now(e):
    return broke(e) or b'[SYS/TEMP]' in e.args[0]


def text_of(name):
    """The letter of that name, always the same; lines that begin with dots among them."""
    rng = random.Random(name)
    size = rng.choice(SIZES)
    lines = [f'Message-ID: <{name}@story>', f'Subject: {name}', '']
    while size > 0:
        line = ('.' * rng.randrange(3) if rng.random() < 0.1 else '') + rng.randbytes(rng.randrange(36)).hex()
        lines.append(line)
        size -= len(line) + 2
    return ''.join(line + '\r\n' for line in lines).encode()


def numbers_and_uids(p):
    """What another session removed has a number all the same, and no line."""
    return [(int(number), uid) for number, uid in (line.decode().split() for line in p.uidl()[1])]


class Ledger:
    def __init__(self, people=tuple(PEOPLE)):
        self.lock = threading.Lock()
        self.people = list(people)
        self.accepted = {}      # name: recipients that were told 250
        self.unknown = {}       # name: recipients; the answer never came
        self.refused = set()    # names that were told no, or never ended
        self.deleted = {who: set() for who in people}       # uids whose QUIT was answered +OK
        self.perhaps = {who: set() for who in people}       # uids whose QUIT was not answered
        self.uids = {who: {} for who in people}             # uid: name
        self.wrong = []
        self.next = 0

    def complain(self, what):
        with self.lock:
            self.wrong.append(what)

    def new_name(self):
        with self.lock:
            self.next += 1
            return f'letter-{self.next}'

    def saw(self, who, uid, text):
        """A letter was read: it must be whole, and its uid must never have been another's."""
        found = re.search(rb'^Message-ID: <([a-z0-9-]+)@story>\r$', text, re.M)
        if not found:
            return              # one of the lecture's
        name = found.group(1).decode()
        if not text.startswith(b'Return-Path: <jack@town.com>\r\nReceived: ') or not text.endswith(text_of(name)):
            whole = text_of(name)
            begin = text.find(whole[:20])
            same = next((i for i, (a, b) in enumerate(zip(text[begin:], whole)) if a != b), len(text) - begin)
            self.complain(f'{name} of {who} is not whole: {len(text)} bytes, the first {same} of {len(whole)} right')
        with self.lock:
            before = self.uids[who].setdefault(uid, name)
        if before != name:
            self.complain(f'uid {uid} of {who} was {before} and is now {name}')

    def listed(self, who, uids, deleted_before):
        back = deleted_before & set(uids)
        if back:
            self.complain(f'{who}: deleted and there again: {sorted(self.uids[who].get(u, u) for u in back)}')
        if len(set(uids)) != len(uids):
            self.complain(f'{who}: a uid twice')

    def holds(self, pail, who):
        """All names in the mailbox, each letter read and looked at."""
        p = pail.pop3(who)
        listed = numbers_and_uids(p)
        self.listed(who, [uid for _, uid in listed], self.deleted[who])
        names = []
        for number, uid in listed:
            text = b'\r\n'.join(p.retr(number)[1]) + b'\r\n'
            self.saw(who, uid, text)
            if uid in self.uids[who]:
                names.append(self.uids[who][uid])
        p.quit()
        return names

    def due(self, who):
        """Names that must be there: accepted, and not deleted by anybody."""
        gone = {self.uids[who].get(uid) for uid in self.deleted[who] | self.perhaps[who]}
        return {name for name, to in self.accepted.items() if who in to} - gone

    def filed(self, pail, who):
        """What is there once all that was accepted is; or, after PATIENCE, what is there. Counting would not do: a letter that was perhaps
        deleted, or whose answer was not heard, makes up for one that is still on its way."""
        end = time.monotonic() + PATIENCE
        while True:
            names = self.holds(pail, who)
            if self.due(who) <= set(names) or time.monotonic() > end:
                return names
            time.sleep(0.02)

    def check(self, pail):
        """Nobody sends or reads any more. Filing may take its time; then all must be right."""
        until('the keeper is back', lambda: pail.signs_in(next(iter(self.people))))
        for who in self.people:
            names = self.filed(pail, who)
            due, here = self.due(who), set(names)
            possible = due | {name for name, to in self.unknown.items() if who in to}
            possible |= {self.uids[who].get(uid) for uid in self.perhaps[who]}
            for what, list_ in (('lost', due - here), ('twice', {n for n in names if names.count(n) > 1}),
                                ('never accepted', here & self.refused), ('not expected', here - possible)):
                if list_:
                    self.complain(f'{who}: {what}: {sorted(list_)}')
        assert not self.wrong, '\n'.join(self.wrong)

    def counts(self):
        return f'{len(self.accepted)} accepted, {len(self.unknown)} unknown, {len(self.refused)} refused, ' \
               f'{sum(map(len, self.deleted.values()))} deleted, {sum(map(len, self.perhaps.values()))} perhaps'


class Sender(threading.Thread):
    """SMTP by hand, so that it is known which answer was heard."""

    def __init__(self, load, seed):
        super().__init__(daemon=True)
        self.load, self.rng = load, random.Random(seed)

    def run(self):
        while not self.load.over.is_set():
            try:
                self.connection()
            except BROKEN:
                time.sleep(0.02)

    def connection(self):
        with socket.create_connection(('127.0.0.1', self.load.pail.port(25)), timeout=PATIENCE) as s:
            self.socket, self.file = s, s.makefile('rb')
            self.expect(b'220')
            self.say('EHLO town.com')
            for _ in range(self.rng.randrange(1, 20)):
                if self.load.over.is_set():
                    return
                self.letter()

    def expect(self, code):
        """The last line of a reply; OSError when the connection ends or the code is another."""
        while True:
            line = self.file.readline()
            if not line.endswith(b'\n'):
                raise ConnectionResetError
            if line[3:4] != b'-':
                break
        if code and not line.startswith(code):
            raise ConnectionAbortedError(line)
        return line

    def say(self, line, code=b'250'):
        self.socket.sendall(line.encode() + b'\r\n')
        return self.expect(code)

    def letter(self):
        ledger, name = self.load.ledger, self.load.ledger.new_name()
        to = self.rng.sample(ledger.people, self.rng.randrange(1, 4))
        ended = False
        try:
            self.say('MAIL FROM:<jack@town.com>')
            for who in to:
                self.say(f'RCPT TO:<{who}>')
            self.say('DATA', b'354')
            stuffed = re.sub(rb'^\.', b'..', text_of(name), flags=re.M)
            half = len(stuffed) // 2
            self.socket.sendall(stuffed[:half])
            self.socket.sendall(stuffed[half:])
            ended = True
            self.socket.sendall(b'.\r\n')
            answer = self.expect(None)
        except BROKEN:
            if ended:
                ledger.unknown[name] = set(to)
            else:
                ledger.refused.add(name)
            raise
        if answer.startswith(b'250'):
            ledger.accepted[name] = set(to)
            self.load.one_more()
        else:
            ledger.refused.add(name)


class Reader(threading.Thread):
    """Reads some letters of somebody, deletes some of them."""

    def __init__(self, load, seed):
        super().__init__(daemon=True)
        self.load, self.rng = load, random.Random(seed)

    def run(self):
        while not self.load.over.is_set():
            try:
                self.session(self.rng.choice(self.load.ledger.people))
            except BROKEN:
                time.sleep(0.02)
            except poplib.error_proto as e:     # a sign-in while the keeper starts
                if not for_now(e):
                    self.load.ledger.complain(f'POP3: {e}')
                time.sleep(0.02)

    def session(self, who):
        ledger = self.load.ledger
        with ledger.lock:
            deleted_before = set(ledger.deleted[who])
        p = self.load.pail.pop3(who)
        listed = numbers_and_uids(p)
        ledger.listed(who, [uid for _, uid in listed], deleted_before)
        chosen = self.rng.sample(listed, min(len(listed), 12))
        marked = set()
        for number, uid in chosen:
            try:
                ledger.saw(who, uid, b'\r\n'.join(p.retr(number)[1]) + b'\r\n')
                if uid in ledger.uids[who] and self.rng.random() < 0.5:
                    p.dele(number)
                    marked.add(uid)
            except poplib.error_proto as e:     # another session removed it meanwhile
                if broke(e):
                    raise
                with ledger.lock:
                    known = uid in ledger.deleted[who] or uid in ledger.perhaps[who]
                if not known and not for_now(e):
                    ledger.complain(f'{who}: {uid}: {e}')
        with ledger.lock:
            ledger.perhaps[who] |= marked
        p.quit()
        with ledger.lock:
            ledger.deleted[who] |= marked
            ledger.perhaps[who] -= marked


class Load:
    def __init__(self, pail, ledger, seed=0, senders=4, readers=2):
        self.pail, self.ledger = pail, ledger
        self.over = threading.Event()
        self.accepted = threading.Semaphore(0)
        self.threads = [Sender(self, f'{seed}-s{i}') for i in range(senders)]
        self.threads += [Reader(self, f'{seed}-r{i}') for i in range(readers)]

    def one_more(self):
        self.accepted.release()

    def wait_for(self, letters):
        """Until so many more were accepted."""
        for _ in range(letters):
            assert self.accepted.acquire(timeout=PATIENCE), 'no letter is accepted any more'
            assert not self.ledger.wrong, '\n'.join(self.ledger.wrong)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f'{thread} hangs'
