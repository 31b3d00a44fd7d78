//! `docker/keycloak/realm.json` is the seed realm, word for word.
//!
//! With `UPDATE_REALM_FILE=1` in the environment it is written anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use keycloak_testkit::realm_file;

#[test]
fn the_file_for_containers_is_the_seed_realm() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker/keycloak/realm.json");
    if std::env::var_os("UPDATE_REALM_FILE").is_some() {
        std::fs::write(&path, realm_file()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == realm_file(),
        "{} is out of date; run this test with UPDATE_REALM_FILE=1",
        path.display()
    );
}
