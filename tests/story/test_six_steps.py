"""The lectures' six steps on one laptop: alice's agent, her server's queue, the SMTP client, bob's server, bob's mailbox, bob's agent;
seen by `pail queue` and `pail trace`."""
import json
import re
import smtplib

import pytest

from pail import PATIENCE, Pail, until

LETTER = ('From: alice@crepes.fr\r\nTo: bob@hamburger.edu\r\nSubject: Do you like ketchup?\r\n'
          'Message-ID: <ketchup@crepes.fr>\r\n\r\nHow about pickles?\r\n')


@pytest.fixture
def two():
    """Her server runs, his does not yet; each knows only where the other one is."""
    his = Pail('--domains', 'hamburger.edu')
    hers = Pail('--domains', 'crepes.fr', '--route', f'hamburger.edu=127.0.0.4:{his.port(25)}')
    while abs(his.base - hers.base) < 1000:
        hers = Pail('--domains', 'crepes.fr', '--route', f'hamburger.edu=127.0.0.4:{his.port(25)}')
    his.options += ['--route', f'crepes.fr=127.0.0.3:{hers.port(25)}']
    with hers:
        try:
            yield hers, his
        finally:
            his.__exit__(None, None, None)


def agent_sends(hers, to, text=LETTER):
    with smtplib.SMTP('127.0.0.1', hers.port(587), local_hostname='laptop', timeout=PATIENCE) as s:
        s.login('alice@crepes.fr', 'rabbit')
        s.sendmail('alice@crepes.fr', to, text)


def queue(server):
    return json.loads(server.verb('queue', 'list', '--json').stdout)['outbox']


def trace(server, what):
    done = server.verb('trace', what, '--json', check=False)
    return json.loads(done.stdout) if done.returncode == 0 else []


def events(lines):
    return [line['event'] for line in lines]


def traced(server, what, *wanted):
    """The lines, when all of those events are among them: they are written some time after the reply."""
    return until(f'{wanted} in the trace', lambda: (lambda lines: lines if set(wanted) <= set(events(lines)) else None)(trace(server, what)))


def test_the_six_steps(two):
    hers, his = two
    # 1 and 2: alice's agent hands it to her server, which puts it into its queue; 3: the client finds nobody there
    agent_sends(hers, ['bob@hamburger.edu'])
    [waiting] = until('the first attempt has failed', lambda: [x for x in queue(hers) if x['waiting'][0]['reason']])
    assert waiting['from'] == 'alice@crepes.fr'
    assert waiting['waiting'] == [{'address': 'bob@hamburger.edu', 'state': 'queued', 'reason': waiting['waiting'][0]['reason']}]
    assert 'Connection refused' in waiting['waiting'][0]['reason']
    assert 'Do you like ketchup?' in hers.verb('queue', 'show', waiting['id']).stdout
    lines = traced(hers, '<ketchup@crepes.fr>', 'accepted', 'deferred')
    assert events(lines)[0] == 'accepted' and lines[0]['user'] == 'alice@crepes.fr' and lines[0]['send'] == ['bob@hamburger.edu']
    # 4: bob's server is there, and the client is told to try now
    his.start()
    hers.verb('queue', 'retry', '--domain', 'hamburger.edu')
    until('the queue is empty', lambda: not queue(hers))
    # 5 and 6: it lies in his mailbox, his agent fetches it
    until('it is in his mailbox', lambda: his.count('bob@hamburger.edu') == 3)
    text = his.letters('bob@hamburger.edu')[2].decode()
    assert text.endswith('\r\n\r\nHow about pickles?\r\n')
    ids = re.findall(r'^\s*(?:by \S+ with \S+\s+)?.*?\bid (\w+\.\d+)', text, re.M)
    assert len(ids) == 2        # two servers had it in their hands
    # and that is what both say of it, each of its own half
    lines = traced(hers, '<ketchup@crepes.fr>', 'accepted', 'deferred', 'sent')
    assert {line['letter'] for line in lines} == {ids[1]}
    assert lines[-1]['event'] == 'sent' and lines[-1]['to'] == 'bob@hamburger.edu' and '127.0.0.4' in lines[-1]['peer']
    assert lines[-1]['answer'].startswith('250 2.0.0')
    assert [line['time'] for line in lines] == sorted(line['time'] for line in lines)
    lines = traced(his, '<ketchup@crepes.fr>', 'accepted', 'filed')
    assert events(lines) == ['accepted', 'filed'] and {line['letter'] for line in lines} == {ids[0]}
    assert lines[0]['from'] == '<alice@crepes.fr>' and lines[0]['peer'] == '127.0.0.1'
    assert lines[1]['account'] == 'bob@hamburger.edu' and lines[1]['mailbox'] == 'INBOX'
    assert trace(his, 'bob@hamburger.edu') == lines


def test_nobody_by_that_name(two):
    """What bob's server says comes back to alice, and stands in the trace."""
    hers, his = two
    his.start()
    agent_sends(hers, ['nobody@hamburger.edu'], LETTER.replace('ketchup@', 'nobody@'))
    until('the report is there', lambda: hers.count('alice@crepes.fr') == 1)
    [report] = hers.letters('alice@crepes.fr')
    assert b'Action: failed' in report and b'Status: 5.1.1' in report
    lines = traced(hers, '<nobody@crepes.fr>', 'accepted', 'failed', 'sent')
    [failed] = [line for line in lines if line['event'] == 'failed']
    assert failed['status'] == '5.1.1' and 'User unknown' in failed['answer']
    [sent] = [line for line in lines if line['event'] == 'sent']    # the report itself
    assert sent['from'] == '<>' and sent['to'] == 'alice@crepes.fr'
    assert not queue(hers)
    refused = traced(his, '<alice@crepes.fr>', 'refused')
    assert '550 5.1.1 <nobody@hamburger.edu>... User unknown' in [line['answer'] for line in refused]
