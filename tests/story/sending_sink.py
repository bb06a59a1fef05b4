"""An SMTP (or LMTP) server that does what a story wants: any reply at any point, no extension or all, TLS with any certificate; it drops, stalls and
drips. It keeps what it was given."""
import itertools
import random
import re
import socket
import ssl
import threading

from pail import until

ALL = ('PIPELINING', 'SIZE 104857600', '8BITMIME', 'CHUNKING', 'ENHANCEDSTATUSCODES', 'DSN', 'SMTPUTF8')
DROP = 'drop'       # closes the connection
STALL = 'stall'     # says nothing more, until the sink ends


class Letter:
    def __init__(self, session, sender, parameters, recipients, text):
        self.connection, self.tls, self.sender, self.parameters = session.number, session.tls, sender, parameters
        self.recipients, self.text = recipients, text       # recipients: [(address, parameters)]

    @property
    def to(self):
        return [address for address, _ in self.recipients]

    def subject(self):
        return re.search(rb'^Subject: (.*?)\r$', self.text, re.M).group(1).decode()


class Ended(Exception):
    pass


class Session:
    def __init__(self, sink, connection, number):
        self.sink, self.connection, self.number = sink, connection, number
        self.tls, self.heard, self.helo = None, [], None
        self.file = connection.makefile('rb')

    def say(self, text, stage):
        """True: the usual thing was said (or nothing was to be said)."""
        other = self.sink.answer(stage, self) if self.sink.answer else None
        if other == DROP:
            raise Ended
        if other == STALL:
            self.sink.ended.wait()
            raise Ended
        wire = (other or text) + '\r\n'
        if self.sink.drip:
            for byte in wire.encode():
                self.connection.sendall(bytes([byte]))
                if self.sink.ended.wait(self.sink.drip):
                    raise Ended
        else:
            self.connection.sendall(wire.encode('utf-8', 'surrogateescape'))
        return not other

    def hang_up(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def line(self):
        line = self.file.readline()
        if not line.endswith(b'\n'):
            raise Ended
        return line

    def run(self):
        sender = parameters = None
        recipients, text = [], b''
        self.say(f'220 {self.sink.name} ready', 'connect')
        while True:
            line = self.line().rstrip(b'\r\n').decode('utf-8', 'surrogateescape')
            self.heard.append(line)
            verb, _, rest = line.partition(' ')
            verb = verb.upper()
            if verb in ('EHLO', 'LHLO', 'HELO'):
                self.helo = rest
                words = [] if verb == 'HELO' else [w for w in self.sink.extensions if not (self.tls and w == 'STARTTLS')]
                lines = [self.sink.name, *words]
                self.say('\r\n'.join(f'250{"-" if i < len(lines) - 1 else " "}{w}' for i, w in enumerate(lines)), verb.lower())
            elif verb == 'STARTTLS':
                if self.say('220 go ahead', 'starttls'):
                    if self.sink.broken_tls:
                        self.connection.sendall(b'this is no TLS at all\r\n' * 10)
                        raise Ended
                    self.connection = self.sink.context.wrap_socket(self.connection, server_side=True)
                    self.file = self.connection.makefile('rb')
                    self.tls = self.connection.version()
            elif verb == 'MAIL':
                found = re.fullmatch(r'FROM:<([^>]*)> ?(.*)', rest, re.I)
                if self.say('250 2.1.0 Ok', 'mail'):
                    sender, parameters = found.groups()
                    recipients, text = [], b''
            elif verb == 'RCPT':
                found = re.fullmatch(r'TO:<([^>]*)> ?(.*)', rest, re.I)
                if self.say('250 2.1.5 Ok', 'rcpt'):
                    recipients.append(found.groups())
            elif verb == 'DATA':
                if not recipients:
                    self.say('503 5.5.1 nobody to send it to', 'refused')
                    continue
                if not self.say('354 go ahead', 'data'):
                    continue
                lines = []
                while (got := self.line()) != b'.\r\n':
                    lines.append(got[1:] if got.startswith(b'.') else got)
                self.finish(sender, parameters, recipients, b''.join(lines))
                recipients = []
            elif verb == 'BDAT':
                size, last = re.fullmatch(r'(\d+)( LAST)?', rest, re.I).groups()
                got = self.file.read(int(size))
                if len(got) < int(size):
                    raise Ended
                if not recipients:
                    self.say('503 5.5.1 nobody to send it to', 'refused')
                    continue
                text += got
                if last:
                    self.finish(sender, parameters, recipients, text)
                    recipients = []
                else:
                    self.say('250 2.0.0 Ok', 'bdat')
            elif verb == 'RSET':
                sender, recipients = None, []
                self.say('250 2.0.0 Ok', 'rset')
            elif verb == 'QUIT':
                self.say('221 2.0.0 bye', 'quit')
                raise Ended
            elif verb == 'AUTH':
                self.say('235 2.7.0 you are', 'auth')
            elif verb in ('ETRN', 'ATRN', 'NOOP'):
                self.say('250 2.0.0 Ok', verb.lower())
            else:
                self.say('500 5.5.1 what?', 'unknown')

    def finish(self, sender, parameters, recipients, text):
        if self.sink.seconds_a_letter and self.sink.ended.wait(self.sink.seconds_a_letter):
            raise Ended
        letter = Letter(self, sender, parameters, recipients, text)
        self.letter = letter
        for _ in recipients if self.sink.lmtp else (1,):
            if self.say('250 2.0.0 taken', 'text'):
                with self.sink.lock:
                    if letter not in self.sink.letters:
                        self.sink.letters.append(letter)


class Sink:
    """with Sink(host) as s: a letter to s.address, port 25, stands in s.letters. answer(stage, session): None, or what to say in place of
    the usual reply: connect, ehlo, helo, starttls, mail, rcpt, data, text, bdat, quit."""

    def __init__(self, host, address=None, port=25, name='sink.example', extensions=ALL, certificate=None, context=None, broken_tls=False,
                 answer=None, drip=0, seconds_a_letter=0, lmtp=False):
        self.host, self.address, self.port, self.name, self.answer = host, address or host.another(), port, name, answer
        self.extensions, self.drip, self.seconds_a_letter, self.lmtp = list(extensions), drip, seconds_a_letter, lmtp
        self.broken_tls = broken_tls
        self.context = context or (certificate.context() if certificate else None)
        if self.context or broken_tls:
            self.extensions.append('STARTTLS')
        self.letters, self.sessions, self.open, self.most = [], [], 0, 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.numbers = itertools.count(1)
        self.listening = None

    def __enter__(self):
        family = socket.AF_INET6 if ':' in self.address else socket.AF_INET
        with self.host:
            self.listening = socket.socket(family)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((self.address, self.port))
        self.listening.listen(1000)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        session = Session(self, connection, next(self.numbers))
        with self.lock:
            self.sessions.append(session)
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            session.run()
        except (Ended, OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self.lock:
                self.open -= 1
            for end in (lambda: session.connection.shutdown(socket.SHUT_RDWR), session.file.close, session.connection.close):
                try:
                    end()
                except (OSError, ValueError):
                    pass

    def __exit__(self, *_):
        self.ended.set()
        try:
            self.listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listening.close()
        for session in self.sessions:
            session.hang_up()

    def wait(self, n=1):
        return until(f'{n} letters at {self.name}, has {len(self.letters)}', lambda: len(self.letters) >= n and self.letters)

    def said(self, verb):
        """All lines with that verb it was told."""
        return [line for s in self.sessions for line in s.heard if line.upper().startswith(verb)]


def by_share(**shares):
    """An answer that says 4xx, 5xx, or drops, for that share of letters: by_share(four=0.2, five=0.1, drop=0.1)."""
    like = random.Random(7)

    def answer(stage, session):
        if stage != 'text':
            return None
        chance = like.random()
        for what, text in (('four', '451 4.3.0 not now'), ('five', '554 5.6.0 never'), ('drop', DROP)):
            chance -= shares.get(what, 0)
            if chance < 0:
                return text
        return None
    return answer


class Silence:
    """Takes no connection: a full queue of those that nobody accepts, so that connecting times out."""

    def __init__(self, host, address, port=25):
        self.address = address
        with host:
            self.socket = socket.socket()
            self.socket.bind((address, port))
            self.socket.listen(0)
            self.fill = []
            for _ in range(4):
                s = socket.socket()
                s.setblocking(False)
                try:
                    s.connect((address, port))
                except BlockingIOError:
                    pass
                self.fill.append(s)

    def close(self):
        for s in (*self.fill, self.socket):
            s.close()
