"""kill -9 while letters are filed whose sender wants to be told (NOTIFY=SUCCESS): of each that got its 250 he is told, and only once, but for
what SMTP itself doubles when the power goes between a letter and its answer."""
import os
import random
import re
import signal
import smtplib
import threading
from collections import Counter

from pail import Pail, subjects, until

KILLS, EACH, THREADS = 6, 12, 3
CONNECTIONS = 5         # sender-connections-per-domain; a kill doubles at most one letter each


class Writers:
    """Letters to two people, whose accounts lie in different processes, and to an alias of both."""

    def __init__(self, pail):
        self.pail, self.good, self.number, self.lock, self.over = pail, [], 0, threading.Lock(), False
        self.threads = [threading.Thread(target=self.write, daemon=True) for _ in range(THREADS)]
        for t in self.threads:
            t.start()

    def write(self):
        while not self.over:
            try:
                with self.pail.smtp() as s:
                    s.ehlo()
                    while not self.over:
                        self.one(s)
            except (OSError, smtplib.SMTPException):
                pass

    def one(self, s):
        with self.lock:
            self.number += 1
            subject = f'told {self.number}'
        s.mail('jack@town.com', ['ENVID=' + subject.replace(' ', '')])
        for to in 'jill@hill.com', 'bob@hamburger.edu', 'both@hill.com':
            if s.rcpt(to, ['NOTIFY=SUCCESS'])[0] != 250:
                raise smtplib.SMTPException
        if s.data(f'From: jack@town.com\r\nSubject: {subject}\r\n\r\n' + 'x' * random.choice((10, 5000, 90000)) + '\r\n')[0] == 250:
            with self.lock:
                self.good.append(subject)

    def wait_for(self, more):
        want = len(self.good) + more
        until('letters are accepted', lambda: len(self.good) >= want)

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()


def test_told_once():
    settings = {'segment-size': '64k', 'settle-after': 1, 'workers': 2, 'retry-first': '1s', 'retry-most': '1s'}
    with Pail(settings=settings) as pail:
        pail.verb('alias', 'add', 'both@hill.com', 'jill@hill.com', 'bob@hamburger.edu')
        writers = Writers(pail)
        for turn in range(KILLS):
            writers.wait_for(EACH)
            if turn % 2:
                role = random.choice(sorted(r for r in pail.roles() if r != 'keeper'))
                before = pail.roles()[role]
                os.kill(before, signal.SIGKILL)
                pail.restarted(role, before)
            else:
                pail.kill()
                pail.start()
        writers.wait_for(EACH)
        writers.end()

        def told():
            found, made = Counter(), {}
            for text in pail.letters('jack@town.com'):
                if b'Subject: Delivered mail: your receipt' in text:
                    assert text.count(b'\r\nAction: delivered\r\n') == 2 and text.count(b'\r\nAction: expanded\r\n') == 1
                    letter = re.search(rb'^Original-Envelope-Id: (told\d+)\r$', text, re.M).group(1).decode()
                    message_id = re.search(rb'^Message-ID: (.*)\r$', text, re.M).group(1)
                    assert made.setdefault(letter, message_id) == message_id    # made once, though it may have come twice
                    found[letter] += 1
            return found
        until('all are told of', lambda: not {s.replace(' ', '') for s in writers.good} - set(told()))
        until('the queue is empty', lambda: '@' not in pail.verb('queue').stdout)
        found = told()
        there = Counter(subjects(t for t in pail.letters('jill@hill.com') if b'\nSubject: told ' in t))
        assert set(found) == {s.replace(' ', '') for s in there}      # nothing is told that did not come
        doubles = sum(found.values()) - len(found)
        print(f'{len(writers.good)} accepted, {len(there)} filed, {len(found)} told of, {doubles} twice')
        assert set(there.values()) == {1} and doubles <= KILLS * CONNECTIONS
