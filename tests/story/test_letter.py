"""Jack's letter is read by jill, by the programs that come with every machine."""
import subprocess

from pail import PEOPLE, subjects, until

LETTER = ('From: jack@town.com\r\nTo: jill@hill.com\r\nSubject: Please fetch me a pail of water\r\n\r\n'
          "Jill, I'm not feeling up to hiking today. Will you please fetch me a pail of water?\r\n")


def test_a_letter_comes_back_byte_for_byte(demo):
    demo.send(LETTER, ['jill@hill.com'])
    until('the letter is filed', lambda: demo.count('jill@hill.com') == 1)
    [text] = demo.letters('jill@hill.com')
    assert text.startswith(b'Return-Path: <jack@town.com>\r\nReceived: from town.com ')
    assert text.endswith(LETTER.encode())


def test_curl_reads_it_by_pop3(demo):
    demo.send(LETTER, ['alice@crepes.fr'])
    until('the letter is filed', lambda: demo.count('alice@crepes.fr') == 1)
    out = subprocess.run(['curl', '-s', f'pop3://127.0.0.1:{demo.port(110)}/1', '-u', 'alice:rabbit'],
                         capture_output=True, check=True).stdout
    assert out.endswith(LETTER.encode())


def test_everybody_can_sign_in_by_bare_name_and_by_address(demo):
    for who, password in PEOPLE.items():
        demo.pop3(who, password).quit()
        demo.pop3(who.partition('@')[0], password).quit()
    demo.pop3('forouzan', 'lecture').quit()


def test_bob_has_the_lectures_two_letters(demo):
    p = demo.pop3('bob@hamburger.edu')
    assert p.list()[1] == [b'1 498', b'2 912']
    p.quit()


def test_the_list_reaches_its_members_once_each(demo):
    demo.send('Subject: to all friends\r\n\r\nhello\r\n', ['friends@hill.com', 'bob@hamburger.edu'])
    for who in ('jack@town.com', 'jill@hill.com', 'bob@hamburger.edu'):
        until(f'{who} has it', lambda: 'to all friends' in subjects(demo.letters(who)))
        assert subjects(demo.letters(who)).count('to all friends') == 1


def test_started_again_it_has_everything_it_had(pail):
    pail.send(LETTER, ['jill@hill.com'])
    pail.stop()
    pail.start()
    until('the letter is there', lambda: pail.count('jill@hill.com') == 1)
    assert pail.letters('jill@hill.com')[0].endswith(LETTER.encode())
    assert pail.count('bob@hamburger.edu') == 2
