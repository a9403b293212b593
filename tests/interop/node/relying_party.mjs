// A relying party made with openid-client: code flow with PAR, DPoP and private_key_jwt, refresh, introspection, device
// flow, logout, and attacks that the provider or the library must stop. Reads its settings from the file it is given.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { strict as assert } from 'node:assert'
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto
const client = await import('openid-client')
const jose = await import('jose')

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const der = Buffer.from(settings.key, 'base64')
const curve = { name: 'ECDSA', namedCurve: 'P-256' }
const key = await crypto.subtle.importKey('pkcs8', der, curve, false, ['sign'])
const HIGH = 'http://eidas.europa.eu/LoA/high'

const config = await client.discovery(
  new URL(settings.issuer),
  settings.client,
  { id_token_signed_response_alg: 'ES256' },
  client.PrivateKeyJwt({ key, kid: settings.kid }),
  { execute: [client.allowInsecureRequests] },
)
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))

// The person's browser: follows redirections within the provider, stops at the relying party's address.
async function browse(url) {
  const cookies = new Map([['__Host-session', settings.session]])
  for (let hop = 0; hop < 5; hop++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
    for (const set of response.headers.getSetCookie()) {
      const [name, value] = set.split(';')[0].split('=')
      cookies.set(name, value)
    }
    assert.equal(response.status, 303, `${url} ${response.status} ${await response.text()}`)
    url = new URL(response.headers.get('location'), url)
    if (url.origin !== new URL(settings.issuer).origin) return url
  }
  throw new Error('too many redirections')
}

async function ask(extra = {}, signed = false) {
  const flow = {
    verifier: client.randomPKCECodeVerifier(),
    state: client.randomState(),
    nonce: client.randomNonce(),
  }
  let parameters = new URLSearchParams({
    redirect_uri: settings.redirect_uri,
    scope: 'openid offline_access number profile',
    state: flow.state,
    nonce: flow.nonce,
    acr_values: HIGH,
    code_challenge: await client.calculatePKCECodeChallenge(flow.verifier),
    code_challenge_method: 'S256',
    ...extra,
  })
  if (signed) {
    const url = await client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid: settings.kid })
    parameters = url.searchParams
  }
  flow.url = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
  return flow
}

function redeem(flow, callback, verifier = flow.verifier, options = { DPoP }) {
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: flow.state,
    expectedNonce: flow.nonce,
    idTokenExpected: true,
  }
  return client.authorizationCodeGrant(config, callback, checks, undefined, options)
}

async function refused(name, error, work) {
  try {
    await work
  } catch (thrown) {
    const found = thrown.error ?? thrown.cause?.[0]?.parameters?.error ?? thrown.code
    assert.equal(found, error, `${name}: ${thrown.stack}`)
    return console.log(`refused ${name}: ${error}`)
  }
  assert.fail(`${name} was not refused`)
}

// The full flow, plain and with a signed request object.
let tokens
let claims
for (const signed of [false, true]) {
  const flow = await ask({}, signed)
  tokens = await redeem(flow, await browse(flow.url))
  claims = tokens.claims()
  assert.equal(tokens.token_type, 'dpop')
  assert.equal(claims.acr, HIGH)
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP })
  assert.equal(info.number, settings.number)
  console.log(`tokens ${signed ? 'for a signed request' : 'for a pushed request'}`)
}
const about = await client.tokenIntrospection(config, tokens.access_token)
assert.ok(about.active && about.cnf.jkt)
const first = tokens
tokens = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
assert.equal(tokens.claims().sub, claims.sub)
console.log('refreshed')

// What must not work.
await refused('replayed refresh token', 'invalid_grant', client.refreshTokenGrant(config, first.refresh_token, undefined, { DPoP }))
await refused('token of a family that was stolen from', 'invalid_token', client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP }))
let flow = await ask()
let callback = await browse(flow.url)
await refused('wrong verifier', 'invalid_grant', redeem(flow, callback, client.randomPKCECodeVerifier()))
await refused('code after a wrong verifier', 'invalid_grant', redeem(flow, callback))
flow = await ask()
callback = await browse(flow.url)
tokens = await redeem(flow, callback)
await refused('bound token without its key', 'invalid_token', client.fetchUserInfo(config, tokens.access_token, claims.sub))
await refused('replayed code', 'invalid_grant', redeem(flow, callback))
await refused('wrong redirect', 'invalid_grant', ask({ redirect_uri: 'https://evil.example/' }))
await refused('unknown level', 'invalid_request', ask({ acr_values: 'urn:mace:gold' }))
await refused('plain PKCE', 'invalid_request', ask({ code_challenge_method: 'plain' }))
flow = await ask()
callback = await browse(flow.url)
callback.searchParams.set('iss', 'https://evil.example')
await refused('mix-up', 'OAUTH_INVALID_RESPONSE', redeem(flow, callback))
flow = await ask({ dpop_jkt: 'A'.repeat(43) }).catch((error) => error)
assert.equal(flow.error, 'invalid_request')
await refused('silent request that needs a page', 'login_required', (async () => {
  const silent = await ask({ prompt: 'none', max_age: '0' })
  return redeem(silent, await browse(silent.url))
})())

// A kiosk.
const begun = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
assert.ok(begun.user_code && begun.verification_uri.startsWith(settings.issuer))
console.log('device flow begun')

// Revocation, and logout that is told behind the browser's back.
flow = await ask()
tokens = await redeem(flow, await browse(flow.url))
await client.tokenRevocation(config, tokens.refresh_token)
await refused('revoked token', 'invalid_token', client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP }))
flow = await ask({ scope: 'openid' })
tokens = await redeem(flow, await browse(flow.url))
const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
const told = new Promise((resolve, reject) => {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (data) => (body += data))
    request.on('end', () => {
      response.end()
      server.close()
      jose
        .jwtVerify(new URLSearchParams(body).get('logout_token'), keys, {
          issuer: settings.issuer,
          audience: settings.client,
          typ: 'logout+jwt',
          requiredClaims: ['jti', 'iat', 'exp', 'events'],
        })
        .then(resolve, reject)
    })
  })
  server.listen(settings.logout_port, '127.0.0.1')
})
const out = client.buildEndSessionUrl(config, {
  post_logout_redirect_uri: settings.after_logout,
  id_token_hint: tokens.id_token,
  state: 'bye',
})
const bye = await browse(out)
assert.equal(bye.origin + bye.pathname, settings.after_logout)
assert.equal(bye.searchParams.get('state'), 'bye')
const { payload } = await told
assert.equal(payload.sid, tokens.claims().sid)
assert.equal(payload.sub, claims.sub)
assert.ok(payload.events['http://schemas.openid.net/event/backchannel-logout'])
assert.equal(payload.nonce, undefined)
console.log('signed out, and told so')
await refused('token of an ended session', 'invalid_token', client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP }))
console.log('done')
