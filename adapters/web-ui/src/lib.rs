//! What the sites that people use have in common: the frame of their pages, texts in three languages, one style sheet,
//! one script, and what a browser brings to each page. Nothing here decides who may see what.
//!
//! A site's own pages are the service's own:
//!
//! 1. Its templates are in `templates/` of the service's crate and begin with `{% extends "layout.html" %}`; an
//!    `askama.toml` beside its Cargo.toml says `dirs = ["templates", "../../adapters/web-ui/templates"]`. Each is a
//!    struct with `#[derive(askama::Template)]` and a field `frame:` [`Frame`]; `{{ frame.say("key") }}` says a text.
//! 2. Its texts are in `texts/ky.ftl`, `ru.ftl` and `en.ftl` of the service's crate, with the same keys, among them
//!    `service-name` and `footer`, and `country` on a site of the state, which then carries its emblem:
//!    `Texts::new(web_ui::sources!())`. Common texts are here.
//! 3. [`Visitor`] reads language and form token off a request, judges a form's origin, and dresses the reply with the
//!    security headers that every page has. [`asset`] answers for the style sheet, the emblem and the script.
//! 4. A test gives every page in every language to [`faults`], which says what is wrong with its markup.
//!
//! Templates escape everything that is put into them, and a page holds no inline code: only passkeys need the script.

mod check;
mod frame;
mod text;
mod visitor;

pub use check::{faults, telling_addresses, tells_of_a_person, text_faults};
pub use frame::{ConfirmPage, Frame, MessagePage, Page};
pub use text::{Language, Sources, TextError, Texts};
pub use visitor::{
    NoRandomness, Visitor, asset, bare, before, cookie, page_policy, see_other, set_cookie, shown,
};
