/** Connection strings as libpq reads them; the expectations are those of PostgreSQL's own uri-regress tests and documentation. */
import fc from 'fast-check';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../base/errors/app-error.ts';
import { describeEndpoint, redactConninfo, type Ambient, type ConnInfo } from './conninfo.ts';
import { parseConninfo } from './parse.ts';

const parse = (text: string, ambient?: Ambient) => parseConninfo(text, 'source', ambient);
const shown = ({ hosts }: ConnInfo) => hosts.map(({ host, port }) => `${host} ${port}`).join(', ');

function failure(text: string, ambient?: Ambient): AppError {
  try {
    parse(text, ambient);
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error(`accepted: ${text}`);
}

describe('a URI', () => {
  it.each<[string, string, Partial<ConnInfo>]>([
    ['postgresql://u@h/d', 'h 5432', { user: 'u', database: 'd', password: null }],
    ['postgres://u:p@h:6543/d', 'h 6543', { user: 'u', database: 'd', password: 'p' }],
    ['postgresql://u@h', 'h 5432', { database: 'u' }],
    ['postgresql://u@', 'localhost 5432', { database: 'u' }],
    ['postgresql:///d?user=u', 'localhost 5432', { user: 'u', database: 'd' }],
    ['postgresql://u@:6543/d', 'localhost 6543', {}],
    ['postgresql://u@h1:1,h2,h3:3/d', 'h1 1, h2 5432, h3 3', {}],
    ['postgresql://u@h1,h2/d?port=7', 'h1 7, h2 7', {}],
    ['postgresql://u@[::1]:6543/d', '::1 6543', {}],
    ['postgresql://u@[2001:db8::1],[fe80::1]/d', '2001:db8::1 5432, fe80::1 5432', {}],
    ['postgresql://u@%2Fvar%2Frun/d', '/var/run 5432', {}],
    ['postgresql://u@/d?host=/tmp&port=6543', '/tmp 6543', {}],
    ['postgresql://u@h/d?host=other', 'other 5432', {}],
    [
      'postgresql://%75%20x:p%40ss%2Fw%3Ard@h/d%20b',
      'h 5432',
      { user: 'u x', password: 'p@ss/w:rd', database: 'd b' },
    ],
    ['postgresql://u:a?b#c+d@h/d', 'h 5432', { password: 'a?b#c+d' }],
    ['postgresql://u@h/d?password=x%26y', 'h 5432', { password: 'x&y' }],
    ['postgresql://u@h/d?connect_timeout=3', 'h 5432', { connectTimeoutSeconds: 3 }],
    ['postgresql://u@h/d?connect_timeout=0', 'h 5432', { connectTimeoutSeconds: 0 }],
    ['postgresql://u@h/d?options=-c%20a%3Db', 'h 5432', { options: '-c a=b' }],
    [
      'postgresql://u@h/d?target_session_attrs=prefer-standby',
      'h 5432',
      { targetSessionAttrs: 'prefer-standby' },
    ],
    ['  postgresql://u@h/d\n', 'h 5432', { database: 'd' }],
  ])('%s is read', (text, hosts, expected) => {
    const info = parse(text);
    expect(shown(info)).toBe(hosts);
    expect(info).toMatchObject(expected);
  });

  it('takes ssl=true, as JDBC writes it, for sslmode=require', () => {
    expect(parse('postgresql://u@h/d?ssl=true').ssl.mode).toBe('require');
  });

  it.each([
    ['postgresql://u:pa@ss@h/d', /"@" or "\/" too many/],
    ['postgresql://u:12/secret@h/d', /"@" or "\/" too many/],
    ['postgresql://u:secret/word@h/d', /"@" or "\/" too many/],
    ['postgresql://u@::1/d', /a host cannot be read/],
    ['postgresql://u@[::1/d', /a host cannot be read/],
    ['postgresql://u@h:abc/d', /a host cannot be read/],
    ['postgresql://u@h:0/d', /a port is not a number/],
    ['postgresql://u@h:65536/d', /a port is not a number/],
    ['postgresql://u@h/d?port=abc', /a port is not a number/],
    ['postgresql://u@h/d%zz', /percent encoding of dbname is broken/],
    ['postgresql://u@h/d%00', /dbname contains %00/],
    ['postgresql://u@h/d?sslmode', /a parameter has no "="/],
    ['postgresql://u@h/d?sslmdoe=require', /unknown parameter "sslmdoe" \(did you mean "sslmode"\?\)/],
    ['postgresql://u@h/d?uselibpqcompat=true', /unknown parameter "uselibpqcompat"\./],
    ['postgresql://u@h/d?sslmode=no-verify', /sslmode is "no-verify"; it may be disable, allow/],
    ['postgresql://u@h1,h2,h3/d?port=1,2', /3 hosts but 2 ports/],
    ['postgresql://u@h1,h2/d?hostaddr=10.0.0.1', /2 hosts but 1 hostaddr/],
    ['postgresql://u@h/d?hostaddr=name', /hostaddr is not an IP address/],
    ['postgresql://u@h/d?connect_timeout=soon', /connect_timeout is not a number/],
    ['postgresql://h/d', /the user is missing/],
  ])('%s is refused', (text, reason) => {
    const error = failure(text);
    expect(error.code).toBe('CONNINFO_INVALID');
    expect(error.message).toMatch(reason);
  });
});

describe('a keyword/value string', () => {
  it.each<[string, string, Partial<ConnInfo>]>([
    ['host=h dbname=d user=u', 'h 5432', { database: 'd', user: 'u' }],
    ['host = h  dbname= d\n user =u', 'h 5432', { database: 'd', user: 'u' }],
    ["user=u dbname='my db' password='it\\'s'", 'localhost 5432', { database: 'my db', password: "it's" }],
    ["user=u password='back\\\\slash'", 'localhost 5432', { password: 'back\\slash' }],
    ['user=u password=a\\ b', 'localhost 5432', { password: 'a b' }],
    ["user=u password=''", 'localhost 5432', { password: null }],
    ["user=u password='a=b c'", 'localhost 5432', { password: 'a=b c' }],
    ['user=u user=v', 'localhost 5432', { user: 'v' }],
    ['user=u host=a,b port=1,2', 'a 1, b 2', {}],
    ['user=u host=a,b port=1,', 'a 1, b 5432', {}],
    ['user=u host=/tmp', '/tmp 5432', {}],
    ['user=u hostaddr=10.0.0.1,::1', '10.0.0.1 5432, ::1 5432', {}],
    ["user=u options='-c statement_timeout=5s'", 'localhost 5432', { options: '-c statement_timeout=5s' }],
  ])('%s is read', (text, hosts, expected) => {
    const info = parse(text);
    expect(shown(info)).toBe(hosts);
    expect(info).toMatchObject(expected);
  });

  it('connects to hostaddr and keeps the name for the certificate', () => {
    expect(parse('user=u host=db.example hostaddr=10.0.0.1').hosts).toEqual([
      { host: 'db.example', address: '10.0.0.1', port: 5432, password: null },
    ]);
  });

  it.each([
    ['mydb', /neither a URI nor keyword=value/],
    ['mysql://u:p@h/d', /neither a URI nor keyword=value/],
    ['user=u dbname=my db', /a word without "=" after "dbname"/],
    ["user=u password='open", /the quote of "password" is not closed/],
    ['user=u hots=h', /did you mean "host"/],
    ['user=u host=@abstract', /abstract sockets are not supported/],
    ['user=u service=x', /service file is read by the command line only/],
  ])('%s is refused', (text, reason) => {
    expect(failure(text).message).toMatch(reason);
  });

  it('gives back any values that were quoted by the rules', () => {
    const value = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !text.includes('\0'));
    const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
    fc.assert(
      fc.property(value, value, value, (user, password, dbname) => {
        const info = parse(`user=${quote(user)} password = ${quote(password)} dbname=${quote(dbname)}`);
        expect(info).toMatchObject({ user, password, database: dbname });
      }),
    );
  });
});

describe('parameters without a meaning here', () => {
  it.each([
    'application_name=x fallback_application_name=y client_encoding=latin1 replication=database',
    'keepalives=1 keepalives_idle=1 keepalives_interval=1 keepalives_count=1 tcp_user_timeout=5',
    'load_balance_hosts=random sslcompression=0 sslsni=1 krbsrvname=x gsslib=y gssdelegation=0',
    'gssencmode=prefer channel_binding=prefer sslcertmode=allow min_protocol_version=3.0',
    "gssencmode=disable channel_binding=disable sslcrl='' require_auth=''",
  ])('are accepted: %s', (text) => {
    expect(parse(`user=u ${text}`).user).toBe('u');
  });

  it.each([
    'sslcrl=x',
    'sslcrldir=x',
    'channel_binding=require',
    'gssencmode=require',
    'sslpassword=x',
    'requirepeer=x',
    'require_auth=scram-sha-256',
    'sslcertmode=require',
    'scram_client_key=x',
  ])('are refused when ignoring them would break a promise: %s', (text) => {
    const name = text.split('=')[0];
    expect(failure(`user=u ${text}`).message).toContain(`parameter "${name}" is not supported`);
  });
});

describe('sslmode', () => {
  it.each([
    ['sslmode=verify-full', /needs a root certificate/],
    ['sslmode=verify-ca', /needs a root certificate/],
    ['sslrootcert=system sslmode=require', /sslrootcert=system needs sslmode=verify-full, not require/],
    ['sslnegotiation=direct', /sslnegotiation=direct needs sslmode=require or stronger, not prefer/],
    ['ssl_min_protocol_version=1.2', /it may be TLSv1, /],
  ])('refuses %s', (text, reason) => {
    expect(failure(`user=u ${text}`).message).toMatch(reason);
  });

  it('is prefer when not given, and verify-full with the certificates of the machine', () => {
    expect(parse('user=u').ssl).toEqual({
      mode: 'prefer',
      negotiation: 'postgres',
      rootCert: null,
      cert: null,
      key: null,
      minProtocol: null,
      maxProtocol: null,
    });
    expect(parse('user=u sslrootcert=system').ssl.mode).toBe('verify-full');
  });
});

describe('what surrounds the command', () => {
  let home = '';
  let warnings: string[] = [];
  const ambient = (env: Record<string, string> = {}): Ambient => ({
    env,
    home,
    osUser: 'me',
    warn: (text) => warnings.push(text),
  });
  const write = (name: string, text: string, mode = 0o600) => {
    const path = join(home, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'opendts-home-'));
    warnings = [];
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('gives the user of the operating system, whose name is the database too', () => {
    expect(parse('host=h', ambient())).toMatchObject({ user: 'me', database: 'me' });
  });

  it('reads every variable of libpq', () => {
    const info = parse(
      '',
      ambient({
        PGHOST: 'a,b',
        PGHOSTADDR: '10.0.0.1,10.0.0.2',
        PGPORT: '1,2',
        PGDATABASE: 'd',
        PGUSER: 'u',
        PGPASSWORD: 'p',
        PGSSLMODE: 'verify-ca',
        PGSSLROOTCERT: '/root',
        PGSSLCERT: '/cert',
        PGSSLKEY: '/key',
        PGSSLNEGOTIATION: 'direct',
        PGCONNECT_TIMEOUT: '4',
        PGOPTIONS: '-c x=y',
        PGTARGETSESSIONATTRS: 'primary',
        PGAPPNAME: 'ignored',
      }),
    );
    expect(info).toEqual({
      hosts: [
        { host: 'a', address: '10.0.0.1', port: 1, password: null },
        { host: 'b', address: '10.0.0.2', port: 2, password: null },
      ],
      targetSessionAttrs: 'primary',
      database: 'd',
      user: 'u',
      password: 'p',
      ssl: {
        mode: 'verify-ca',
        negotiation: 'direct',
        rootCert: '/root',
        cert: '/cert',
        key: '/key',
        minProtocol: null,
        maxProtocol: null,
      },
      connectTimeoutSeconds: 4,
      options: '-c x=y',
    });
  });

  it('comes after the string and the service, and a variable that is empty is not set', () => {
    write('.pg_service.conf', '# mine\n[other]\nhost=wrong\n[svc]\nhost=from-service\nuser=from-service\n\n');
    const env = { PGHOST: 'from-env', PGUSER: 'from-env', PGDATABASE: 'from-env', PGPORT: '' };
    const info = parse('service=svc user=from-string', ambient(env));
    expect(info).toMatchObject({ user: 'from-string', database: 'from-env' });
    expect(shown(info)).toBe('from-service 5432');
    expect(shown(parse('', ambient({ ...env, PGSERVICE: 'svc' })))).toBe('from-service 5432');
  });

  it('reads the service file that is named, and says which service or line is wrong', () => {
    const file = write('services', '[a]\nhost=h\n[b]\nhots=h\n[c]\nservice=a\n');
    expect(shown(parse('service=a', ambient({ PGSERVICEFILE: file })))).toBe('h 5432');
    expect(failure('service=none', ambient({ PGSERVICEFILE: file })).message).toContain(
      '"none" is not defined',
    );
    expect(failure('service=b', ambient({ PGSERVICEFILE: file })).message).toContain('did you mean "host"');
    expect(failure('service=c', ambient({ PGSERVICEFILE: file })).message).toContain('line 6');
    expect(failure('service=a', ambient({ PGSERVICEFILE: `${file}x` })).message).toContain('does not exist');
  });

  it('refuses a promise of the environment that would not be kept', () => {
    expect(failure('user=u', ambient({ PGCHANNELBINDING: 'require' })).message).toContain('channel_binding');
  });

  it('looks each host up in the password file, first match first', () => {
    write(
      '.pgpass',
      [
        '# a comment',
        'a:1:d:u:for-a',
        'b:*:*:u:with\\:colon\\\\',
        'localhost:5432:d:u:socket',
        '*:*:\\*:u:star',
        'short:line',
        '*:*:d:u:last',
      ].join('\n'),
    );
    const passwords = (text: string) => parse(text, ambient()).hosts.map(({ password }) => password);
    expect(passwords('user=u dbname=d host=a,b,c port=1,2,3')).toEqual(['for-a', 'with:colon\\', 'last']);
    expect(passwords('user=u dbname=d host=/tmp')).toEqual(['socket']);
    expect(passwords('user=u dbname=* host=c')).toEqual(['star']);
    expect(passwords('user=v dbname=d host=a')).toEqual([null]);
    expect(passwords('user=u dbname=d host=a port=1 password=given')).toEqual([null]);
    expect(warnings).toEqual([]);
  });

  it('ignores a password file others can read, with a warning', () => {
    const open = write('mypass', '*:*:*:*:x', 0o640);
    expect(parse('user=u host=a', ambient({ PGPASSFILE: open })).hosts[0]?.password).toBeNull();
    expect(warnings).toEqual([expect.stringContaining(`chmod 600 ${open}`)]);
    chmodSync(open, 0o600);
    expect(parse('user=u host=a', ambient({ PGPASSFILE: open })).hosts[0]?.password).toBe('x');
    expect(parse(`user=u host=a passfile=${open}`, ambient()).hosts[0]?.password).toBe('x');
  });

  it('uses the certificates of the home folder when they are there', () => {
    const root = write('.postgresql/root.crt', 'x');
    const cert = write('.postgresql/postgresql.crt', 'x');
    const key = write('.postgresql/postgresql.key', 'x');
    expect(parse('sslmode=verify-full', ambient()).ssl).toMatchObject({ rootCert: root, cert, key });
  });

  it('is not looked at without the command line', () => {
    const saved = process.env.PGHOST;
    process.env.PGHOST = 'from-env';
    try {
      expect(shown(parse('user=u'))).toBe('localhost 5432');
    } finally {
      if (saved === undefined) delete process.env.PGHOST;
      else process.env.PGHOST = saved;
    }
  });
});

describe('a connection as shown to people', () => {
  it.each([
    ['postgresql://u:p@h:1,[::1]:2/d', 'h:1,[::1]:2/d'],
    ['user=u host=/tmp dbname=d', '/tmp/.s.PGSQL.5432/d'],
  ])('%s is %s', (text, shownAs) => {
    expect(describeEndpoint(parse(text))).toBe(shownAs);
  });

  it('is a URI that means the same without the password', () => {
    const name = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !text.includes('\0'));
    const host = fc.constantFrom('h', '::1', '/tmp/a b', 'db.example', '10.0.0.1');
    const port = fc.integer({ min: 1, max: 65_535 });
    const hosts = fc.array(
      fc.record({ host, port, address: fc.constant(null), password: fc.constant(null) }),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(hosts, name, name, name, (addresses, user, database, options) => {
        const info: ConnInfo = {
          ...parse('user=u sslmode=verify-full sslrootcert=/a%20b&c sslcert=/c sslkey=/k connect_timeout=3'),
          targetSessionAttrs: 'read-write',
          hosts: addresses,
          user,
          database,
          options,
        };
        const uri = redactConninfo({ ...info, password: 'M4rker' });
        expect(uri).not.toContain('M4rker');
        expect(parse(uri)).toEqual(info);
      }),
    );
    const named = parse('user=u host=a,b hostaddr=10.0.0.1,10.0.0.2');
    expect(parse(redactConninfo(named))).toEqual(named);
  });
});

describe('a password', () => {
  it.each([
    'postgresql://u:M4rker@h:x/d',
    'postgresql://u:M4rker@x@h/d',
    'postgresql://u:x@M4rker@h/d',
    'postgresql://u:x/M4rker@h/d',
    'postgresql://u:M4rker/x@h/d',
    'postgresql://u:%zzM4rker@h/d',
    'postgresql://u:M4rker@h/d?sslmdoe=x',
    'postgresql://u@h/d?password=x&M4rker=y',
    'postgresql://u@h/d?password=x&M4rker',
    'postgresql://u@h/d?password=M4rker%zz',
    'postgresql://u:M4rker@h/d?sslmode=verify-full',
    'user=u password=x M4rker',
    'user=u password=x M4rker=y',
    "user=u password='M4rker",
    'user=u password=M4rker host=a port=x',
    'mysql://u:M4rker@h/d',
  ])('stays out of the error for %s', (text) => {
    const error = failure(text);
    expect(
      `${inspect(error, { depth: 9, showHidden: true })}${error.remedy}${JSON.stringify(error)}`,
    ).not.toContain('M4rker');
  });
});
