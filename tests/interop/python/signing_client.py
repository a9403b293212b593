"""A client of the signing service: Authlib proves who it is (private_key_jwt), pyHanko's client of the Cloud Signature
Consortium's API prepares, signs and completes a PDF file. The person's browser and passkey are played here too. Reads and
writes files in the folder that it is given."""

import asyncio
import base64
import hashlib
import json
import re
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationInfo,
    CSCAuthorizationManager,
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)

folder = Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text(encoding="utf8"))
base, authorities = settings["base"], str(folder / "ca.pem")

# The name of the service is known to nobody but this test.
asked = socket.getaddrinfo


def getaddrinfo(host, *more, **named):
    return asked(settings["address"] if host in (settings["host"], settings["host"].encode()) else host, *more, **named)


socket.getaddrinfo = getaddrinfo


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def session():
    key = ECKey.import_key((folder / "bank.key").read_text(encoding="ascii"))
    made = OAuth2Session(settings["client"], key, token_endpoint_auth_method="private_key_jwt", scope="service")
    made.register_client_auth_method(PrivateKeyJWT(base, alg="ES256"))
    # Or another list of authorities in the environment would take this one's place.
    made.trust_env = False
    made.verify = authorities
    return made


client = session()
metadata = requests.get(base + "/.well-known/oauth-authorization-server", verify=authorities, timeout=10).json()
assert metadata["issuer"] == base


class Browser:
    """The person's browser with the passkey."""

    def __init__(self):
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = authorities
        self.key = serialization.load_pem_private_key((folder / "person.key").read_bytes(), None)

    def assertion(self, challenge):
        said = {"type": "webauthn.get", "challenge": challenge, "origin": base, "crossOrigin": False}
        said = json.dumps(said).encode()
        data = hashlib.sha256(settings["host"].encode()).digest() + b"\x05" + bytes(4)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return json.dumps({
            "id": settings["passkey"],
            "rawId": settings["passkey"],
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "authenticatorData": unpadded(data),
                "clientDataJSON": unpadded(said),
                "signature": unpadded(signature),
            },
        })

    def confirm(self, url, names):
        """Goes to the page, reads it, and signs; gives where the browser is sent."""
        answer = self.http.get(url, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text
        page = urljoin(base, answer.headers["location"])
        html = self.http.get(page, timeout=10).text
        assert all(name in html for name in names), html
        csrf = re.search('name="csrf" value="([^"]+)"', html).group(1)
        options = self.http.post(page + "/options", data={"csrf": csrf}, timeout=10).json()["options"]
        assert options["allowCredentials"][0]["id"] == settings["passkey"]
        form = {"csrf": csrf, "ceremony": "", "answer": self.assertion(options["challenge"])}
        answer = self.http.post(page, data=form, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


class Manager(CSCAuthorizationManager):
    """Has each hash authorised by the person: pushed, confirmed in the browser, redeemed."""

    async def authorize_signature(self, hash_b64s):
        return await asyncio.to_thread(self.authorize, hash_b64s)

    def authorize(self, hash_b64s):
        verifier, state = generate_token(48), generate_token(20)
        names = [f"Contract {place}.pdf" for place, _ in enumerate(hash_b64s)]
        details = [{
            "type": "credential",
            "credentialID": self.csc_session_info.credential_id,
            "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
            "documentDigests": [{"hash": one, "label": name} for one, name in zip(hash_b64s, names)],
        }]
        parameters = {
            "response_type": "code",
            "client_id": settings["client"],
            "redirect_uri": settings["redirect_uri"],
            "state": state,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
            "authorization_details": json.dumps(details),
        }
        pushed = requests.post(
            metadata["pushed_authorization_request_endpoint"],
            data=parameters,
            auth=client.client_auth("private_key_jwt"),
            verify=authorities,
            timeout=10,
        )
        assert pushed.status_code == 201, pushed.text
        query = urlencode({"client_id": settings["client"], "request_uri": pushed.json()["request_uri"]})
        back = Browser().confirm(metadata["authorization_endpoint"] + "?" + query, names)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        assert back.startswith(settings["redirect_uri"]) and answer["state"] == state and answer["iss"] == base
        token = session().fetch_token(
            metadata["token_endpoint"],
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=settings["redirect_uri"],
            code_verifier=verifier,
        )
        assert token["authorization_details"] == details
        return CSCAuthorizationInfo(sad=token["access_token"])


async def main():
    service = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")["access_token"]
    listed = requests.post(
        base + "/csc/v2/credentials/list",
        json={"userID": settings["user"], "onlyValid": True},
        headers={"Authorization": "Bearer " + service},
        verify=authorities,
        timeout=10,
    ).json()
    info = CSCServiceSessionInfo(base, listed["credentialIDs"][0], oauth_token=service, api_ver="v2")
    context = ssl.create_default_context(cafile=authorities)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http:
        credential = await fetch_certs_in_csc_credential(http, info)
        assert credential.hash_pinning_required and "sha256_ecdsa" in credential.supported_mechanisms
        manager = Manager(info, credential)
        signer = CSCSigner(http, manager, sign_timeout=60)
        with open(folder / "contract.pdf", "rb") as document:
            writer = IncrementalPdfFileWriter(document)
            meta = signers.PdfSignatureMetadata(
                field_name="Signature1", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
            )
            with open(folder / "signed.pdf", "wb") as signed:
                await signers.PdfSigner(meta, signer).async_sign_pdf(writer, output=signed)
        # What was authorised for one hash signs no other, and a service token nothing.
        one = base64.b64encode(hashlib.sha256(b"one").digest()).decode()
        other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        sad = (await manager.authorize_signature([one])).sad
        for name, token, hashed, activation in [
            ("another hash", service, other, sad),
            ("no activation data", service, one, None),
            ("changed activation data", service, one, sad[:-2]),
        ]:
            body = {"credentialID": info.credential_id, "hashes": [hashed], "signAlgo": "1.2.840.10045.4.3.2"}
            if activation:
                body["SAD"] = activation
            headers = {"Authorization": "Bearer " + token}
            async with http.post(info.endpoint_url("signatures/signHash"), json=body, headers=headers) as answer:
                assert answer.status == 400, (name, answer.status)
                print(f"refused {name}: {(await answer.json())['error_description']}")


asyncio.run(main())
print("done")
