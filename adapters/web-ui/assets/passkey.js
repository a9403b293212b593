// The one script: asks the browser for a passkey and sends the answer in the form it stands in; and, where a screen waits
// for a phone, follows the link that asks whether the phone answered, without moving the page under anybody's eyes.
"use strict";
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = form.querySelector(".failed");
    const button = form.querySelector("button[type=submit]");
    failed.hidden = true;
    button.disabled = true;
    try {
      const asked = new FormData(form);
      asked.delete("answer");
      const response = await fetch(form.dataset.options || "/sign-in/options", {
        method: "POST",
        credentials: "same-origin",
        redirect: "error",
        body: new URLSearchParams(asked),
      });
      if (!response.ok) throw new Error("no question");
      const question = await response.json();
      const creating = form.dataset.passkey === "create";
      const publicKey = creating
        ? PublicKeyCredential.parseCreationOptionsFromJSON(question.options)
        : PublicKeyCredential.parseRequestOptionsFromJSON(question.options);
      const credential = creating
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey });
      form.elements.ceremony.value = question.ceremony;
      form.elements.answer.value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch {
      failed.hidden = false;
      button.disabled = false;
      button.focus();
    }
  });
}
for (const link of document.querySelectorAll("a[data-wait]")) {
  const again = () => setTimeout(ask, 1000 * link.dataset.wait);
  const ask = async () => {
    try {
      const answer = await fetch(link.href, { credentials: "same-origin", redirect: "manual" });
      // Let in: the answer was a way on, and has brought its cookies.
      if (answer.type === "opaqueredirect") location.assign("/continue");
      else if (answer.ok) again();
      else location.assign(link.href);
    } catch {
      again();
    }
  };
  again();
}
