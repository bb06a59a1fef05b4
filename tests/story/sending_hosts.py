"""The hosts of the sending stories: a real `pail serve` made by `pail init`, and Postfix and Exim, each on its own Host; and the world that
holds them together: network, DNS, an authority for certificates."""
import contextlib
import email
import email.policy
import os
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import threading

import pytest

import sending_dns  # finds bench/
import sending_tls
from measure import Processes
from pail import PAIL, PATIENCE, Pail, Pop3, until
from peers import PACKAGES, USERS, GROUPS, Peer, version
from sending_dns import BUILD, Dns
from sending_net import Net

PACKAGES['postfix-sasl'] = ['postfix', 'libsasl2-modules']
PACKAGES['exim'] = ['exim4-daemon-light', 'exim4-base']
USERS['Debian-exim'] = GROUPS['Debian-exim'] = 5906
PASSWORD = 'correct horse'


class World:
    """with World() as w: w.pail('crepes.fr', 'alice'), w.postfix('town.com', 'jack'), w.far: a host for sinks."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='pail-sending-')
        os.chmod(self.folder, 0o755)
        self.stack = contextlib.ExitStack()
        self.pails = []
        try:
            self.net = self.stack.enter_context(Net())
            self.dns = self.stack.enter_context(Dns(self.net.host('ns.example'), f'{self.folder}/dns'))
            self.far = self.net.host('far.example')
            self.authority = sending_tls.Authority(f'{self.folder}/tls', 'the stories')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*(what or (None, None, None)))
        shutil.rmtree(self.folder, ignore_errors=True)

    def host(self, domain, *records, publish=True):
        """mx.DOMAIN, and the domain's zone."""
        name = f'mx.{domain}'
        host = self.net.hosts.get(name) or self.net.host(name)
        if publish:
            self.dns.publish(domain, '@ MX 10 mx', f'mx A {host.ip}', *([f'mx AAAA {host.ip6}'] if host.ip6 else []), *records)
        return host

    def pail(self, domain, *people, publish=True, **settings):
        self.pails.append(Server(self, domain, people, settings, publish))
        return self.stack.enter_context(self.pails[-1])

    def logs(self):
        """What the pails said last."""
        return '\n'.join(f'{p.domain}: {line}' for p in self.pails if p.process for line in [x for x in p.log if 'event=signed-in' not in x][-25:])

    def postfix(self, domain, *people, **settings):
        return self.stack.enter_context(Postfix(self, domain, people, settings))

    def exim(self, domain, *people):
        return self.stack.enter_context(Exim(self, domain, people))


class Server(Pail):
    """pail serve, with accounts WHO@DOMAIN, all with the same password, on the ports that the RFCs name. Its folder stays when it is stopped."""

    def __init__(self, world, domain, people, settings, publish=True):
        self.world, self.domain = world, domain
        self.host = world.host(domain, publish=publish)
        self.root, self.base, self.program, self.prefix = None, 0, PAIL, []
        self.folder, self.config = f'{world.folder}/{domain}', f'{world.folder}/{domain}.conf'
        self.log, self.table, self.process = [], [], None
        self.certificate = world.authority.certificate(f'mx.{domain}')
        self.settings = {
            'listen': self.host.ip + (f' {self.host.ip6}' if self.host.ip6 else ''), 'workers': 1, 'plaintext-login': 'always',
            'trust-anchors': world.dns.anchor, 'stub-zones': f'.={world.dns.host.ip}', 'tls-authorities': world.authority.path,
            'tls-certificate': self.certificate.chain, 'tls-key': self.certificate.key, 'send-from': '' if world.net.apart else self.host.ip,
            'retry-first': '1s', 'retry-most': '2s', 'mta-sts': 'no', 'max-connections-per-address': 5000,
            'ftp-port': 0, 'ftps-port': 0, 'disk-reserve': '1M', **settings}
        made = self.run('init', domain, '--dir', self.folder, '--host', f'mx.{domain}', '--account', f'{people[0]}@{domain}',
                        '--config', self.config)
        assert made.returncode == 0, made.stderr
        for path, mode in ((self.certificate.chain, 0o644), (self.certificate.key, 0o644)):
            os.chmod(path, mode)
        for who in people[1:]:
            self.verb('account', 'add', f'{who}@{domain}')
        for who in people:
            self.verb('passwd', f'{who}@{domain}', input=f'{PASSWORD}\n')

    def run(self, *words, input=None):
        with self.host:
            return subprocess.run([PAIL, *words], input=input, capture_output=True, text=True, timeout=PATIENCE)

    def verb(self, *words, input=None, check=True):
        done = self.run(*words, '--config' if words[0] in ('mx', 'send') else '--dir',
                        self.config if words[0] in ('mx', 'send') else self.folder, input=input)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def write_settings(self):
        with open(self.config, 'w') as f:
            f.write(f'host-name = "mx.{self.domain}"\ndata = "{self.folder}"\n')
            f.writelines(f'{name} = "{value}"\n' for name, value in self.settings.items())

    def change(self, **settings):
        """Settings that a running server takes."""
        self.settings.update({name.replace('_', '-'): value for name, value in settings.items()})
        self.write_settings()
        if self.process and self.process.poll() is None:
            since = len(self.log)
            self.process.send_signal(signal.SIGHUP)
            self.event('reread', since=since)

    def start(self, *more):
        self.settings = {name.replace('_', '-'): value for name, value in self.settings.items()}
        self.write_settings()
        since = len(self.log)
        with self.host:
            self.process = subprocess.Popen([PAIL, 'serve', '--config', self.config, *more], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.readers = [threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)]
        self.readers[0].start()
        until('pail is ready', lambda: self.events('ready', since) or self.process.poll() is not None)
        assert self.process.poll() is None, 'pail did not start:\n' + '\n'.join(self.log[since:])

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.readers[0].join(PATIENCE)
        until('the ports are free', lambda: not self.host.answers(25))

    # the people's side

    def smtp(self, address=None, port=587, name='agent.example', who=None):
        with self.host:
            s = smtplib.SMTP(address or self.host.ip, port, local_hostname=name, timeout=PATIENCE)
        if who:
            s.ehlo()
            s.login(f'{who}@{self.domain}', PASSWORD)
        return s

    def mail(self, who, to, text=None, subject='a letter', options=(), rcpt_options=()):
        """WHO, signed in, sends a letter."""
        to = [to] if isinstance(to, str) else to
        sender = f'{who}@{self.domain}'
        text = text or f'From: {sender}\r\nTo: {", ".join(to[:5])}\r\nSubject: {subject}\r\n\r\nhello\r\n'
        with self.smtp(who=who) as s:
            s.sendmail(sender, to, text, options, rcpt_options)

    def mail_many(self, who, to):
        """A letter each, over one connection."""
        sender = f'{who}@{self.domain}'
        with self.smtp(who=who) as s:
            for i, address in enumerate(to):
                s.sendmail(sender, [address], f'From: {sender}\r\nSubject: {i}\r\n\r\nnumber {i}\r\n')

    def pop3(self, who, password=None, address=None):
        with self.host:
            p = Pop3(address or self.host.ip, 110, timeout=PATIENCE)
        p.user(who if '@' in who else f'{who}@{self.domain}')
        p.pass_(password or PASSWORD)
        return p

    def received(self, who, subject=None):
        """An account's letters, parsed; those with that Subject."""
        all_ = [email.message_from_bytes(text, policy=email.policy.default) for text in self.letters(who)]
        return [m for m in all_ if subject is None or m['Subject'] == subject]

    def wait_for(self, who, subject, n=1):
        return until(f'{n} of "{subject}" at {who}@{self.domain}',
                     lambda: len(found := self.received(who, subject)) >= n and found)

    def reports(self, who):
        """Those of an account's letters that are delivery status notifications."""
        return [m for m in self.received(who) if m.get_content_type() == 'multipart/report']

    def wait_report(self, who, n=1):
        return until(f'{n} reports to {who}@{self.domain}', lambda: len(found := self.reports(who)) >= n and found)

    def queued(self):
        """What `pail queue list` says, nothing of it: an empty queue."""
        return self.verb('queue', 'list').stdout

    def wait_empty(self, domain=None):
        of = ('--domain', domain) if domain else ()
        until(f'nothing waits for {domain or "anybody"}', lambda: '@' not in self.verb('queue', 'list', *of).stdout)


WITHOUT_FOREIGN = 'Postfix and Exim have users and a tree of files of their own, which only root may give them'


def foreign():
    """May there be other MTAs here?"""
    return os.geteuid() == 0 and subprocess.run(['unshare', '--mount', '--pid', '--fork', 'true'], capture_output=True).returncode == 0


class Mta(Peer):
    """A foreign MTA on a host of its own."""

    def __init__(self, package, world, domain, people):
        if not foreign():
            pytest.skip(WITHOUT_FOREIGN)
        self.world, self.domain, self.people = world, domain, people
        self.host = world.host(domain)
        super().__init__(package, BUILD, f'-{domain}-{os.getpid()}')
        self.name = domain
        self.write('etc/resolv.conf', f'nameserver {world.dns.host.ip}\n')
        self.write('etc/hosts', f'127.0.0.1 localhost\n{self.host.ip} mx.{domain}\n')
        self.certificate = world.authority.certificate(f'mx.{domain}')
        shutil.copy(self.certificate.chain, f'{self.root}/etc/cert.pem')
        shutil.copy(self.certificate.key, f'{self.root}/etc/key.pem')
        shutil.copy(world.authority.path, f'{self.root}/etc/ca.pem')
        os.chmod(f'{self.root}/etc/key.pem', 0o644)

    def start(self, *command, ready=25):
        self.processes = Processes(self.name)
        self.output = open(f'{self.root}.output', 'w+')
        with self.host:
            self.processes.start(self.inside(*command), stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        until(f'{self.name} answers', lambda: self.host.answers(ready) or self.processes.popen.poll() is not None)
        if self.processes.popen.poll() is not None:
            self.__exit__()
            with open(f'{self.root}.output') as f:
                raise RuntimeError(f'{self.name} did not start: {f.read()}')

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.root, ignore_errors=True)

    def mail(self, who, to, subject='a letter', body='hello\r\n', rcpt_options=()):
        """By SMTP from its own host, as a program on it would."""
        with self.host:
            s = smtplib.SMTP(self.host.ip, 25, local_hostname=f'mx.{self.domain}', timeout=PATIENCE)
        sender = f'{who}@{self.domain}'
        with s:
            s.sendmail(sender, to, f'From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{body}', [], rcpt_options)

    def letters(self, who):
        box = f'{self.root}/var/vmail/{who}/Maildir/new'
        found = []
        for name in sorted(os.listdir(box)) if os.path.exists(box) else ():
            with open(f'{box}/{name}', 'rb') as f:
                found.append(f.read())
        return found

    def received(self, who, subject=None):
        all_ = [email.message_from_bytes(text, policy=email.policy.default) for text in self.letters(who)]
        return [m for m in all_ if subject is None or m['Subject'] == subject]

    def wait_for(self, who, subject, n=1):
        return until(f'{n} of "{subject}" at {who}@{self.domain}',
                     lambda: len(found := self.received(who, subject)) >= n and found)


class Postfix(Mta):
    def __init__(self, world, domain, people, settings):
        super().__init__('postfix-sasl', world, domain, people)
        self.title = 'Postfix ' + version(self.folder, 'postfix')
        self.write('etc/postfix/passwords', '')
        words = {
            'compatibility_level': '3.6', 'myhostname': f'mx.{domain}', 'mydestination': '', 'inet_interfaces': f'127.0.0.1 {self.host.ip}',
            'inet_protocols': 'ipv4', 'maillog_file': '/var/log/postfix.log', 'alias_maps': '', 'alias_database': '',
            'mynetworks': f'127.0.0.0/8 {self.host.ip}/32', 'virtual_mailbox_domains': domain, 'virtual_mailbox_base': '/var/vmail',
            'virtual_mailbox_maps': 'hash:/etc/postfix/accounts', 'virtual_uid_maps': f'static:{USERS["vmail"]}',
            'virtual_gid_maps': f'static:{GROUPS["vmail"]}', 'smtpd_tls_security_level': 'may', 'smtpd_tls_cert_file': '/etc/cert.pem',
            'smtpd_tls_key_file': '/etc/key.pem', 'smtp_tls_security_level': 'may', 'smtp_tls_CAfile': '/etc/ca.pem',
            'smtp_tls_loglevel': '1', 'smtpd_tls_received_header': 'yes', 'smtp_bind_address': '' if world.net.apart else self.host.ip,
            'minimal_backoff_time': '1s', 'maximal_backoff_time': '2s', 'queue_run_delay': '1s',
            'smtp_sasl_password_maps': 'hash:/etc/postfix/passwords', 'smtp_sasl_security_options': 'noanonymous', **settings}
        self.write('etc/postfix/main.cf', ''.join(f'{name} = {value}\n' for name, value in words.items()))
        with open(f'{self.tree}/usr/share/postfix/master.cf.dist') as f:
            services = f.read()
        services = re.sub(r'^(\S+ +(?:unix|inet|fifo|pass|unix-dgram) +\S+ +\S+ +)y', r'\1n', services, flags=re.M)
        self.write('etc/postfix/master.cf', services)
        shutil.copy(f'{self.tree}/usr/share/postfix/dynamicmaps.cf', f'{self.root}/etc/postfix/dynamicmaps.cf')
        self.write('etc/postfix/accounts', ''.join(f'{who}@{domain} {who}/Maildir/\n' for who in people))
        os.makedirs(f'{self.root}/var/lib/postfix')
        os.chown(f'{self.root}/var/lib/postfix', USERS['postfix'], GROUPS['postfix'])
        os.makedirs(f'{self.root}/var/spool/postfix')

    def password(self, relay, user, password):
        """For relays that want a sign-in; before it starts."""
        self.write('etc/postfix/passwords', f'{relay} {user}:{password}\n', 0o600)

    def __enter__(self):
        with self.host:
            for table in ('accounts', 'passwords'):
                subprocess.run(self.inside('postmap', f'hash:/etc/postfix/{table}'), check=True)
        self.start('postfix', 'start-fg')
        return self

    def relay(self, host):
        """From now on all goes to that host; '': directly."""
        path = 'etc/postfix/main.cf'
        with open(f'{self.root}/{path}') as f:
            text = re.sub(r'^(relayhost|smtp_sasl_auth_enable).*\n', '', f.read(), flags=re.M)
        self.write(path, text + f'relayhost = {host}\nsmtp_sasl_auth_enable = {"yes" if host else "no"}\n')
        Peer.__exit__(self)
        until('its port is free', lambda: not self.host.answers(25))
        self.start('postfix', 'start-fg')

    def said(self):
        with open(f'{self.root}/var/log/postfix.log', errors='replace') as f:
            return f.read()


class Exim(Mta):
    def __init__(self, world, domain, people):
        super().__init__('exim', world, domain, people)
        self.title = 'Exim ' + version(self.folder, 'exim4-daemon-light')
        self.write('etc/exim4/exim4.conf', f'''primary_hostname = mx.{domain}
domainlist local_domains = {domain}
hostlist relay_from_hosts = 127.0.0.1 : {self.host.ip}
acl_smtp_rcpt = rcpt
dns_dnssec_ok = 0
disable_ipv6
local_interfaces = 127.0.0.1 : {self.host.ip}
tls_advertise_hosts = *
tls_certificate = /etc/cert.pem
tls_privatekey = /etc/key.pem
host_lookup =
rfc1413_query_timeout = 0s
trusted_users = root
dsn_advertise_hosts = *
queue_run_max = 5
begin acl
rcpt:
  accept hosts = +relay_from_hosts
  require message = relay not permitted
          domains = +local_domains
          verify = recipient
  accept
begin routers
out:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote
  no_more
in:
  driver = accept
  local_parts = {" : ".join(people)}
  transport = maildir
begin transports
remote:
  driver = smtp
  interface = {'' if world.net.apart else self.host.ip}
maildir:
  driver = appendfile
  maildir_format
  directory = /var/vmail/$local_part_data/Maildir
  create_directory
  user = vmail
  group = vmail
begin retry
* * F,1h,1s
''')
        os.makedirs(f'{self.root}/var/spool/exim4')
        os.makedirs(f'{self.root}/var/log/exim4')
        for path in ('var/spool/exim4', 'var/log/exim4'):
            os.chown(f'{self.root}/{path}', USERS['Debian-exim'], GROUPS['Debian-exim'])

    def __enter__(self):
        self.start('exim4', '-bdf', '-q2s')
        return self

    def said(self):
        with open(f'{self.root}/var/log/exim4/mainlog', errors='replace') as f:
            return f.read()
