import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { NodeCertificates } from './certificates.ts';

/** Whom to believe, and who we are where that is asked; texts in PEM form. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface HttpsCall {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For the whole exchange. */
  readonly timeoutMs: number;
}

const answerBytesMax = 32 * 1024 * 1024;

/** Reads the files of one node. */
export async function readMaterial({ ca, cert, key }: NodeCertificates): Promise<Required<TlsMaterial>> {
  const [caText, certText, keyText] = await Promise.all([
    readFile(ca, 'utf8'),
    readFile(cert, 'utf8'),
    readFile(key, 'utf8'),
  ]);
  return { ca: caText, cert: certText, key: keyText };
}

/** One exchange with a server of the cluster's own authority, which `fetch` cannot be told of. @throws the connection's error */
export function callHttps(
  { method, url, headers, body, timeoutMs }: HttpsCall,
  tls: TlsMaterial,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const call = request(
      url,
      { method, headers: { ...headers, ...length }, ...tls, agent: false, signal },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => {
          text += part;
          if (text.length > answerBytesMax)
            answer.destroy(new Error(`the answer is longer than ${answerBytesMax} bytes`));
        });
        answer.once('error', reject);
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    call.once('error', reject);
    call.end(body);
  });
}
