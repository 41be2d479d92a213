/** The API under TLS with client certificates: agents reach each other, strangers do not, and a trusted certificate may change things. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { statusViewSchema } from '../src/index.ts';
import { type CertificateFiles, makeCertificates } from './support/certificates.ts';
import { eventually } from './support/eventually.ts';
import { TestCluster, type TestNode } from './support/nodes.ts';

interface Shown {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

async function pem(files: CertificateFiles): Promise<Required<Shown>> {
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map((file) => readFile(file, 'utf8')));
  return { ca: ca ?? '', cert: cert ?? '', key: key ?? '' };
}

function call(
  node: TestNode,
  method: string,
  path: string,
  shown: Shown,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(`${node.apiUrl}${path}`, { method, ...shown, agent: false, timeout: 5_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject);
    call.end();
  });
}

for (const clientCert of ['optional', 'required'] as const) {
  describe(`TLS, client certificates ${clientCert}`, { timeout: 120_000 }, () => {
    let folder: string;
    let cluster: TestCluster;
    let node: TestNode;
    let ours: Required<Shown>;
    let foreign: Required<Shown>;
    let alice: Required<Shown>;
    let looker: Required<Shown>;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'us-tls-'));
      const files = await makeCertificates(folder, 'ours');
      [ours, foreign] = [await pem(files), await pem(await makeCertificates(folder, 'foreign'))];
      alice = await pem(await makeCertificates(folder, 'alice', 'ours'));
      looker = await pem(await makeCertificates(folder, 'somebody', 'ours'));
      const certificates = [
        { name: 'alice', role: 'operate' },
        { name: 'ours', role: 'member' },
      ] as const;
      cluster = await TestCluster.make(['n1', 'n2'], {
        tls: { ...files, clientCert },
        api: { certificates: [...certificates] },
      });
      node = cluster.node('n1');
      for (const each of cluster.nodes) cluster.start(each);
    });
    after(async () => {
      await cluster.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    it('lets agents hear each other', async () => {
      await eventually('both fresh', async () => {
        const { text } = await call(node, 'GET', '/understudy/status', ours);
        const { members } = statusViewSchema.parse(JSON.parse(text));
        return members.some(({ agent }) => agent.kind === 'fresh') ? true : null;
      });
    });

    it('takes from the holder of a certificate what its name may do, and says how more is allowed', async () => {
      const { status, text } = await call(node, 'POST', '/reload', alice);
      assert.equal(status, 200, text);
      const more = await call(node, 'POST', '/understudy/detach', alice);
      assert.equal(more.status, 403);
      assert.match(more.text, /ROLE_MISSING.*alice may operate.*name: alice, role: admin/);
    });

    it('takes no change with the certificate of a member, or one that nobody named', async () => {
      for (const shown of [ours, looker]) {
        assert.equal((await call(node, 'GET', '/understudy/status', shown)).status, 200);
        for (const path of ['/reload', '/failover', '/understudy/pause', '/understudy/copy']) {
          if (shown === ours && path === '/understudy/copy') continue;
          const { status, text } = await call(node, 'POST', path, shown);
          assert.equal(status, 403, `${path}: ${text}`);
        }
      }
    });

    it('takes no change from anybody else', async () => {
      const attempts: readonly Shown[] = [{ ca: ours.ca }, { ...foreign, ca: ours.ca }];
      for (const shown of attempts) {
        if (clientCert === 'required') await assert.rejects(call(node, 'POST', '/reload', shown));
        else assert.equal((await call(node, 'POST', '/reload', shown)).status, 401);
      }
    });

    it('answers questions as far as the configuration says', async () => {
      const anonymous = call(node, 'GET', '/health', { ca: ours.ca });
      if (clientCert === 'required') await assert.rejects(anonymous);
      else assert.ok([200, 503].includes((await anonymous).status));
    });
  });
}
