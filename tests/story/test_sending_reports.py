"""Sending: what its sender is told (RFC 3461, 3464, 6522), read by Python's email package; lists, forwarding, and letters for those who dial in."""
import email
import email.policy
import re
import smtplib

import pytest

from pail import until
from sending_sink import ALL, Ended, Session, Sink


@pytest.fixture(scope='module')
def crepes(world):
    return world.pail('crepes.fr', 'alice', 'carol')


@pytest.fixture(scope='module')
def hamburger(world):
    return world.pail('hamburger.edu', 'bob')


def about(server, who, words):
    return [m for m in server.reports(who) if words in m.as_string()]


def test_every_field_of_a_report(world, crepes):
    """Two recipients that failed are one report: what happened for people, for programs, and the letter's header."""
    answers = {'<one@': '550 5.1.1 no one here', '<two@': '550 5.2.1 two is away for good'}
    with Sink(world.far, answer=lambda stage, s: next((t for w, t in answers.items() if stage == 'rcpt' and w in s.heard[-1]), None)) as sink:
        world.dns.publish('fields.example', '@ MX 10 mx', f'mx A {sink.address}')
        with crepes.smtp(who='alice') as s:
            s.ehlo()
            s.mail('alice@crepes.fr', ['RET=HDRS', 'ENVID=order+2B66'])
            s.rcpt('one@fields.example', ['NOTIFY=FAILURE', 'ORCPT=rfc822;the+2Bone@fields.example'])
            s.rcpt('two@fields.example')
            s.data('From: alice@crepes.fr\r\nSubject: fields\r\nMessage-ID: <fields@crepes.fr>\r\n\r\nthe body of it\r\n')
        [report] = until('a report', lambda: about(crepes, 'alice', 'fields.example'))
    assert report['From'] and report['To'] == 'alice@crepes.fr' and report['Date'] and report['Message-ID']
    assert report['Return-Path'] == '<>' and report['Auto-Submitted'] == 'auto-replied'
    assert report.get_param('report-type') == 'delivery-status'
    text, machine, original = report.get_payload()
    assert text.get_content_type() == 'text/plain' and 'no one here' in text.get_content()
    assert machine.get_content_type() == 'message/delivery-status'
    message, *recipients = machine.get_payload()
    assert message['Reporting-MTA'] == 'dns; mx.crepes.fr' and message['Original-Envelope-Id'] == 'order+66' and message['Arrival-Date']
    assert [r['Final-Recipient'].split(';')[1].strip() for r in recipients] == ['one@fields.example', 'two@fields.example']
    assert recipients[0]['Original-Recipient'].replace(' ', '') == 'rfc822;the+one@fields.example'
    assert [(r['Action'], r['Status']) for r in recipients] == [('failed', '5.1.1'), ('failed', '5.2.1')]
    assert all(r['Remote-MTA'].startswith('dns; ') and '550' in r['Diagnostic-Code'] and r['Last-Attempt-Date'] for r in recipients)
    assert original.get_content_type() == 'text/rfc822-headers' and 'fields@crepes.fr' in original.as_string()
    assert 'the body of it' not in report.as_string()


@pytest.mark.parametrize('notify,reports', [('NEVER', 0), ('SUCCESS', 0), ('FAILURE', 1), ('DELAY', 0), (None, 1)])
def test_notify_of_a_failure(world, crepes, notify, reports):
    with Sink(world.far, answer=lambda stage, _: '550 5.1.1 nobody' if stage == 'rcpt' else None) as sink:
        domain = f'notify-{str(notify).lower()}.example'
        world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}')
        crepes.mail('alice', f'x@{domain}', rcpt_options=[f'NOTIFY={notify}'] if notify else ())
        crepes.event('failed', f'to=x@{domain}')
        if reports:
            until('a report', lambda: about(crepes, 'alice', domain))
        crepes.wait_empty(domain)
        assert len(about(crepes, 'alice', domain)) == reports


def test_no_report_for_a_report(world, crepes):
    """A letter from <> that fails is noted and dropped."""
    with Sink(world.far, answer=lambda stage, _: '550 5.1.1 nobody' if stage == 'rcpt' else None) as sink:
        world.dns.publish('null-sender.example', '@ MX 10 mx', f'mx A {sink.address}')
        before = len(crepes.reports('alice'))
        with crepes.smtp(who='alice') as s:
            s.sendmail('', ['x@null-sender.example'], 'Subject: a report\r\n\r\nof another\r\n')
        crepes.event('failed', 'to=x@null-sender.example')
        crepes.wait_empty()
        assert len(crepes.reports('alice')) == before


def test_success(world, crepes):
    """A peer without DSN: "relayed", from us. One with DSN: it is asked to tell, and we say nothing."""
    with Sink(world.far, extensions=('PIPELINING',)) as old, Sink(world.far, extensions=ALL) as new:
        for domain, sink in (('old.example', old), ('new.example', new)):
            world.dns.publish(domain, '@ MX 10 mx', f'mx A {sink.address}')
            crepes.mail('alice', f'x@{domain}', rcpt_options=['NOTIFY=SUCCESS,FAILURE', f'ORCPT=rfc822;x@{domain}'])
        [report] = until('a report', lambda: about(crepes, 'alice', 'old.example'))
        assert report.get_payload()[1].get_payload()[1]['Action'] == 'relayed'
        [letter] = new.wait()
        assert letter.recipients == [('x@new.example', 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@new.example')]
        crepes.wait_empty()
        assert not about(crepes, 'alice', 'new.example')


def test_delay_and_end(world):
    """Told once that it waits, then that it is given up; and what would have been never said is not."""
    town = world.pail('town.com', 'jack', delay_notice_after='2s', max_queue_time='6s')
    nobody = world.far.another()
    world.dns.publish('down.example', '@ MX 10 mx', f'mx A {nobody}')
    town.mail('jack', 'x@down.example')
    town.mail('jack', 'quiet@down.example', rcpt_options=['NOTIFY=NEVER'])
    town.wait_report('jack', 2)
    town.wait_empty()
    actions = [m.get_payload()[1].get_payload()[1]['Action'] for m in town.reports('jack')]
    assert actions == ['delayed', 'failed']
    assert town.reports('jack')[0].get_payload()[1].get_payload()[1]['Will-Retry-Until']
    assert not about(town, 'jack', 'quiet@')
    town.stop()


# ---- lists and forwarding ----

def test_a_list(world, crepes, hamburger):
    """Members here and elsewhere get it from the list, which gets what comes back, and counts it."""
    crepes.verb('list', 'add', 'cooks@crepes.fr', 'carol@crepes.fr', 'bob@hamburger.edu', 'gone@hamburger.edu')
    hamburger.mail('bob', 'cooks@crepes.fr', subject='batter')
    [here] = crepes.wait_for('carol', 'batter')
    [there] = hamburger.wait_for('bob', 'batter')
    for letter in (here, there):
        assert 'cooks.crepes.fr' in letter['List-Id'] and 'mailto:' in letter['List-Unsubscribe']
        assert letter['From'] == 'bob@hamburger.edu'
    assert 'cooks-bounces+bob=hamburger.edu@crepes.fr' in there['Return-Path']
    until('the bounce is counted', lambda: re.search(r'gone@hamburger\.edu\b.*\b1\b', crepes.verb('list', 'show', 'cooks@crepes.fr').stdout))
    assert not about(hamburger, 'bob', 'gone@')


def test_a_loop_of_lists(crepes, hamburger):
    """Two lists that are members of each other: everybody gets it, and it ends."""
    crepes.verb('list', 'add', 'ping@crepes.fr', 'pong@hamburger.edu', 'carol@crepes.fr')
    hamburger.verb('list', 'add', 'pong@hamburger.edu', 'ping@crepes.fr', 'bob@hamburger.edu')
    crepes.mail('alice', 'ping@crepes.fr', subject='round and round')
    hamburger.wait_for('bob', 'round and round')
    crepes.wait_for('carol', 'round and round')
    until('it ended', lambda: not re.search('@', crepes.queued()) and not re.search('@', hamburger.queued()))
    assert len(crepes.received('carol', 'round and round')) <= 2 and len(hamburger.received('bob', 'round and round')) <= 2


def test_moderation(crepes, hamburger):
    crepes.verb('list', 'add', 'news@crepes.fr', 'bob@hamburger.edu')
    crepes.verb('list', 'set', 'news@crepes.fr', 'moderated', 'yes')
    crepes.mail('carol', 'news@crepes.fr', subject='may I?')
    held = until('it is held', lambda: re.search(r'(?m)^(\d+) .*\n.*bob@hamburger.edu.*held', crepes.verb('queue', 'list', '--held').stdout))
    assert not hamburger.received('bob', 'may I?')
    crepes.verb('queue', 'release', held[1])
    hamburger.wait_for('bob', 'may I?')


def test_forwarding(world, crepes, hamburger):
    """The envelope sender is ours (SRS), so that SPF holds; what comes back finds who wrote it."""
    crepes.verb('account', 'add', 'away@crepes.fr')
    crepes.verb('account', 'forward', 'away@crepes.fr', 'bob@hamburger.edu')
    with Sink(world.far) as sink:       # a stranger whose domain has an MX
        world.dns.publish('stranger.example', '@ MX 10 mx', f'mx A {sink.address}')
        with world.far, smtplib.SMTP(crepes.host.ip, 25, local_hostname='mx.stranger.example') as s:
            s.sendmail('sam@stranger.example', ['away@crepes.fr'], 'From: sam@stranger.example\r\nSubject: on and on\r\n\r\nhello\r\n')
            [letter] = hamburger.wait_for('bob', 'on and on')
            sender = re.search(r'<(SRS0=[^>]*@crepes\.fr)>', letter['Return-Path'], re.I)[1]
            crepes.verb('account', 'forward', 'away@crepes.fr', 'nobody-there@hamburger.edu')
            s.sendmail('sam@stranger.example', ['away@crepes.fr'], 'From: sam@stranger.example\r\nSubject: back\r\n\r\nhello\r\n')
        report = email.message_from_bytes(sink.wait()[0].text, policy=email.policy.default)
        assert sink.letters[0].to == ['sam@stranger.example'] and sink.letters[0].sender == ''
        assert report.get_content_type() == 'multipart/report'
        with world.far, smtplib.SMTP(crepes.host.ip, 25, local_hostname='mx.stranger.example') as s:
            forged = sender.replace('SRS0=', 'SRS0=zz', 1)
            s.ehlo()
            s.mail('')
            assert s.rcpt(forged)[0] // 100 == 5    # nobody relays through us


def test_a_loop_of_forwarding(crepes, hamburger):
    """Two people who forward to each other: it ends, and its sender hears of it once, by way of all that was rewritten (SRS1)."""
    for one, here, there in ((crepes, 'crepes.fr', 'hamburger.edu'), (hamburger, 'hamburger.edu', 'crepes.fr')):
        one.verb('account', 'add', f'circle@{here}')
        one.verb('account', 'forward', f'circle@{here}', f'circle@{there}')
    crepes.mail('alice', 'circle@crepes.fr', subject='a circle')
    [report] = until('a report', lambda: [m for m in crepes.reports('alice') if 'circle@' in m.as_string()])
    assert '5.4.6' in report.get_payload()[1].as_string()
    until('it ended', lambda: 'circle@' not in crepes.queued() + hamburger.queued())
    assert len([m for m in crepes.reports('alice') if 'circle@' in m.as_string()]) == 1


# ---- for those who dial in; LMTP; backup MX ----

def test_lmtp(world, crepes):
    """An answer for each recipient after the letter."""
    answers = iter(['250 2.0.0 taken', '550 5.2.2 full'])
    with Sink(world.far, port=24, lmtp=True, answer=lambda stage, _: next(answers) if stage == 'text' else None) as sink:
        crepes.change(routes=f'boxes.example=lmtp:{sink.address}:24')
        try:
            crepes.mail('alice', ['a@boxes.example', 'b@boxes.example'])
            [report] = until('a report', lambda: about(crepes, 'alice', 'b@boxes.example'))
        finally:
            crepes.change(routes='')
        assert 'a@boxes.example' not in report.get_payload()[1].as_string()
        assert sink.said('LHLO') and len(sink.said('MAIL')) == 1


def test_lmtp_from_pail_to_pail(world, crepes):
    boxes = world.pail('boxes.com', 'dave', lmtp_port=24, trusted_addresses=crepes.host.ip)
    crepes.change(routes=f'boxes.com=lmtp:{boxes.host.ip}:24')
    try:
        crepes.mail('alice', 'dave@boxes.com', subject='by LMTP')
        [letter] = boxes.wait_for('dave', 'by LMTP')
    finally:
        crepes.change(routes='')
    assert 'LMTP' in letter.get_all('Received')[0]
    boxes.stop()


def test_etrn(world, crepes):
    """A host that was down says that it is back, and need not wait."""
    crepes.change(retry_first='1h', retry_most='1h')
    try:
        address = world.far.another()
        world.dns.publish('dials.example', '@ MX 10 mx', f'mx A {address}')
        crepes.mail('alice', 'x@dials.example')
        crepes.event('rests', 'destination=dials.example')
        with Sink(world.far, address) as sink, crepes.smtp(who='alice') as s:
            s.ehlo()
            assert s.docmd('ETRN', 'dials.example')[0] // 100 == 2
            sink.wait()
    finally:
        crepes.change(retry_first='1s', retry_most='2s')


def test_backup_mx(world, crepes):
    """We take letters for a domain whose better MX is down, and pass them on when it is back."""
    backup = world.pail('backup.com', 'b', relay_for='primary.example:known')
    better = world.far.another()
    world.dns.publish('primary.example', '@ MX 10 mx', '@ MX 20 mx.backup.com.', f'mx A {better}')
    crepes.mail('alice', 'known@primary.example', subject='by way of the backup')
    crepes.event('sent', 'to=known@primary.example', 'mx.backup.com')
    backup.event('rests', 'destination=primary.example')
    with Sink(world.far, better) as sink:
        assert sink.wait()[0].subject() == 'by way of the backup'
    with world.far, smtplib.SMTP(backup.host.ip, 25) as s:
        s.ehlo()
        s.mail('x@crepes.fr')
        assert s.rcpt('unknown@primary.example')[0] // 100 == 5
    backup.stop()


def test_atrn(world, crepes):
    """A host without a steady address signs in and takes its domain's letters on the connection that it made (RFC 2645)."""
    dial = world.pail('dialin.com', 'd', atrn_port=366, routes='office.example=hold')
    dial.verb('account', 'may-send-as', 'd@dialin.com', '@office.example')
    dial.mail('d', 'boss@office.example', subject='when you call')
    dial.event('held', 'to=boss@office.example')
    s = dial.smtp(port=366, who='d')
    assert s.docmd('ATRN', 'office.example')[0] == 250
    with Sink(world.far) as sink:       # from here on the other side is the client
        session = Session(sink, s.sock, 1)
        try:
            session.run()
        except (Ended, OSError):
            pass
        s.close()
        [letter] = sink.letters
    assert letter.to == ['boss@office.example'] and letter.subject() == 'when you call'
    dial.wait_empty('office.example')
    dial.stop()
