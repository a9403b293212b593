"""A relying party made with Authlib: code flow with PAR, DPoP and private_key_jwt, refresh, introspection, revocation,
logout, and attacks that must fail. Reads its settings from the file it is given."""

import base64
import hashlib
import json
import sys
import time
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from requests.auth import AuthBase

settings = json.load(open(sys.argv[1], encoding="utf8"))
issuer = settings["issuer"]
metadata = OpenIDProviderMetadata(requests.get(issuer + "/.well-known/openid-configuration", timeout=10).json())
metadata.validate_response_types_supported()
metadata.validate_subject_types_supported()
# Not validate_id_token_signing_alg_values_supported: Discovery wants RS256, which FAPI 2.0 forbids (5.4.1).
assert metadata["issuer"] == issuer

pem = "-----BEGIN PRIVATE KEY-----\n" + settings["key"] + "\n-----END PRIVATE KEY-----\n"
key = ECKey.import_key(pem, {"kid": settings["kid"]})
dpop_key = ECKey.generate_key("P-256")


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


nonces = {}


class Dpop(AuthBase):
    """A proof of possession (RFC 9449) for each request, with the access token if there is one and the server's last
    nonce. If the server wants another nonce, the request goes again with it."""

    def __init__(self, token=None, by=dpop_key, also=lambda request: request):
        self.token = token
        self.by = by
        self.also = also

    def __call__(self, request):
        self.body = request.body
        request.register_hook("response", self.answered)
        return self.prove(self.also(request))

    def answered(self, response, **arguments):
        nonces["last"] = response.headers.get("dpop-nonce", nonces.get("last"))
        if response.status_code not in (400, 401) or response.json().get("error") != "use_dpop_nonce":
            return response
        print("nonce wanted")
        again = response.request.copy()
        again.body = self.body
        again.hooks["response"] = []
        # An assertion is taken once, so the client proves anew who it is.
        again = self.prove(self.also(again))
        again.prepare_content_length(again.body)
        return response.connection.send(again, **arguments)

    def prove(self, request):
        claims = {
            "htm": request.method,
            "htu": request.url.split("?")[0],
            "iat": int(time.time()),
            "jti": generate_token(24),
        }
        if "last" in nonces:
            claims["nonce"] = nonces["last"]
        if self.token:
            claims["ath"] = unpadded(hashlib.sha256(self.token.encode()).digest())
            request.headers["Authorization"] = "DPoP " + self.token
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.by.as_dict(private=False)}
        request.headers["DPoP"] = jwt.encode(header, claims, self.by, algorithms=["ES256"])
        return request


class Session(OAuth2Session):
    """Adds a proof to whatever Authlib sends to the token endpoint."""

    def request(self, method, url, **arguments):
        chosen = arguments.get("auth")
        if url == metadata["token_endpoint"] and chosen is not None:
            arguments["auth"] = Dpop(also=chosen)
        return super().request(method, url, **arguments)


session = Session(
    settings["client"],
    key,
    token_endpoint_auth_method="private_key_jwt",
    revocation_endpoint_auth_method="private_key_jwt",
    redirect_uri=settings["redirect_uri"],
    scope="openid offline_access number",
    code_challenge_method="S256",
)
session.register_client_auth_method(PrivateKeyJWT(issuer, headers={"kid": settings["kid"]}, alg="ES256"))


def browse(url):
    """The person's browser: follows redirections within the provider, stops at the relying party's address."""
    cookies = {"__Host-session": settings["session"]}
    for _ in range(5):
        text = "; ".join(f"{name}={value}" for name, value in cookies.items())
        response = requests.get(url, headers={"Cookie": text}, allow_redirects=False, timeout=10)
        assert response.status_code == 303, (url, response.status_code, response.text)
        for header in response.raw.headers.getlist("set-cookie"):
            name, value = header.split(";")[0].split("=", 1)
            cookies[name] = value
        url = urljoin(url, response.headers["location"])
        if not url.startswith(issuer):
            return url
    raise AssertionError("too many redirections")


def push(parameters):
    """RFC 9126 with Authlib's client authentication."""
    auth = session.client_auth(session.token_endpoint_auth_method)
    answer = requests.post(
        metadata["pushed_authorization_request_endpoint"], data=parameters, auth=auth, timeout=10
    )
    return answer.status_code, answer.json()


def ask(**changes):
    verifier = generate_token(48)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=generate_token(20)
    )
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert parameters["code_challenge"] == create_s256_code_challenge(verifier)
    parameters.update(changes)
    status, answer = push(parameters)
    if status != 201:
        return answer["error"], None, None, None
    query = urlencode({"client_id": settings["client"], "request_uri": answer["request_uri"]})
    return browse(metadata["authorization_endpoint"] + "?" + query), state, verifier, parameters["nonce"]


def redeem(url, state, verifier):
    return session.fetch_token(
        metadata["token_endpoint"], authorization_response=url, state=state, code_verifier=verifier
    )


def refused(name, error, work):
    try:
        work()
    except OAuthError as thrown:
        assert thrown.error == error, (name, thrown)
        print(f"refused {name}: {error}")
        return
    raise AssertionError(name + " was not refused")


def userinfo(token, auth=None):
    return requests.get(metadata["userinfo_endpoint"], auth=auth or Dpop(token), timeout=10)


url, state, verifier, nonce = ask(acr_values="http://eidas.europa.eu/LoA/high")
tokens = redeem(url, state, verifier)
assert tokens["token_type"] == "DPoP"
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
decoded = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"])
claims = CodeIDToken(
    decoded.claims,
    decoded.header,
    options={"iss": {"values": [issuer]}, "aud": {"values": [settings["client"]]}},
    params={"nonce": nonce, "client_id": settings["client"], "access_token": tokens["access_token"]},
)
claims.validate(leeway=10)
assert claims["acr"] == "http://eidas.europa.eu/LoA/high"
info = userinfo(tokens["access_token"]).json()
assert info["sub"] == claims["sub"] and info["number"] == settings["number"], info
print("tokens for a pushed request")

about = session.introspect_token(metadata["introspection_endpoint"], tokens["access_token"]).json()
assert about["active"] and about["cnf"]["jkt"] == dpop_key.thumbprint(), about

stolen = tokens["refresh_token"]
newer = session.refresh_token(metadata["token_endpoint"], stolen)
assert newer["refresh_token"] != stolen
print("refreshed")
refused("stolen refresh token", "invalid_grant", lambda: session.refresh_token(metadata["token_endpoint"], stolen))
answer = userinfo(newer["access_token"])
assert answer.status_code == 401 and answer.json()["error"] == "invalid_token", answer.text

url, state, verifier, _ = ask()
tokens = redeem(url, state, verifier)
refused("replayed code", "invalid_grant", lambda: redeem(url, state, verifier))
url, state, verifier, _ = ask()
refused("wrong verifier", "invalid_grant", lambda: redeem(url, state, generate_token(48)))
assert ask(redirect_uri="https://evil.example/")[0] == "invalid_grant"
assert ask(code_challenge_method="plain")[0] == "invalid_request"
assert ask(response_type="token")[0] == "unsupported_response_type"
assert ask(scope="openid address")[0] == "invalid_scope"

url, state, verifier, _ = ask()
tokens = redeem(url, state, verifier)
access = tokens["access_token"]
assert userinfo(access).status_code == 200
bearer = requests.get(metadata["userinfo_endpoint"], headers={"Authorization": "Bearer " + access}, timeout=10)
assert bearer.status_code == 401 and "DPoP" in bearer.headers["www-authenticate"]
assert userinfo(access, Dpop(access, ECKey.generate_key("P-256"))).status_code == 401
# An assertion that says "alg": "none", and one for somebody else.
payload = {"iss": settings["client"], "sub": settings["client"], "aud": issuer, "jti": "1", "exp": int(time.time()) + 60}
unsigned = unpadded(b'{"alg":"none"}') + "." + unpadded(json.dumps(payload).encode()) + "."
misled = jwt.encode({"alg": "ES256"}, {**payload, "aud": "https://evil.example"}, key, algorithms=["ES256"])
for assertion in (unsigned, misled):
    answer = requests.post(
        metadata["token_endpoint"],
        data={
            "grant_type": "refresh_token",
            "refresh_token": "x",
            "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
        timeout=10,
    )
    assert answer.status_code == 401 and answer.json()["error"] == "invalid_client", answer.text
print("refused forged assertions and other keys")

revoked = session.revoke_token(metadata["revocation_endpoint"], tokens["refresh_token"])
assert revoked.status_code == 200, revoked.text
assert userinfo(access).status_code == 401
print("revoked")

url, state, verifier, _ = ask(scope="openid")
tokens = redeem(url, state, verifier)
query = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": settings["after_logout"], "state": "1"})
bye = browse(metadata["end_session_endpoint"] + "?" + query)
assert bye.startswith(settings["after_logout"] + "?state=1"), bye
assert userinfo(tokens["access_token"]).status_code == 401
print("signed out")
print("done")
