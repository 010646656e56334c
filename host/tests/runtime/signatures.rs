//! Who vouches for a component: nothing that nobody has signed is compiled, whichever way it comes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use millrace::runtime::{PublicKey, SecretKey, Signatures, SwapEvent};
use serde_json::{Value, json};

use crate::fixtures::{marked, tiny};
use crate::oci_registry::named;
use crate::workshop::{Plan, Workshop, accepted, next};

const GOOD: &str = "i32.const 96";

/// A key, and what a config says that trusts it.
fn trusted() -> (SecretKey, Signatures) {
    let key = SecretKey::generate().expect("a key");
    let keys = vec![key.public()];
    (key, Signatures { keys, compiled_keys: Vec::new() })
}

fn digest(bytes: &[u8]) -> String {
    named(bytes).trim_start_matches("sha256:").to_owned()
}

fn beside(source: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", source.display()))
}

/// A workshop that asks for signatures, and whose first file has one.
async fn signed(key: &SecretKey, signatures: Signatures, file: &[u8]) -> Workshop {
    let mut plan = Plan::of(file.to_vec()).own_cache();
    plan.signatures = signatures;
    plan.start_signed(&key.sign(&digest(file))).await
}

/// What `check` says of the file of a workshop, with a config that trusts this key.
fn checked(workshop: &Workshop, key: PublicKey) -> Output {
    let config = workshop.dir.path().join("checked.yaml");
    let text = json!({"modules": [{
        "name": "worker",
        "type": "dynamic.component",
        "config": {"source": workshop.source, "signatures": {"keys": [key.base64()]}},
    }]});
    std::fs::write(&config, text.to_string()).expect("a config");
    let mut check = Command::new(env!("CARGO_BIN_EXE_millrace"));
    check.args(["check", "--output", "json", "--config"]).arg(config).arg(&workshop.source).output().expect("it starts")
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_vouches_for_is_refused_by_the_host_and_by_check_in_the_same_words_and_the_old_version_serves() {
    let ((key, signatures), (stranger, _)) = (trusted(), trusted());
    let good = tiny(GOOD);
    let mut workshop = signed(&key, signatures, &good).await;
    let old = workshop.digest();
    let mut events = workshop.watch();
    let signature = beside(&workshop.source, ".sig");
    let other = marked(&good, "2");
    let mut tampered = other.clone();
    *tampered.last_mut().expect("a byte") ^= 1;
    let of_other = key.sign(&digest(&other));
    let cases: [(&str, &[u8], Option<String>, &str); 5] = [
        ("no signature", &other, None, "is not signed, and only what a known key"),
        ("a tampered byte", &tampered, Some(of_other.clone()), "is not what was signed: the signature is for"),
        ("the signature of the version before", &other, Some(key.sign(&digest(&good))), "is not what was signed"),
        ("an unknown key", &other, Some(stranger.sign(&digest(&other))), "is signed with the key"),
        ("a text that is no signature", &other, Some("hello".into()), "has a signature that is none"),
    ];
    for (what, file, text, says) in cases {
        // Never beside a file that it is good for.
        drop(std::fs::remove_file(&signature));
        workshop.replace(file);
        if let Some(text) = text {
            std::fs::write(&signature, text).expect("a signature");
        }
        let refused = loop {
            match next(&mut events).await {
                SwapEvent::Refused { reason, digest: found, .. } if found.as_deref() == Some(&digest(file)) && reason.contains(says) => {
                    break reason;
                }
                SwapEvent::Swapped { .. } => panic!("{what}: it was taken"),
                SwapEvent::Refused { .. } => {}
            }
        };
        let output = checked(&workshop, key.public());
        assert_eq!(printed(&output), json!({"fits": false, "reason": refused}), "{what}");
        assert_eq!(output.status.code(), Some(1), "{what}");
        assert_eq!(workshop.digest(), old, "{what}");
        accepted(&workshop.run(json!({})).await);
    }
    // Its own signature comes later, and takes the refusal back.
    std::fs::write(&signature, of_other).expect("a signature");
    loop {
        if let SwapEvent::Swapped { active, .. } = next(&mut events).await {
            assert_eq!(active.digest, digest(&other));
            break;
        }
    }
    assert_eq!(workshop.status().refused, None);
    let output = checked(&workshop, key.public());
    assert_eq!(printed(&output)["signed"], json!(true));
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_comes_after_its_file_takes_the_refusal_back() {
    let (key, signatures) = trusted();
    let good = tiny(GOOD);
    let mut workshop = signed(&key, signatures, &good).await;
    let mut events = workshop.watch();
    let other = marked(&good, "2");
    workshop.replace(&other);
    loop {
        match next(&mut events).await {
            SwapEvent::Refused { reason, .. } if reason.contains("is not what was signed") => break,
            SwapEvent::Swapped { .. } => panic!("it was taken"),
            SwapEvent::Refused { .. } => {}
        }
    }
    // At once: half of one is none.
    let aside = beside(&workshop.source, ".sig.new");
    std::fs::write(&aside, key.sign(&digest(&other))).expect("a signature");
    std::fs::rename(&aside, beside(&workshop.source, ".sig")).expect("it is there");
    loop {
        if let SwapEvent::Swapped { active, .. } = next(&mut events).await {
            assert_eq!((active.digest, workshop.status().refused), (digest(&other), None));
            break;
        }
    }
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_needs_a_signature_and_what_was_kept_without_one_does_not_come_back() {
    let (key, signatures) = trusted();
    let (good, other) = (tiny(GOOD), marked(&tiny(GOOD), "2"));
    // Both versions were good while nobody asked.
    let before = Plan::of(good.clone()).own_cache().start().await;
    before.runtime.judge("worker", other.clone().into(), None).await.expect("it is good");
    let dir = before.end().await;

    let mut plan = Plan::of(good.clone()).own_cache();
    plan.signatures = signatures;
    std::fs::write(dir.path().join("components/worker.wasm.sig"), key.sign(&digest(&good))).expect("a signature");
    let workshop = plan.start_in(dir, Vec::new()).await;
    assert_eq!(workshop.digest(), digest(&good));
    for refused in [
        workshop.runtime.activate("worker", &digest(&other)).await,
        workshop.runtime.judge("worker", other.clone().into(), None).await.map(drop),
        workshop.runtime.candidate("worker", &digest(&other)).await.map(drop),
    ] {
        let refused = format!("{:#}", refused.expect_err("nobody has signed it"));
        assert!(refused.contains("is not signed"), "{refused}");
    }
    // With its signature it is kept, goes into its place and serves from there, after a start too.
    let judged = workshop.runtime.judge("worker", other.clone().into(), Some(key.sign(&digest(&other)))).await.expect("it is signed");
    workshop.runtime.put_in_place("worker", &judged.digest).await.expect("it is written");
    workshop.runtime.reload("worker").await.expect("it is taken");
    assert_eq!(workshop.digest(), digest(&other));
    workshop.runtime.activate("worker", &digest(&good)).await.expect("it was signed when it served");
    let signed = std::fs::read_to_string(beside(&workshop.source, ".sig")).expect("a signature");
    assert_eq!(signed, key.sign(&digest(&other)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_start_with_another_key_what_served_before_is_refused() {
    let ((key, signatures), (_, others)) = (trusted(), trusted());
    let good = tiny(GOOD);
    let workshop = signed(&key, signatures, &good).await;
    let remembered = workshop.remembered.lock().clone();
    let mut plan = Plan::of(good).own_cache();
    plan.signatures = others;
    let workshop = plan.start_in(workshop.end().await, remembered).await;
    assert_eq!(workshop.status().active, None, "its copy does not serve either");
    assert!(workshop.refused().reason.contains("is signed with the key"), "{:?}", workshop.refused());
}

/// A program of this binary in a folder.
fn millrace(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).current_dir(folder).output().expect("it starts")
}

#[test]
fn keys_are_made_files_signed_and_signatures_verified() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let said = |arguments: &[&str]| {
        let output = millrace(folder.path(), arguments);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    std::fs::write(folder.path().join("worker.wasm"), tiny(GOOD)).expect("a file");
    let (made, text) = said(&["keygen", "release"]);
    assert!(made && text.contains("signatures:\n  keys: ["), "{text}");
    let mode = std::fs::metadata(folder.path().join("release.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (again, text) = said(&["keygen", "release"]);
    assert!(!again && text.contains("is there already"), "{text}");

    let (verified, text) = said(&["verify", "worker.wasm", "--key", "release.pub"]);
    assert!(!verified && text.contains("is not signed"), "{text}");
    let (signed, text) = said(&["sign", "worker.wasm", "--key", "release.key"]);
    assert!(signed, "{text}");
    let (verified, text) = said(&["verify", "worker.wasm", "--key", "release.pub"]);
    assert!(verified && text.contains(&named(&tiny(GOOD))), "{text}");
    let (signed, text) = said(&["sign", "worker.wasm", "--key", "release.pub"]);
    assert!(!signed && text.contains("is not PEM of a private key"), "{text}");

    std::fs::write(folder.path().join("worker.wasm"), marked(&tiny(GOOD), "2")).expect("a file");
    let (verified, text) = said(&["verify", "worker.wasm", "--key", "release.pub"]);
    assert!(!verified && text.contains("is not what was signed"), "{text}");
}

/// A workshop that has never seen its component and trusts this key with compiled code; `code` lies beside the file.
async fn with_code(key: &SecretKey, file: &[u8], code: &[u8]) -> (Workshop, bool) {
    let mut plan = Plan::of(file.to_vec()).own_cache();
    plan.signatures = Signatures { keys: vec![key.public()], compiled_keys: vec![key.public()] };
    let workshop = plan.start_with(&key.sign(&digest(file)), Some(code)).await;
    accepted(&workshop.run(json!({})).await);
    let compiled_here = workshop.runtime.compilations().iter().any(|compilation| !compilation.cached);
    (workshop, compiled_here)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_comes_along_if_a_trusted_key_has_signed_it_and_is_made_here_otherwise() {
    let ((key, _), (stranger, _)) = (trusted(), trusted());
    let (file, other) = (tiny(GOOD), marked(&tiny(GOOD), "2"));
    let code = |file: &[u8], key: &SecretKey| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("worker.wasm"), file).expect("a file");
        std::fs::write(folder.path().join("release.key"), key.pem().expect("a key")).expect("a key");
        let output = millrace(folder.path(), &["compile", "worker.wasm", "--key", "release.key"]);
        assert!(output.status.success(), "{output:?}");
        std::fs::read(folder.path().join("worker.cwasm")).expect("code")
    };
    let good = code(&file, &key);
    let (workshop, compiled_here) = with_code(&key, &file, &good).await;
    assert!(!compiled_here, "what came along is not used");
    // It is kept as what was compiled here is: the next start needs it no more.
    std::fs::remove_file(workshop.source.with_extension("cwasm")).expect("removed");
    let mut plan = Plan::of(file.clone()).own_cache();
    plan.signatures = workshop.settings.signatures.clone();
    let again = plan.start_in(workshop.end().await, Vec::new()).await;
    assert!(again.runtime.compilations().iter().all(|compilation| compilation.cached));

    let mut tampered = good.clone();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    let stale = String::from_utf8_lossy(&good[..300]).find("\"engine\":\"").expect("it names its engine") + "\"engine\":\"".len();
    let mut of_another_engine = good.clone();
    of_another_engine[stale] = if good[stale] == b'0' { b'1' } else { b'0' };
    let cases: [(&str, Vec<u8>); 6] = [
        ("a changed bit", tampered),
        ("another engine", of_another_engine),
        ("a key that is not trusted", code(&file, &stranger)),
        ("the code of another component", code(&other, &key)),
        ("half of it", good[..good.len() / 2].to_vec()),
        ("garbage", b"garbage".to_vec()),
    ];
    for (what, code) in cases {
        let (_, compiled_here) = with_code(&key, &file, &code).await;
        assert!(compiled_here, "{what} was run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_whose_key_is_trusted_no_more_is_not_run_though_it_was_kept() {
    let (key, signatures) = trusted();
    let file = tiny(GOOD);
    let code =
        millrace::runtime::compile_ahead(env!("CARGO_BIN_EXE_millrace").into(), file.clone().into(), &key).await.expect("it compiles");
    let (workshop, compiled_here) = with_code(&key, &file, &code).await;
    assert!(!compiled_here, "what came along is not used");
    let mut plan = Plan::of(file).own_cache();
    plan.signatures = signatures;
    let again = plan.start_in(workshop.end().await, Vec::new()).await;
    accepted(&again.run(json!({})).await);
    assert!(again.runtime.compilations().iter().any(|compilation| !compilation.cached), "it was run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_vouches_for_components_does_not_vouch_for_compiled_code() {
    let (key, signatures) = trusted();
    let file = tiny(GOOD);
    let mut plan = Plan::of(file.clone()).own_cache();
    plan.signatures = signatures;
    let code =
        millrace::runtime::compile_ahead(env!("CARGO_BIN_EXE_millrace").into(), file.clone().into(), &key).await.expect("it compiles");
    let workshop = plan.start_with(&key.sign(&digest(&file)), Some(&code)).await;
    accepted(&workshop.run(json!({})).await);
    assert!(workshop.runtime.compilations().iter().all(|compilation| !compilation.cached));
}
