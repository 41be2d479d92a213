// Goal: clients with channel binding get in, whatever hash the certificate is signed with.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { endPointOf } from '../src/worker/client/channel-binding.ts';

const CERTIFICATES: readonly (readonly [string, string])[] = [
  [
    'sha256',
    `-----BEGIN CERTIFICATE-----
MIIBcDCCARWgAwIBAgIUMvd0GzwkPz/us6nS6t/LA9slX6QwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjEyMDEwMDI5NTBaGA8yMTI2MTEwNzAwMjk1MFow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBAdxcGkVJnM
SWBNMn4y/832TTkKm86dmvvz4NpqJHO380Aqqi/XepDFSWtYpvL/v0G89YjUmmbp
5Jv83z0s7UyjUzBRMB0GA1UdDgQWBBRc9cU0foheIeTudA9UtMbWu1Xw/TAfBgNV
HSMEGDAWgBRc9cU0foheIeTudA9UtMbWu1Xw/TAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQC5HQTpNTAqm7yxZIpDJp+sB7gTyKRKyrG5QYjzDptl
EQIhANNOow5ZE6c/XcBWu1q5WAzaoGpsUVJR8VFN77/XF9NW
-----END CERTIFICATE-----`,
  ],
  [
    'sha384',
    `-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUKTxIz4Hl3XP5gxtY2yhQo3q+jLwwCgYIKoZIzj0EAwMw
DDEKMAgGA1UEAwwBeDAgFw0yNjEyMDEwMDI5NTBaGA8yMTI2MTEwNzAwMjk1MFow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFohjqSCvlYV
vke5hWWMb8xWQPk6ygbPggzEhZSO+T0nLxSHUkIkHRX/RSuukIQNXw0nb4+D8K2S
lC8zmL4wuT2jUzBRMB0GA1UdDgQWBBRrnJwpcWhlMMwm0WkpMy0xsD9LJzAfBgNV
HSMEGDAWgBRrnJwpcWhlMMwm0WkpMy0xsD9LJzAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMDA0gAMEUCIQCyLQ1aJLE84uCjlV+Wfs3wGohG1dVSmEkHGhwndv8y
zAIgbRX09cLc+NSwKvsr8mEHp1yZmZP829Rv4QJuzCTiow4=
-----END CERTIFICATE-----`,
  ],
  [
    'sha512',
    `-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUKZVuKIRAXDxu7e41MLA8vflR0j4wCgYIKoZIzj0EAwQw
DDEKMAgGA1UEAwwBeDAgFw0yNjEyMDEwMDI5NTBaGA8yMTI2MTEwNzAwMjk1MFow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAJxK3P1Lk0s
WpsrSa4+Q0W89X7SM1++CGNlTJfUU2IYhY4Q0Vypp4MskttxQZ4AQ+OyCHEQ5tyl
FO2DLzRWZGejUzBRMB0GA1UdDgQWBBQOXR6Vy7BBY6d4jddKoI+0UxPXpzAfBgNV
HSMEGDAWgBQOXR6Vy7BBY6d4jddKoI+0UxPXpzAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMEA0gAMEUCICcUJ0DOT9lewo0O7/vY+ryxqs61+3gsI27gcJbBW8tU
AiEA7ZLGuPUp2AVr1VzEDR6b9FWchrIqWXali9urvNSy8Bw=
-----END CERTIFICATE-----`,
  ],
];

for (const [hash, pem] of CERTIFICATES) {
  test(`a certificate signed with ${hash}`, () => {
    assert.deepEqual(endPointOf(pem), createHash(hash).update(new X509Certificate(pem).raw).digest());
  });
}
