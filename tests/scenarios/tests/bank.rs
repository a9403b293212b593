//! The demonstration country in a real browser, from what `tunduk demo` prints for somebody who wants to play along: two
//! first keys, a loan agreement signed at the bank, and signing out.
//!
//! With `TUNDUK_SCREENSHOTS` set to a folder it leaves pictures there.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::{Block, Browser, binary};

/// The demo, which ends with this value.
struct Demo {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Demo {
    /// Starts it at addresses of its own; gives what it says up to the end of the invitation.
    fn start(block: &Block) -> (Self, String) {
        let printed = Command::new(binary())
            .args(["demo", "--print-instance"])
            .output()
            .unwrap();
        let instance = String::from_utf8(printed.stdout).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("instance.toml");
        std::fs::write(&file, instance.replace("127.0.0.", &block.prefix())).unwrap();
        let mut process = Command::new(binary())
            .args(["demo", "--instance"])
            .arg(&file)
            .arg("--state")
            .arg(folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            said.push_str(&line.unwrap());
            said.push('\n');
            if said.ends_with("WebAuthn).\n") {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        (Self { process, folder }, said)
    }

    /// The agreement that was signed last.
    fn signed(&self) -> PathBuf {
        let kept = self.folder.path().join("state/sites/bank/state/contracts");
        let files = std::fs::read_dir(kept).unwrap().map(|file| file.unwrap());
        let signed =
            files.filter(|file| file.file_name().to_str().unwrap().ends_with(".signed.pdf"));
        let newest = signed.max_by_key(|file| file.metadata().unwrap().modified().unwrap());
        newest.expect("a signed agreement").path()
    }
}

/// The name of the guest.
fn after_name(said: &str) -> &str {
    let rest = said
        .split("\nOr be ")
        .nth(1)
        .unwrap_or_else(|| panic!("{said}"));
    rest.split(',').next().unwrap()
}

/// What stands in a text after some words, up to the next blank.
fn after<'a>(said: &'a str, words: &str) -> &'a str {
    let rest = said.split(words).nth(1).unwrap_or_else(|| panic!("{said}"));
    rest.split_whitespace()
        .next()
        .unwrap()
        .trim_matches(['"', ';', ','])
}

/// Clicks what is on the next page, once it is there.
fn press(browser: &Browser, selector: &str) {
    let is_there = format!("return document.querySelector(\"{selector}\") !== null");
    for _ in 0..100 {
        if browser.run(&is_there) == true {
            return browser.click(selector);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no {selector} in {}", browser.text());
}

fn all_languages(browser: &Browser, address: &str, name: &str) {
    for language in ["ky", "ru", "en"] {
        browser.open(&format!("{address}?language={language}"));
        browser.look(&format!("{name}-{language}"));
    }
}

#[test]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
fn a_guest_borrows_money_in_a_browser() {
    let block = Block::new();
    let (demo, said) = Demo::start(&block);
    // Pages are trusted for the authority's key alone, as the demo says it.
    let pin = after(&said, "spki-list=");
    let rules = format!("--host-resolver-rules=MAP *.localhost {}1", block.prefix());
    let trusted = format!("--ignore-certificate-errors-spki-list={pin}");
    let browser = Browser::start(&[&rules, &trusted]);
    browser.add_authenticator("internal");

    browser.open("https://id.localhost:8883/first-key?language=en");
    browser.write("#ticket", after(&said, "makes your passkey, by the code "));
    browser.click("form[action='/first-key'] button");
    browser.wait_for("My account");

    browser.open("https://sign.localhost:8884/enrol?language=en");
    browser.write(
        "input[name=code]",
        after(&said, "makes your key for signatures, by the code "),
    );
    browser.click("form[action='/enrol'] button");
    press(&browser, "form[action='/enrol/key'] button");
    press(&browser, "form[action^='/approve/'][data-passkey] button");
    // The officer, who is played by the demo, confirms within some seconds.
    std::thread::sleep(Duration::from_secs(5));

    browser.open("https://bank.localhost:8886/?language=en");
    all_languages(&browser, "https://bank.localhost:8886/", "bank");
    press(&browser, "form[action='/sign-in'] button");
    browser.wait_for("Share your data");
    browser.look("bank-consent");
    browser.click("button[value=allow]");
    browser.wait_for("Apply for a loan");
    all_languages(&browser, "https://bank.localhost:8886/", "bank-signed-in");
    browser.run("document.querySelector('#amount').value = 'all of it'");
    browser.click("form[action='/loan'] button");
    browser.wait_for("There is a problem");
    browser.look("bank-amount");
    // In another language the form is still there, and no address that leads nowhere.
    browser.click("a[hreflang=ru]");
    browser.click("a[hreflang=en]");
    browser.click("form[action='/loan'] button");
    browser.wait_for("Sign the agreement");
    let agreement = browser.address();
    all_languages(&browser, &agreement, "bank-agreement");
    browser.click("form[action$='/sign'] button");
    browser.wait_for("People's bank");
    browser.wait_for(".pdf");
    browser.look("bank-confirm");
    press(&browser, "form[action^='/confirm/'][data-passkey] button");
    browser.wait_for("Signed and in force");
    assert!(browser.text().contains("qualified electronic signature"));
    all_languages(&browser, &agreement, "bank-in-force");
    browser.open("https://bank.localhost:8886/contract/nothing?language=en");
    browser.look("bank-nothing");

    // The public page says the same to anybody who has the file.
    browser.open("https://verify.localhost:8885/?language=en");
    browser.look("verify");
    browser.write("#file", demo.signed().to_str().unwrap());
    browser.click("form[action='/'] button");
    browser.wait_for(after_name(&said));
    assert!(browser.text().contains("Qualified electronic signature"));
    browser.look("verified");

    browser.open("https://bank.localhost:8886/");
    browser.click("form[action='/sign-out'] button");
    browser.wait_for("Sign in with the state's sign-in");
    // Signed out at the identity provider, too.
    browser.open("https://id.localhost:8883/account");
    browser.wait_for("Sign in with a passkey");
    drop(demo);
}
