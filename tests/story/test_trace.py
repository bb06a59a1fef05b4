"""pail trace: what happened to a letter, in order."""
import datetime
import os
import re
import smtplib

from pail import PATIENCE, until
from test_six_steps import events, trace, traced


def send(p, message_id, to, sender='jack@town.com', text='hello'):
    with p.smtp() as s:
        s.sendmail(sender, to, f'Subject: x\r\nMessage-ID: {message_id}\r\n\r\n{text}\r\n')


def test_where_it_was_filed(demo):
    send(demo, '<filed@town.com>', ['jill@hill.com', 'bob@hamburger.edu'])
    lines = traced(demo, '<filed@town.com>', 'accepted', 'filed')
    lines = until('both are filed', lambda: (lambda x: x if events(x).count('filed') == 2 else None)(trace(demo, '<filed@town.com>')))
    assert events(lines) == ['accepted', 'filed', 'filed']
    assert lines[0]['from'] == '<jack@town.com>' and lines[0]['peer'] == '127.0.0.1' and lines[0]['message-id'] == '<filed@town.com>'
    assert sorted(lines[0]['file']) == ['bob@hamburger.edu', 'jill@hill.com']
    assert sorted(line['account'] for line in lines[1:]) == ['bob@hamburger.edu', 'jill@hill.com']
    text = until('jill has it', lambda: [t for t in demo.letters('jill@hill.com') if b'filed@town.com' in t])[0].decode()
    assert {line['letter'] for line in lines} == {re.search(r'\bid (\w+\.\d+)', text)[1]}
    assert trace(demo, lines[0]['letter']) == lines     # by what stands in Received


def test_by_address_and_by_number(demo):
    with demo.smtp(port=587) as s:
        s.login('jack@town.com', 'crown')
        s.sendmail('jack@town.com', ['far@trace.example'], 'Subject: x\r\n\r\nhello\r\n')
    lines = traced(demo, 'far@Trace.Example', 'accepted', 'held')
    assert events(lines) == ['accepted', 'held'] and lines[1]['answer'].startswith('no route leads there')
    assert lines[0]['user'] == 'jack@town.com' and re.fullmatch(r'<\S+@\S+>', lines[0]['message-id'])   # ours: it had none
    assert trace(demo, lines[1]['queue']) == lines
    text = demo.verb('trace', 'far@trace.example').stdout.splitlines()
    assert text[0].startswith(lines[0]['letter']) and 'accepted from <jack@town.com>' in text[1] and 'held' in text[2]


def test_a_refused_one(demo):
    with demo.smtp() as s:
        s.ehlo()
        s.mail('mallory@trace-refused.example')
        assert s.rcpt('nobody@hill.com')[0] == 550
        assert s.rcpt('far@away.example')[0] == 550
    lines = until('both are there', lambda: (lambda x: x if len(x) == 2 else None)(trace(demo, 'mallory@trace-refused.example')))
    assert events(lines) == ['refused', 'refused'] and 'User unknown' in lines[0]['answer'] and 'Relaying denied' in lines[1]['answer']


def test_nothing_can_be_smuggled_into_it(demo):
    """What strangers say is quoted: a line stays a line, a key stays theirs."""
    with smtplib.SMTP('127.0.0.1', demo.port(25), timeout=PATIENCE) as s:
        s.docmd('EHLO', 'laptop')
        s.docmd('MAIL', 'FROM:<"a event=filed account=jill"@quoted.example>')
        assert s.docmd('RCPT', 'TO:<jill@hill.com>')[0] == 250
        s.docmd('DATA')
        s.send('Message-ID: <smuggled@quoted.example>\r\n\t event=sent letter=other\r\n\r\nhello\r\n.\r\n')
        assert s.getreply()[0] == 250
    lines = traced(demo, 'smuggled@quoted.example', 'accepted', 'filed')
    assert events(lines) == ['accepted', 'filed'] and lines[0]['event'] == 'accepted'
    assert 'event=sent letter=other' in lines[0]['message-id']


def test_since_and_nothing(demo):
    send(demo, '<since@town.com>', ['jill@hill.com'])
    traced(demo, '<since@town.com>', 'accepted', 'filed')
    day = (datetime.datetime.now() + datetime.timedelta(days=2)).strftime('%Y-%m-%d')
    assert demo.verb('trace', '<since@town.com>', '--since', '1h').stdout
    done = demo.verb('trace', '<since@town.com>', '--since', day, check=False)
    assert done.returncode == 66 and 'nothing is known of it' in done.stderr
    assert demo.verb('trace', 'x', '--since', 'yesterday', check=False).returncode == 64
    assert demo.verb('trace', check=False).returncode == 64


def test_it_survives_a_restart_and_a_kill(pail):
    send(pail, '<one@town.com>', ['jill@hill.com'])
    pail.stop()     # what was gathered is written
    assert events(trace(pail, '<one@town.com>')) == ['accepted', 'filed']
    pail.start()
    send(pail, '<two@town.com>', ['jill@hill.com'])
    traced(pail, '<two@town.com>', 'accepted', 'filed')
    pail.kill()
    assert events(trace(pail, '<two@town.com>')) == ['accepted', 'filed']
    for name in os.listdir(f'{pail.folder}/history'):
        assert re.fullmatch(r'\d{8}\.(mail\.\d+|sender)', name)
    pail.start()
