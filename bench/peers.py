"""Postfix and Dovecot (the file servers: ftp_peers.py) from Debian's packages, without installing them: downloaded by apt-get, unpacked into a folder,
and run in a private mount and process namespace where that folder lies over the machine's /usr. They leave with the
runner, however it ends. Needs root; without it pail runs alone."""
import glob
import os
import random
import re
import shutil
import subprocess
import time

from measure import LISTENING, PATIENCE, Processes, free_port, sockets, until

PACKAGES = {'postfix': ['postfix'], 'dovecot': ['dovecot-core', 'dovecot-pop3d', 'dovecot-imapd'], 'vsftpd': ['vsftpd'],
            'proftpd': ['proftpd-core', 'proftpd-mod-crypto'], 'pure-ftpd': ['pure-ftpd'],
            'pyftpdlib': ['python3-pyftpdlib']}
USERS = {'postfix': 5901, 'dovecot': 5902, 'dovenull': 5903, 'vmail': 5904}
GROUPS = {**USERS, 'postdrop': 5905}
DOMAIN = 'bench.test'

# In the private namespace: the packages over /usr, few devices, its own /proc, a folder of the machine's as /srv if it has
# one, then the server as process 1, so that the kernel ends everything with it.
ENTER = '''set -e
cd "$1"
mount -t overlay -o lowerdir="$2/usr:/usr" overlay usr
for d in null zero full random urandom; do : >dev/$d; mount --bind /dev/$d dev/$d; done
mount -t proc proc proc
[ -z "$3" ] || mount --bind "$3" srv
shift 3
exec chroot . "$@"
'''


def download(name, folder):
    """The packages and what they need that the machine lacks; nothing when they lie there already."""
    debs = f'{folder}/debs'
    tree = f'{folder}/tree'
    listed = f'{folder}/packages'
    if os.path.exists(listed) and open(listed).read() == ' '.join(PACKAGES[name]):
        return tree
    print(f'fetching {" ".join(PACKAGES[name])} to run beside (nothing is installed)', flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(debs)

    def plan():
        done = subprocess.run(['apt-get', '-s', '--no-install-recommends', 'install', *PACKAGES[name]],
                              capture_output=True, text=True)
        return set(re.findall(r'^Inst (\S+)', done.stdout, re.M)) | set(PACKAGES[name])

    for attempt in (1, 2):
        done = subprocess.run(['apt-get', '-q', 'download', *sorted(plan())], cwd=debs, capture_output=True, text=True)
        if done.returncode == 0:
            break
        if attempt == 2:
            raise RuntimeError(done.stderr.strip())
        subprocess.run(['apt-get', '-qq', 'update'], check=True)
    for deb in glob.glob(f'{debs}/*.deb'):
        subprocess.run(['dpkg-deb', '-x', deb, f'{tree}.part'], check=True)
    os.rename(f'{tree}.part', tree)
    with open(listed, 'w') as f:
        f.write(' '.join(PACKAGES[name]))
    return tree


def version(folder, package):
    name = os.path.basename(next(iter(glob.glob(f'{folder}/debs/{package}_*.deb'))))
    return name.split('_')[1].replace('%3a', ':')


class Peer:
    """with Postfix(...) as peer: its cpu(), pss(), and the ports."""

    account, password = f'u%d@{DOMAIN}', 'measure'
    served = ''     # what is mounted as /srv

    def __init__(self, name, build, beside=''):
        self.name = name
        self.folder = os.path.abspath(f'{build}/peers/{name}')
        self.root = f'{self.folder}/root{beside}'   # several may run at once
        self.tree = download(name, self.folder)
        self.processes = None
        shutil.rmtree(self.root, ignore_errors=True)
        for inner in ('usr', 'dev', 'proc', 'run', 'tmp', 'root', 'var/log', 'var/lib', 'var/spool', 'var/vmail', 'srv'):
            os.makedirs(f'{self.root}/{inner}')
        for link in ('bin', 'sbin', 'lib', 'lib64'):
            os.symlink(f'usr/{link}', f'{self.root}/{link}')
        os.makedirs(f'{self.tree}/etc', exist_ok=True)
        shutil.copytree(f'{self.tree}/etc', f'{self.root}/etc', symlinks=True)
        for given in ('ld.so.cache', 'services', 'protocols', 'nsswitch.conf', 'localtime', 'ssl/openssl.cnf'):
            if os.path.exists(f'/etc/{given}'):
                os.makedirs(os.path.dirname(f'{self.root}/etc/{given}'), exist_ok=True)
                shutil.copy(f'/etc/{given}', f'{self.root}/etc/{given}')
        self.write('etc/hosts', '127.0.0.1 localhost\n')
        self.write('etc/resolv.conf', '')
        self.write('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n' + ''.join(
            f'{user}:x:{n}:{n}::/nonexistent:/usr/sbin/nologin\n' for user, n in USERS.items()))
        self.write('etc/group', 'root:x:0:\n' + ''.join(f'{group}:x:{n}:\n' for group, n in GROUPS.items()))
        os.chown(f'{self.root}/var/vmail', USERS['vmail'], GROUPS['vmail'])

    def write(self, path, text, mode=0o644):
        full = f'{self.root}/{path}'
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w') as f:
            f.write(text)
        os.chmod(full, mode)

    def certificate(self, path, key):
        """With a P-256 key, as pail's own."""
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
                        '-nodes', '-days', '30', '-subj', '/CN=localhost', '-keyout', f'{self.root}/{key}',
                        '-out', f'{self.root}/{path}'], check=True, capture_output=True)

    def inside(self, *command):
        return ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--', 'sh', '-c', ENTER, 'enter', self.root,
                self.tree, self.served, *command]

    def start(self, *command, ready):
        self.processes = Processes(self.name)
        self.output = open(f'{self.root}.output', 'w+')
        self.processes.start(self.inside(*command), stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        end = time.monotonic() + PATIENCE
        while not sockets(ready, LISTENING):
            if self.processes.popen.poll() is not None or time.monotonic() > end:
                self.__exit__()
                with open(f'{self.root}.output') as f:
                    raise RuntimeError(f'{self.name} did not start: {f.read()}')
            time.sleep(0.02)

    def __exit__(self, *_):
        if self.processes:
            self.processes.end()
            self.output.close()

    def cpu(self):
        return self.processes.cpu()

    def pss(self):
        return self.processes.pss()


class Postfix(Peer):
    """virtual(8) to a Maildir each; every default of the package is kept but chroot, the port, and the log: a file."""

    def __init__(self, build, accounts):
        super().__init__('postfix', build)
        port = self.smtp = free_port()
        self.title = 'Postfix ' + version(self.folder, 'postfix')
        self.write('etc/postfix/main.cf', f'''compatibility_level = 3.6
myhostname = peer.bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = /var/log/postfix.log
alias_maps =
alias_database =
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = /var/vmail
virtual_mailbox_maps = hash:/etc/postfix/accounts
virtual_uid_maps = static:{USERS['vmail']}
virtual_gid_maps = static:{GROUPS['vmail']}
''')
        with open(f'{self.tree}/usr/share/postfix/master.cf.dist') as f:
            services = f.read()
        services = re.sub(r'^smtp( +inet.*)', rf'127.0.0.1:{port}\1', services, count=1, flags=re.M)
        services = re.sub(r'^(\S+ +(?:unix|inet|fifo|pass|unix-dgram) +\S+ +\S+ +)y', r'\1n', services, flags=re.M)
        self.write('etc/postfix/master.cf', services)
        shutil.copy(f'{self.tree}/usr/share/postfix/dynamicmaps.cf', f'{self.root}/etc/postfix/dynamicmaps.cf')
        self.write('etc/postfix/accounts', ''.join(f'u{i}@{DOMAIN} u{i}/Maildir/\n' for i in range(accounts)))
        os.makedirs(f'{self.root}/var/lib/postfix')
        os.chown(f'{self.root}/var/lib/postfix', USERS['postfix'], GROUPS['postfix'])
        os.makedirs(f'{self.root}/var/spool/postfix')

    def __enter__(self):
        subprocess.run(self.inside('postmap', 'hash:/etc/postfix/accounts'), check=True)
        self.start('postfix', 'start-fg', ready=self.smtp)
        return self

    def filed(self):
        """Letters in all mailboxes."""
        n = 0
        for entry in os.scandir(f'{self.root}/var/vmail'):
            try:
                n += len(os.listdir(f'{entry.path}/Maildir/new'))
            except FileNotFoundError:
                continue
        return n

    def wait_filed(self, n):
        until(f'Postfix filed {n}, has {self.filed()}', lambda: self.filed() >= n)


class PostfixRelay(Postfix):
    """It files nothing: all goes to that port of this machine, over its usual 20 connections at most."""

    def __init__(self, build, port):
        super().__init__(build, 1)
        with open(f'{self.root}/etc/postfix/main.cf', 'a') as f:
            f.write(f'relayhost = [127.0.0.1]:{port}\n')


class Dovecot(Peer):
    """POP3 and IMAP over Maildir or mdbox. fast: its high-performance login, login processes that serve many; otherwise
    its default, a login process a connection, which with TLS stays as long as the session."""

    def __init__(self, build, accounts, fast=True, most=1100, store='maildir', settings=''):
        super().__init__('dovecot', build, f'-{store}')
        self.pop3 = free_port((0, 1, 2, 3))
        self.pop3s, self.imap, self.imaps = self.pop3 + 1, self.pop3 + 2, self.pop3 + 3
        where = {'maildir': 'maildir:/var/vmail/%n/Maildir', 'mdbox': 'mdbox:/var/vmail/%n/mdbox'}[store]
        self.title = 'Dovecot ' + version(self.folder, 'dovecot-core').split('+')[0].split(':')[-1]
        self.certificate('etc/dovecot/cert.pem', 'etc/dovecot/key.pem')
        login = 'service_count = 0\n  process_min_avail = 2\n  client_limit = 4000' if fast else 'process_limit = 4000'
        self.write('etc/dovecot/dovecot.conf', f'''protocols = pop3 imap
listen = 127.0.0.1
base_dir = /run/dovecot
log_path = /var/log/dovecot.log
ssl = yes
ssl_cert = </etc/dovecot/cert.pem
ssl_key = </etc/dovecot/key.pem
disable_plaintext_auth = no
mail_location = {where}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN /etc/dovecot/users
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home=/var/vmail/%n
}}
default_client_limit = 8000
service pop3-login {{
  {login}
  inet_listener pop3 {{
    port = {self.pop3}
  }}
  inet_listener pop3s {{
    port = {self.pop3s}
    ssl = yes
  }}
}}
service imap-login {{
  {login}
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = {self.imaps}
    ssl = yes
  }}
}}
service pop3 {{
  process_limit = {most}
}}
service imap {{
  process_limit = {most}
}}
{settings}
''')
        self.write('etc/dovecot/users', ''.join(f'u{i}@{DOMAIN}:{{PLAIN}}{self.password}\n' for i in range(accounts)))

    def __enter__(self):
        self.start('dovecot', '-F', ready=self.pop3s)
        return self

    def stop(self):
        self.processes.end()

    def synced(self, yes):
        """Dovecot's default, or, only while a large mailbox is filled, without its fsync."""
        path = 'etc/dovecot/dovecot.conf'
        with open(f'{self.root}/{path}') as f:
            text = re.sub(r'^mail_fsync.*\n', '', f.read(), flags=re.M)
        self.stop()
        self.write(path, text if yes else text + 'mail_fsync = never\n')
        self.__enter__()

    def fill(self, account, letters, size, once=None):
        """The same letter many times, under the names that Dovecot's own delivery gives (S=, W=), read ones in cur."""
        box = f'{self.root}/var/vmail/u{account}/Maildir'
        for inner in ('cur', 'new', 'tmp'):
            os.makedirs(f'{box}/{inner}')
        text = letter(size)
        first = None
        like = random.Random(account)   # numbers as a busy day makes them: its hash of names dislikes regular ones
        for i in range(letters):
            name = (f'{box}/cur/{1700000000 + i}.M{like.randrange(10**6)}P{like.randrange(400, 30000)}.peer,'
                    f'S={len(text)},W={len(text)}:2,S')
            if once and first:
                os.link(first, name)
                continue
            with open(name, 'wb') as f:
                f.write(text)
            first = name
        for path in (f'{self.root}/var/vmail/u{account}', box, f'{box}/cur', f'{box}/new', f'{box}/tmp'):
            os.chown(path, USERS['vmail'], GROUPS['vmail'])
        for name in os.listdir(f'{box}/cur'):
            os.chown(f'{box}/cur/{name}', USERS['vmail'], GROUPS['vmail'])


def letter(size):
    head = b'From: load@client.test\r\nTo: bench\r\nSubject: measuring\r\nMessage-ID: <load@client.test>\r\n\r\n'
    line = b'The quick brown fox jumps over the lazy dog and runs on to the end of it.\r\n'
    body = line * (size // len(line) + 1)
    return (head + body)[:size - 2] + b'\r\n'
