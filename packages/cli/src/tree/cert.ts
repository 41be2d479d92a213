import { type Command, Option } from 'commander';
import { integer, type Tree, withCommon, withExamples } from './define.ts';

/** `cert ca|node|client|show`: the certificates of a cluster on several hosts. */
export function addCertCommands({ program, attach }: Tree): void {
  const cert = program
    .command('cert')
    .summary('make, renew and inspect the certificates of a cluster')
    .helpGroup('On each host:');
  cert.description(
    'A small certificate authority for a cluster on several hosts: for its servers, agents and etcd (docs/three-hosts.md uses it).\n' +
      'Clusters of "understudy up" make their own.',
  );
  withExamples(cert.helpOption('-h, --help', 'show this help'), [
    ['understudy cert ca --dir ./ca', 'once'],
    ['understudy cert node --ca ./ca --name n1 --ip 10.0.0.1 --out ./n1', 'for each host'],
    ['understudy cert show ./n1.pem', ''],
  ]);

  const ca = cert
    .command('ca')
    .description(
      'Makes an authority: DIR/ca.pem, which every host gets, and DIR/ca.key, which signs and stays in that folder.\n' +
        'A renewed one has the same key and name: what it signed stays valid.',
    )
    .requiredOption('--dir <folder>', 'folder of the authority; made with mode 0700')
    .option('--name <name>', 'its name (default: understudy cluster authority)')
    .addOption(days('3650'));
  withExamples(withCommon(withExisting(ca)), [
    ['understudy cert ca --dir ./ca', ''],
    ['understudy cert ca --dir ./ca --renew', 'before it expires'],
  ]);
  attach(ca, async () => (await import('../commands/cert-make.ts')).ca);

  const node = cert
    .command('node')
    .description(
      'Makes a certificate and its key, OUT.pem and OUT.key, for a host of the cluster: as server and as client.\n' +
        'Other hosts reach it by these names and addresses only. A renewed certificate has the same key\n' +
        'and, without new ones here, the same names. Agents give it to their servers while they run.',
    )
    .option('--host <name...>', 'host name')
    .option('--ip <address...>', 'IPv4 or IPv6 address')
    .option('--localhost', 'also localhost, 127.0.0.1 and ::1');
  withExamples(withCommon(withExisting(withSigner(node))), [
    ['understudy cert node --ca ./ca --name n1 --host db1.example --ip 10.0.0.1 --out ./n1', ''],
    ['understudy cert node --ca ./ca --name n1 --out ./n1 --renew', 'the same names, another 825 days'],
  ]);
  attach(node, async () => (await import('../commands/cert-make.ts')).node);

  const client = cert
    .command('client')
    .description(
      'Makes a certificate and its key, OUT.pem and OUT.key, for an operator or a monitor.\n' +
        'Agents with api.tls accept it; api.certificates in their files says what it may change. With --etcd it is for store.tls:\n' +
        'it has no common name, so that etcd with users asks for user and password.',
    )
    .option('--etcd', 'for an agent at an etcd with users: NAME is the organization, there is no common name');
  withExamples(withCommon(withExisting(withSigner(client))), [
    ['understudy cert client --ca ./ca --name alice --out ./alice --days 90', ''],
    ['understudy cert client --etcd --ca ./ca --name n1 --out ./n1/etcd-client', 'for store.tls'],
  ]);
  attach(client, async () => (await import('../commands/cert-make.ts')).client);

  const show = cert
    .command('show')
    .description(
      'Shows the holder, names and end of certificates. Warns of those that end within 30 days.\n' +
        'Exit code 1 when one is expired or not valid yet.',
    )
    .argument('<file...>', 'PEM files');
  withExamples(withCommon(show), [
    ['understudy cert show ./n1.pem', ''],
    ['understudy cert show /etc/understudy/ca.pem --json', ''],
  ]);
  attach(show, async () => (await import('../commands/cert-show.ts')).show);
}

const days = (usual: string): Option =>
  new Option('--days <number>', `how long it holds (default: ${usual})`).argParser(integer(1, 36_500));

function withSigner(command: Command): Command {
  return command
    .requiredOption('--ca <folder>', 'folder of the authority that signs')
    .requiredOption('--name <name>', 'whose it is: the name of the member, or of a person')
    .requiredOption('--out <prefix>', 'PREFIX.pem and PREFIX.key are made')
    .addOption(days('825'));
}

function withExisting(command: Command): Command {
  return command
    .addOption(new Option('--renew', 'where there is one: a new certificate for the same key').conflicts('force'))
    .option('--force', 'where there is one: another key and certificate');
}
