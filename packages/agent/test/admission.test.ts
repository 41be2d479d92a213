/** Whether a connection is admitted: strangers, however many, take nothing from members, and the most greedy of them gives way first. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Admission, type AdmissionLimits, groupOf, limitsFor } from '../src/access/admission.ts';

const LIMITS: AdmissionLimits = {
  strangers: 20,
  perAddress: 5,
  perLoopback: 10,
  known: 12,
  perHolder: 4,
  connects: { atOnce: 50, perS: 10 },
  requests: { atOnce: 6, perS: 2 },
};
const never = () => false;

/** Connections that are open by its account. */
class Port {
  readonly admission = new Admission(LIMITS);
  readonly open = new Set<string>();
  nowMs = 0;
  #next = 0;

  connect(address: string, isMemberHost = never): string | null {
    const id = `c${this.#next++}`;
    const arrival = this.admission.arrive(id, address, this.nowMs, isMemberHost);
    if (arrival.kind === 'refused') return null;
    this.open.add(id);
    this.end(arrival.evict);
    return id;
  }

  known(address: string, holder: string): string {
    const id = this.connect(address, () => true);
    assert.ok(id !== null);
    this.end(this.admission.recognise(id, holder));
    return id;
  }

  end(ids: readonly string[]): void {
    for (const id of ids) assert.ok(this.open.delete(id), `${id} was open`);
  }
}

describe('admission', () => {
  it('keeps what is known, whatever strangers do', () => {
    const address = fc.constantFrom('127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.9', '2001:db8::1', '2001:db8::2');
    const step = fc.record({ address, known: fc.boolean(), busy: fc.boolean(), afterMs: fc.nat(300) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const port = new Port();
        const members: string[] = [];
        for (const { address, known, busy, afterMs } of steps) {
          port.nowMs += afterMs;
          if (known && members.length < 4) members.push(port.known(address, 'member n2'));
          else {
            const id = port.connect(address);
            if (id !== null) port.admission.setBusy(id, busy);
          }
          for (const id of members) assert.ok(port.open.has(id), 'a member was ended for a stranger');
          const { strangers, known: held } = port.admission.size;
          assert.equal(strangers + held, port.open.size);
          assert.ok(strangers <= LIMITS.strangers && held <= LIMITS.known);
        }
      }),
    );
  });

  it('always lets the newest in, for long enough to show who it is', () => {
    const port = new Port();
    for (let i = 0; i < 1_000; i++) port.connect('127.0.0.1');
    const id = port.connect('127.0.0.1');
    assert.ok(id !== null && port.open.has(id));
    for (let i = 1; i < LIMITS.perLoopback; i++) port.connect('127.0.0.1');
    assert.ok(port.open.has(id), 'as many more as there is room for do not end it');
    port.connect('127.0.0.1');
    assert.ok(!port.open.has(id));
  });

  it('ends the oldest of whoever holds most, those without a request first', () => {
    const port = new Port();
    const greedy = Array.from({ length: 5 }, () => port.connect('10.0.0.2'));
    const [first, second] = greedy;
    assert.ok(first && second);
    port.admission.setBusy(first, true);
    port.connect('10.0.0.2');
    assert.ok(port.open.has(first) && !port.open.has(second), 'one address at its limit gives up its own');
    for (let i = 3; i < 40; i++) port.connect(`10.0.1.${i}`);
    assert.equal(port.open.size, LIMITS.strangers);
  });

  it('leaves a quiet address alone while another one floods', () => {
    const port = new Port();
    const quiet = port.connect('10.0.0.1');
    assert.ok(quiet);
    for (let i = 0; i < 16; i++) port.connect(`10.1.${i % 3}.1`);
    for (let i = 0; i < 30; i++) port.connect('10.2.0.1');
    assert.ok(port.open.has(quiet));
  });

  it('refuses an address that connects too often, but neither this machine nor the host of a member', () => {
    const port = new Port();
    const tries = (address: string, isMemberHost = never) =>
      Array.from({ length: 100 }, () => port.connect(address, isMemberHost)).filter((id) => id === null).length;
    assert.equal(tries('10.0.0.1'), 50);
    assert.equal(tries('127.0.0.1'), 0);
    assert.equal(
      tries('10.0.0.2', () => true),
      0,
    );
    port.known('10.0.0.3', 'member n3');
    assert.equal(tries('10.0.0.3'), 0);
    port.known('10.0.0.4', 'token ops');
    assert.equal(tries('10.0.0.4'), 51);
    port.nowMs += 1_000;
    assert.equal(tries('10.0.0.1'), 90, 'ten more each second');
  });

  it('bounds what one holder has, and lets nobody else pay for it', () => {
    const port = new Port();
    const member = port.known('10.0.0.1', 'member n2');
    for (let i = 0; i < 50; i++) port.known('10.0.0.1', 'token ops');
    assert.ok(port.open.has(member));
    assert.equal(port.admission.size.known, 1 + LIMITS.perHolder);
  });

  it('answers so many requests of a stranger, and more of this machine', () => {
    const { admission } = new Port();
    const asked = (address: string, nowMs: number) =>
      Array.from({ length: 200 }, () => admission.mayAsk(address, nowMs)).filter((may) => may).length;
    assert.deepEqual([asked('10.0.0.1', 0), asked('10.0.0.1', 1_000), asked('127.0.0.1', 0)], [6, 2, 60]);
  });

  it('leaves the neighbours of a host of IPv6 that floods alone, and bounds what many addresses of its network take', () => {
    const port = new Port();
    const balancer = port.connect('2001:db8::2');
    for (let i = 0; i < 40; i++) port.connect('2001:db8::1');
    assert.ok(balancer !== null && port.open.has(balancer));
    assert.equal(port.open.size, 1 + LIMITS.perAddress);
    assert.ok(port.connect('2001:db8::2'), 'it may still connect');
    const asked = (address: string): number =>
      Array.from({ length: 20 }, () => port.admission.mayAsk(address, 0)).filter((may) => may).length;
    assert.deepEqual([asked('2001:db8::1'), asked('2001:db8::2')], [6, 6]);
    for (let i = 3; i < 30; i++) asked(`2001:db8::${i}`);
    assert.deepEqual([asked('2001:db8::99'), asked('2001:db8:0:1::1')], [0, 6], 'four times one address, and no more');
    const large = new Admission({ ...LIMITS, strangers: 100 });
    for (let i = 0; i < 90; i++) large.arrive(`c${i}`, `2001:db8::${i}`, i * 1_000, never);
    assert.equal(large.size.strangers, 4 * LIMITS.perAddress);
  });

  it('takes the hosts of an IPv6 network for one, and an IPv4 address in IPv6 for what it is', () => {
    assert.equal(groupOf('2001:db8:0:7::1'), groupOf('2001:0db8:0000:0007:ffff::9'));
    assert.notEqual(groupOf('2001:db8:0:7::1'), groupOf('2001:db8:0:8::1'));
    assert.equal(groupOf('::ffff:10.0.0.1'), groupOf('10.0.0.1'));
    assert.equal(groupOf('fe80::1%eth0'), groupOf('fe80::2%eth1'));
  });

  it('leaves files for the rest of the agent where the process may have few', () => {
    const few = limitsFor(1_024);
    assert.ok(few.strangers + few.known <= 256);
    assert.equal(limitsFor(1_000_000).strangers, 512);
  });
});
