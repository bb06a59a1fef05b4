"""An IMAP client that believes every word: what it was told is all it knows. Compared with the truth at the end, it shows
whether sequence numbers, UIDs, flags and modseqs were told right to each of several sessions in one mailbox."""
import re
import socket

PATIENCE = 60
FETCH = re.compile(r'\* (\d+) (UID)?FETCH \((.*)\)$')


def numbers(text):
    """'1:3,7' -> {1, 2, 3, 7}"""
    found = set()
    for part in text.split(','):
        first, _, last = part.partition(':')
        found.update(range(int(first), int(last or first) + 1))
    return found


def runs(values):
    """The other way."""
    out, values = [], sorted(values)
    for v in values:
        if out and out[-1][1] == v - 1:
            out[-1][1] = v
        else:
            out.append([v, v])
    return ','.join(str(a) if a == b else f'{a}:{b}' for a, b in out)


class View:
    """letters: what lies at each sequence number, a uid or None while that is not known; flags: by uid."""

    def __init__(self, port, user, password, *enable, address='127.0.0.1'):
        self.where = (address, port)
        self.user, self.password, self.enable = user, password, enable
        self.qresync = 'QRESYNC' in enable
        self.uidonly = 'UIDONLY' in enable
        self.letters, self.flags = [], {}
        self.uidvalidity = self.highest = None
        self.events, self.tags = [], 0
        self.connect()

    # --- the wire

    def connect(self):
        self.socket = socket.create_connection(self.where, PATIENCE)
        self.file = self.socket.makefile('rb')
        assert self.line().startswith('* OK')
        self.command(f'LOGIN {self.user} {self.password}')
        for word in self.enable:
            self.command(f'ENABLE {word}')

    def line(self):
        line = self.file.readline()
        assert line.endswith(b'\r\n'), f'cut off: {line!r}'
        return line[:-2].decode()

    def send(self, text):
        self.tags += 1
        self.socket.sendall(f't{self.tags} {text}\r\n'.encode())
        return f't{self.tags}'

    def finish(self, tag, command):
        """Takes all up to the tagged reply; gives that without its tag."""
        self.seen_highest, self.seen_modseq, self.resyncing = None, 0, command.startswith(('SELECT', 'EXAMINE'))
        verb = command.split()[0]
        while True:
            line = self.line()
            if line.startswith(tag + ' '):
                break
            assert line.startswith('* '), f'{command}: {line}'
            self.untagged(line, verb)
        self.code(line.partition(' ')[2].partition(' ')[2])
        self.tagged()
        return line.partition(' ')[2]

    def command(self, text, ok=True):
        reply = self.finish(self.send(text), text)
        assert not ok or reply.startswith('OK'), f'{text}: {reply}'
        return reply

    # --- what is told

    def code(self, text):
        found = re.match(r'\[(\w+) (\d+)\]', text)
        if found and found[1] == 'HIGHESTMODSEQ':
            self.seen_highest = int(found[2])
        if found and found[1] == 'UIDVALIDITY':
            assert self.uidvalidity in (None, int(found[2]))
            self.uidvalidity = int(found[2])

    def untagged(self, line, verb):
        self.events.append(line)
        words = line.split(' ', 3)
        fetch = FETCH.match(line)
        if words[1] in ('OK', 'NO', 'BAD', 'BYE'):
            assert words[1] != 'BYE', line
            self.code(line.split(' ', 2)[2])
        elif words[1] == 'VANISHED':
            self.vanished(words, verb)
        elif fetch:
            self.fetched(fetch)
        elif len(words) > 2 and words[2] == 'EXISTS':
            self.exists(int(words[1]))
        elif len(words) > 2 and words[2] == 'EXPUNGE':
            assert not self.qresync and not self.uidonly, line
            assert verb not in ('FETCH', 'STORE', 'SEARCH'), f'{line} during {verb}'
            uid = self.letters.pop(int(words[1]) - 1)
            self.flags.pop(uid, None)

    def exists(self, n):
        if self.resyncing:      # the letters known before are looked up when VANISHED (EARLIER) and FETCH have come
            self.count = n
            return
        assert n >= len(self.letters), f'{n} EXISTS after {len(self.letters)}'
        self.letters += [None] * (n - len(self.letters))

    def vanished(self, words, verb):
        assert self.qresync or self.uidonly
        earlier = words[2] == '(EARLIER)'
        assert earlier == self.resyncing
        uids = numbers(words[3] if earlier else words[2])
        if not earlier:
            assert verb not in ('FETCH', 'STORE', 'SEARCH'), f'{words} during {verb}'
            unknown = uids - {u for u in self.letters if u}
            for uid in sorted(unknown):     # one that was announced by EXISTS, and never asked for: it stands somewhere there
                self.forget_unknown(uid)
        self.letters = [u for u in self.letters if u not in uids]
        for uid in uids:
            self.flags.pop(uid, None)

    def holes(self, uid):
        """Where a letter may stand that has this uid, of those that are only numbers yet."""
        low = max([i for i, u in enumerate(self.letters) if u and u < uid], default=-1)
        high = min([i for i, u in enumerate(self.letters) if u and u > uid], default=len(self.letters))
        if self.uidonly:        # no numbers: those that are not known come last
            low, high = -1, len(self.letters)
        found = [i for i in range(low + 1, high) if self.letters[i] is None]
        assert found, f'{uid} was never announced: {self.letters}'
        return found

    def forget_unknown(self, uid):
        del self.letters[self.holes(uid)[0]]

    def place_unknown(self, uid):
        self.letters[self.holes(uid)[0]] = uid
        self.letters.sort(key=lambda u: u or 2 ** 32)

    def fetched(self, found):
        items = found[3]
        uid = re.search(r'UID (\d+)', items)
        flags = re.search(r'FLAGS \(([^)]*)\)', items)
        modseq = re.search(r'MODSEQ \((\d+)\)', items)
        if found[2]:
            uid = int(found[1])
            if not self.resyncing and uid not in self.letters:
                self.place_unknown(uid)
        else:
            assert not self.uidonly, found[0]
            at = int(found[1]) - 1
            uid = int(uid[1]) if uid else None
            if self.resyncing:
                self.placed[uid] = at
            else:
                assert at < len(self.letters), f'{found[0]}: there are {len(self.letters)}'
                if uid:
                    assert self.letters[at] in (None, uid), f'{found[0]}: number {at + 1} was {self.letters[at]}'
                    self.letters[at] = uid
                uid = self.letters[at]
        if flags and uid:
            self.flags[uid] = frozenset(flags[1].split()) - {'\\Recent'}
        if modseq:
            self.seen_modseq = max(self.seen_modseq, int(modseq[1]))

    def tagged(self):
        """RFC 7162 §6: how a client knows up to where it knows."""
        if self.seen_highest is not None:
            self.highest = self.seen_highest
        elif self.highest is not None:
            self.highest = max(self.highest, self.seen_modseq)

    # --- what a person does

    def select(self, mailbox='INBOX', known=False):
        """Forgets all and looks anew, or with QRESYNC keeps what it has."""
        self.placed, self.count, self.mailbox = {}, 0, mailbox
        if not self.qresync or self.highest is None or self.uidvalidity is None:
            self.letters, self.flags, self.highest = [], {}, None
            self.command(f'SELECT {mailbox}')
            self.letters = [None] * self.count
            if self.highest is None:
                self.highest = self.seen_highest
            self.learn()
            return
        whole = all(u in self.flags for u in self.letters)
        self.letters = [u for u in self.letters if u in self.flags]
        uids = f' {runs(self.letters)}' if known and self.letters else ''
        before = set(self.letters)
        self.command(f'SELECT {mailbox} (QRESYNC ({self.uidvalidity} {self.highest}{uids}))')
        told = set(self.letters) | set(self.placed)
        if uids:        # only of those was anything told; the new ones are behind them, or between
            assert set(self.placed) <= before
            self.letters = [None] * self.count
            self.learn()
            return
        self.letters = sorted(told)
        if not whole:   # of those that it knew by number only it may have been told before: they are no news
            self.letters = [None] * self.count
            self.learn()
            missing = {u for u in told if u in self.flags} - set(self.letters)
            assert not missing, f'told of {missing}, but there is {self.letters}'
            return
        assert len(self.letters) == self.count, f'{self.count} EXISTS, but told of {self.letters}'
        for uid, at in self.placed.items():
            assert self.letters[at] == uid

    def learn(self):
        """The uids and flags of those that are only numbers yet."""
        while self.uidonly and None in self.letters:
            self.command('UID FETCH 1:* (FLAGS)', ok=False)
            self.command('NOOP')
        while None in self.letters:
            at = self.letters.index(None) + 1
            self.command(f'FETCH {at}:* (UID FLAGS)', ok=False)
            if at <= len(self.letters) and self.letters[at - 1] is None:    # gone, and not told yet
                self.command('NOOP')

    def append(self, *flags, text='Subject: x\r\n\r\nx\r\n'):
        tag = self.send(f'APPEND {self.mailbox} ({" ".join(flags)}) {{{len(text)}+}}\r\n{text}')
        return self.finish(tag, 'APPEND')

    def idle_done(self):
        tag = self.send('IDLE')
        while True:
            line = self.line()
            if line.startswith('+'):
                break
            self.untagged(line, 'IDLE')
        self.resyncing, self.seen_highest, self.seen_modseq = False, None, 0
        self.socket.sendall(b'DONE\r\n')
        return self.finish(tag, 'IDLE')

    def drop(self):
        self.file.close()
        self.socket.close()

    def again(self, known=False):
        self.connect()
        self.select(self.mailbox, known)

    def view(self):
        self.command('NOOP')
        self.learn()
        self.command('NOOP')
        self.learn()
        return [(u, self.flags.get(u)) for u in self.letters]
