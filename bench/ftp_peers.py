"""The file servers that others run: vsftpd, ProFTPD, Pure-FTPd, pyftpdlib. One account, whose folder is a folder of the machine
(disk or tmpfs) mounted as its home; jailed there, transfers logged, no look-up of names. Its password costs next to nothing to
compare: a DES hash in the private shadow file (PAM at vsftpd, as its package does it), plain text at pyftpdlib. TLS is switched on
only where TLS is measured: at vsftpd and ProFTPD it costs plain sessions too."""
import crypt
import os

from measure import free_port
from peers import USERS, Peer, version

OWNER = USERS['vmail']


class FtpPeer(Peer):
    account = 'bench'
    machine_lists = True    # MLSD
    ahead = False           # takes commands that were sent ahead
    many = False            # sessions cost it little

    def __init__(self, name, package, title, build, files, tls=False, beside=''):
        super().__init__(name, build, beside)
        self.ftp = free_port()
        self.tls, self.files = tls, os.path.abspath(files)
        self.served = self.files
        os.makedirs(self.files, exist_ok=True)
        self.own(self.files)
        self.title = f'{title} {version(self.folder, package).split("+")[0].split("-")[0]}'
        lines = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n'
        self.write('etc/passwd', lines + f'{self.account}:x:{OWNER}:{OWNER}::/srv:/bin/sh\n')
        self.write('etc/shadow', f'{self.account}:{crypt.crypt(self.password, "pb")}:19000:0:99999:7:::\n', 0o600)
        self.write('etc/group', f'root:x:0:\nnogroup:x:65534:\n{self.account}:x:{OWNER}:\n')
        self.write('etc/shells', '/bin/sh\n')
        self.certificate('etc/cert.pem', 'etc/key.pem')

    def own(self, path):
        os.chown(path, OWNER, OWNER)

    def __enter__(self):
        self.start(*self.command(), ready=self.ftp)
        return self

    def stop(self):
        self.processes.end()


class Vsftpd(FtpPeer):
    machine_lists, ahead = False, True

    def __init__(self, *where, **how):
        super().__init__('vsftpd', 'vsftpd', 'vsftpd', *where, **how)
        os.makedirs(f'{self.root}/var/run/vsftpd/empty')
        self.write('etc/pam.d/vsftpd', 'auth required pam_unix.so\naccount required pam_unix.so\n')
        tls = f'''ssl_enable=YES
rsa_cert_file=/etc/cert.pem
rsa_private_key_file=/etc/key.pem
ssl_ciphers=HIGH
force_local_logins_ssl=NO
force_local_data_ssl=NO
'''
        self.write('etc/vsftpd.conf', f'''listen=YES
listen_address=127.0.0.1
listen_port={self.ftp}
anonymous_enable=NO
local_enable=YES
write_enable=YES
chroot_local_user=YES
allow_writeable_chroot=YES
secure_chroot_dir=/var/run/vsftpd/empty
xferlog_enable=YES
max_clients=0
max_per_ip=0
{tls if self.tls else ""}''')

    def command(self):     # as process 1 it would inherit strangers, and end
        return 'sh', '-c', 'vsftpd /etc/vsftpd.conf; exit'


class Proftpd(FtpPeer):
    ahead = True

    def __init__(self, *where, **how):
        super().__init__('proftpd', 'proftpd-core', 'ProFTPD', *where, **how)
        tls = '''LoadModule mod_tls.c
TLSEngine on
TLSRequired off
TLSECCertificateFile /etc/cert.pem
TLSECCertificateKeyFile /etc/key.pem
'''
        os.makedirs(f'{self.root}/var/log/proftpd')
        os.makedirs(f'{self.root}/run/proftpd')
        self.write('etc/proftpd/proftpd.conf', f'''ModulePath /usr/lib/proftpd
LoadModule mod_deflate.c
DeflateEngine on
ServerType standalone
ServerName bench
DefaultAddress 127.0.0.1
UseIPv6 off
Port {self.ftp}
User nobody
Group nogroup
AuthOrder mod_auth_unix.c
DefaultRoot ~
AllowOverwrite on
UseReverseDNS off
DelayEngine off
MaxInstances none
ScoreboardFile /run/proftpd/scoreboard
TransferLog /var/log/proftpd/xferlog
WtmpLog off
SystemLog /var/log/proftpd/proftpd.log
{tls if self.tls else ""}''')

    def command(self):
        return 'proftpd', '-n', '-c', '/etc/proftpd/proftpd.conf'


class PureFtpd(FtpPeer):
    def __init__(self, *where, **how):
        super().__init__('pure-ftpd', 'pure-ftpd', 'Pure-FTPd', *where, **how)
        with open(f'{self.root}/etc/key.pem') as key, open(f'{self.root}/etc/cert.pem') as certificate:
            self.write('etc/both.pem', key.read() + certificate.read())
        os.makedirs(f'{self.root}/var/run', exist_ok=True)

    def command(self):
        tls = ('--tls=1', '--certfile=/etc/both.pem') if self.tls else ('--tls=0',)
        return ('pure-ftpd', '-S', f'127.0.0.1,{self.ftp}', '-A', '-E', '-H', '-l', 'unix', '-c', '10000', '-C', '10000',
                '-L', '100000:8', '-f', 'none', '-O', 'clf:/var/log/transfers', *tls)


class Pyftpdlib(FtpPeer):
    many = True

    def __init__(self, *where, **how):
        super().__init__('pyftpdlib', 'python3-pyftpdlib', 'pyftpdlib', *where, **how)
        handler = 'TLS_FTPHandler' if self.tls else 'FTPHandler'
        self.write('etc/server.py', f'''import logging, os, resource
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import {handler}
from pyftpdlib.servers import FTPServer

resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
logging.basicConfig(filename='/var/log/pyftpdlib', level=logging.INFO)
accounts = DummyAuthorizer()
accounts.add_user('{self.account}', '{self.password}', '/srv', perm='elradfmwMT')
handler = {handler}
handler.authorizer = accounts
{"handler.certfile = '/etc/both.pem'" if self.tls else ""}
server = FTPServer(('127.0.0.1', {self.ftp}), handler)
server.max_cons = 20000
os.setgid({OWNER})
os.setuid({OWNER})
server.serve_forever()
''')
        with open(f'{self.root}/etc/key.pem') as key, open(f'{self.root}/etc/cert.pem') as certificate:
            self.write('etc/both.pem', key.read() + certificate.read())
        self.write('var/log/pyftpdlib', '')
        self.own(f'{self.root}/var/log/pyftpdlib')
        self.own(f'{self.root}/etc/both.pem')

    def command(self):
        return 'python3', '/etc/server.py'


FTP_PEERS = [Vsftpd, Proftpd, PureFtpd, Pyftpdlib]
