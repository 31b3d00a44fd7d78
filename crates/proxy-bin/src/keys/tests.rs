//! Keys that are made, found again, rotated and refused.

use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use super::*;

const OVERLAP: Duration = Duration::from_secs(90);

fn keys_in(directory: &Path) -> OwnKeys {
    OwnKeys::in_directory(directory, OVERLAP)
}

/// Keys of one algorithm, in use.
fn used(directory: &Path) -> OwnKeys {
    let keys = keys_in(directory);
    keys.signer(Algorithm::EdDsa).expect("a signer");
    keys
}

fn kids(keys: &OwnKeys) -> Vec<String> {
    let set = keys.published().expect("a key");
    let keys = set["keys"].as_array().expect("a list").clone();
    keys.iter()
        .map(|key| key["kid"].as_str().expect("a kid").to_owned())
        .collect()
}

/// The key that signs.
fn signing(keys: &OwnKeys) -> String {
    let pairs = keys.pairs.lock().expect("not poisoned");
    let keys = pairs[Algorithm::EdDsa.name()].keys.load();
    keys.signing().kid().expect("a kid").to_owned()
}

/// Makes the next key's file as old as the overlap.
fn wait_on_disk(directory: &Path) {
    let file = std::fs::File::open(directory.join("client-EdDSA.next.pem")).expect("a next key");
    file.set_modified(SystemTime::now() - OVERLAP)
        .expect("changed");
}

#[test]
fn a_key_is_made_once_and_found_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path().join("state");
    let first = keys_in(&state);
    assert!(first.published().is_none(), "nothing is in use yet");
    first.signer(Algorithm::Es256).expect("a signer");
    let second = keys_in(&state);
    second.signer(Algorithm::Es256).expect("a signer");
    assert_eq!(kids(&first), kids(&second));
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("client-ES256.pem")), 0o600);
}

#[test]
fn no_private_member_is_published() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = keys_in(directory.path());
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        keys.signer(algorithm).expect("a signer");
    }
    keys.rotate().expect("rotated");
    let set = keys.published().expect("keys");
    assert_eq!(set["keys"].as_array().map(Vec::len), Some(6));
    for key in set["keys"].as_array().expect("a list") {
        for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(member).is_none(), "{member} of {key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_published_before_it_signs() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = used(directory.path());
    let old = kids(&keys);
    keys.rotate().expect("rotated");
    let both = kids(&keys);
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], old[0], "the old one stays published");
    tokio::time::advance(OVERLAP - Duration::from_secs(1)).await;
    assert_eq!(signing(&keys), old[0]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(signing(&keys), both[0]);
    assert_eq!(kids(&keys), both, "for assertions in flight");
}

#[test]
fn two_rotations_while_a_key_waits_are_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = used(directory.path());
    let old = signing(&keys);
    keys.rotate().expect("rotated");
    let both = kids(&keys);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| keys.rotate().expect("rotated"));
        }
    });
    assert_eq!(kids(&keys), both);
    assert_eq!(signing(&keys), old);
}

#[test]
fn two_processes_rotate_to_one_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, two) = (used(directory.path()), used(directory.path()));
    one.rotate().expect("rotated");
    two.rotate().expect("rotated");
    assert_eq!(kids(&one), kids(&two));
    assert_eq!(signing(&one), signing(&two));
}

#[test]
fn a_rotation_goes_on_over_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = used(directory.path());
    let old = signing(&keys);
    keys.rotate().expect("rotated");
    let both = kids(&keys);
    let again = used(directory.path());
    assert_eq!(kids(&again), both);
    assert_eq!(signing(&again), old, "its time has not come");
    wait_on_disk(directory.path());
    let later = used(directory.path());
    assert_eq!(signing(&later), both[0]);
    assert_eq!(kids(&later), both);
    // The next rotation is one of its own, and the oldest key is given up.
    later.rotate().expect("rotated");
    let three = kids(&later);
    assert_eq!(three[1..], both);
    wait_on_disk(directory.path());
    later.rotate().expect("rotated");
    assert_eq!(signing(&later), three[0]);
    assert_eq!(kids(&later)[1..], three[..2]);
    assert_eq!(kids(&used(directory.path())), kids(&later));
}

#[test]
fn a_process_that_was_killed_half_way_leaves_what_can_be_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = used(directory.path());
    let old = signing(&keys);
    keys.rotate().expect("rotated");
    let both = kids(&keys);
    wait_on_disk(directory.path());
    let file = |name: &str| directory.path().join(name);
    std::fs::copy(file("client-EdDSA.pem"), file("client-EdDSA.previous.pem")).expect("copied");
    let again = used(directory.path());
    assert_eq!(kids(&again), both);
    assert_eq!(signing(&again), both[0]);
    std::fs::rename(file("client-EdDSA.pem"), file("client-EdDSA.next.pem")).expect("moved");
    let alone = used(directory.path());
    assert_eq!(signing(&alone), both[0]);
    assert_eq!(kids(&alone), [both[0].clone(), old]);
}

#[test]
fn keys_whose_files_were_removed_are_given_up_by_a_rotation() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = used(directory.path());
    let old = signing(&keys);
    std::fs::remove_file(directory.path().join("client-EdDSA.pem")).expect("removed");
    assert_eq!(signing(&keys), old, "nothing changes by itself");
    keys.rotate().expect("rotated");
    assert_eq!(kids(&keys), [signing(&keys)]);
    assert_ne!(signing(&keys), old);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["client-EdDSA.pem", "client-EdDSA.next.pem"] {
        let keys = used(directory.path());
        keys.rotate().expect("rotated");
        let file = directory.path().join(name);
        let readable = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))
                .expect("changed");
        };
        readable(0o644);
        let error = keys_in(directory.path())
            .signer(Algorithm::EdDsa)
            .map(|_| ())
            .expect_err("refused");
        assert!(matches!(error, KeysError::Readable(_)), "{error}");
        assert!(keys.rotate().is_err());
        readable(0o600);
    }
}

#[test]
fn the_key_that_tokens_are_bound_to_outlives_the_process_and_is_not_published() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = || OwnKeys::in_directory(directory.path(), Duration::from_secs(90));
    let first = keys();
    let client = first.dpop_client().expect("a key");
    let again = first.dpop_client().expect("the same");
    assert!(Arc::ptr_eq(&client, &again), "one for all plugins");
    assert!(first.published().is_none());
    let after = keys().dpop_client().expect("the same key");
    assert_eq!(after.thumbprint(), client.thumbprint());
}
