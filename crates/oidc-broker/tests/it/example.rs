//! The example does what it says.

#[path = "../../examples/refresh.rs"]
#[expect(dead_code, reason = "its main is the example's own")]
mod refresh;

#[tokio::test]
async fn a_refresh_token_is_traded_in_twenty_lines() {
    let said = refresh::run(&[]).await.expect("granted");
    assert!(said.contains("verified, good until"), "{said}");
    let usage = refresh::run(&["https://idp.test".to_owned()]).await;
    assert!(usage.expect_err("too few").to_string().starts_with("usage"));
}
