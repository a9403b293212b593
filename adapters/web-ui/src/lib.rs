//! The pages of services that people use: typed contents in, HTML in the person's language out.
//!
//! Texts are in `texts/`, one file per language with the same keys, tested; templates escape everything that is put
//! into them. There is one style sheet and one script, both files of their own, so that a page needs no inline code;
//! only passkeys need the script. Nothing here decides who may see what.

mod pages;
mod text;

pub use pages::{
    AccountPage, CodePage, ConfirmPage, ConsentPage, DeskPage, DeskTask, DeviceChoosePage,
    DevicePage, EventRow, FirstKeyPage, Frame, MessagePage, Page, Row, ScopeRow, ScreenPage,
    SignInPage,
};
pub use text::{Language, TextError, Texts};

/// Files of the pages: path, media type, content.
pub const ASSETS: &[(&str, &str, &str)] = &[
    (
        "/assets/style.css",
        "text/css; charset=utf-8",
        include_str!("../assets/style.css"),
    ),
    (
        "/assets/passkey.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/passkey.js"),
    ),
];
