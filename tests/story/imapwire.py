"""IMAP by hand: so that it is known which answer was heard, and which words went over the wire.

    w = Wire(pail.port(143)); w.login(who, password)
    status, code, told = w.command('APPEND A (\\Seen) ', Literal(text))     # told: untagged responses, parsed
"""
import re
import socket

from pail import PATIENCE


class Literal(bytes):
    """Sent as {n}, waiting for the go-ahead; as {n+} if it is `soon`."""
    soon = False


class Soon(Literal):
    soon = True


class Refused(Exception):
    """A tagged NO or BAD where OK was expected."""


TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^\s()"{]+(?:\[[^\]]*\](?:<\d+>)?)?))')


def parse(line):
    """A response as nested lists of bytes; NIL is None."""
    stack, at = [[]], 0
    while at < len(line):
        m = TOKEN.match(line, at)
        if not m:
            break
        at = m.end()
        if m.group(1):
            stack.append([])
        elif m.group(2):
            done = stack.pop()
            stack[-1].append(done)
        elif m.group(3) is not None:
            stack[-1].append(re.sub(rb'\\(.)', rb'\1', m.group(3)))
        elif m.group(4):
            n = int(m.group(4))
            stack[-1].append(line[at:at + n])
            at += n
        else:
            stack[-1].append(None if m.group(5).upper() == b'NIL' else m.group(5))
    return stack[0]


def numbers(text):
    """1:3,7 -> [1, 2, 3, 7]"""
    found = []
    for piece in text.split(','):
        first, _, last = piece.partition(':')
        found += range(int(first), int(last or first) + 1)
    return found


def as_set(uids):
    return ','.join(str(uid) for uid in sorted(uids))


class Wire:
    def __init__(self, port, address='127.0.0.1'):
        self.socket = socket.create_connection((address, port), timeout=PATIENCE)
        self.file = self.socket.makefile('rb')
        self.tags = 0
        self.told = []
        self.greeting = self.response()

    def close(self):
        self.socket.close()

    def response(self):
        """One, whole, literals included."""
        whole = b''
        while True:
            line = self.file.readline()
            if not line.endswith(b'\r\n'):
                raise ConnectionResetError
            whole += line
            literal = re.search(rb'\{(\d+)\}\r\n$', line)
            if not literal:
                return whole[:-2]
            text = self.file.read(int(literal.group(1)))
            if len(text) < int(literal.group(1)):
                raise ConnectionResetError
            whole += text

    def until(self, begin):
        """Untagged ones are kept; the first that begins so is given."""
        while True:
            line = self.response()
            if line.startswith(begin):
                return line
            if not line.startswith(b'* '):
                return line
            self.told.append(line[2:])

    def send(self, *pieces):
        """The command up to its end, or to the reply that refuses one of its literals."""
        self.tags += 1
        tag = b'a%d ' % self.tags
        gathered = tag
        for piece in pieces:
            if not isinstance(piece, Literal):
                gathered += piece.encode() if isinstance(piece, str) else piece
                continue
            gathered += b'{%d%s}\r\n' % (len(piece), b'+' if piece.soon else b'')
            if not piece.soon:
                self.socket.sendall(gathered)
                gathered = b''
                line = self.until(b'+')
                if not line.startswith(b'+'):
                    return tag, line
            gathered += piece
        self.socket.sendall(gathered + b'\r\n')
        return tag, None

    def pipeline(self, commands):
        """All at once, without waiting; then (status, response code) of each in turn."""
        tags = []
        for pieces in commands:
            self.tags += 1
            tags.append(b'a%d ' % self.tags)
        self.socket.sendall(b''.join(tag + b''.join(b'{%d+}\r\n%s' % (len(p), p) if isinstance(p, Literal) else p.encode() for p in pieces)
                                     + b'\r\n' for tag, pieces in zip(tags, commands)))
        for tag in tags:
            status, _, text = self.until(tag)[len(tag):].partition(b' ')
            code = re.match(rb'\[(.*?)\]', text)
            yield status.decode(), code.group(1).decode() if code else ''

    def command(self, *pieces):
        """(status, response code, untagged responses)"""
        self.told = []
        tag, line = self.send(*pieces)
        line = line or self.until(tag)
        status, _, text = line[len(tag):].partition(b' ')
        code = re.match(rb'\[(.*?)\]', text)
        self.said = text.decode('latin-1')
        return status.decode(), code.group(1).decode() if code else '', self.told

    def ok(self, *pieces):
        status, code, told = self.command(*pieces)
        if status != 'OK':
            raise Refused(f'{pieces}: {status} {self.said}')
        return code, told

    def login(self, who, password):
        return self.ok(f'LOGIN {who} {password}')

    def fetch(self, what):
        """{uid: {item: value}} of a FETCH that asks for UID too."""
        return fetched(self.ok(what)[1])


def fetched(told):
    found = {}
    for line in told:
        words = parse(line)
        if len(words) == 3 and words[1] == b'FETCH':
            items = dict(zip((w.decode().upper() for w in words[2][::2]), words[2][1::2]))
            if 'UID' in items:
                found.setdefault(int(items['UID']), {}).update(items)
    return found
