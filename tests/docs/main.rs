//! The pages about workflows, command by command: what a reader is told to type does what the page
//! says, against the embedded provider and a real Keycloak.

mod page;
mod pattern;
mod scene;
mod shell;

use std::collections::BTreeSet;

use gateway_tests::on_both;

use page::Page;
use scene::Scene;

/// Each page is a test, and the list of them another.
macro_rules! pages {
    ($($name:ident: $file:literal,)+) => {
        /// The files of the pages.
        const PAGES: &[&str] = &[$($file),+];

        $(on_both!($name, Page::read($file), |scene: Scene| scene.play());)+
    };
}

pages! {
    refresh_token: "refresh-token.md",
    password: "password.md",
    client_credentials: "client-credentials.md",
    bearer: "bearer.md",
    introspection: "introspection.md",
    userinfo: "userinfo.md",
    token_exchange: "token-exchange.md",
    client_certificates: "client-certificates.md",
    certificate_bound_tokens: "certificate-bound-tokens.md",
    dpop: "dpop.md",
}

#[test]
fn every_page_about_a_workflow_is_tried() {
    let summary = page::text("SUMMARY.md");
    let listed: BTreeSet<_> = page::workflows(&summary).into_iter().collect();
    let tried: BTreeSet<_> = PAGES.iter().copied().collect();
    assert_eq!(listed, tried, "in SUMMARY.md, and in this file");
}
