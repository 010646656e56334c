//! Components that come from a registry: by their digest, kept, and never anything else.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use millrace::runtime::{Access, Artifact, Login, Push, SecretKey, Signatures, SwapEvent};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::fixtures::{marked, tiny};
use crate::oci_registry::{OciRegistry, named};
use crate::workshop::{PATIENCE, Plan, accepted, job, next};

const GOOD: &str = "i32.const 96";

fn access() -> Access {
    Access { login: None, plain: true, proxy: None }
}

fn artifact(registry: &OciRegistry, digest: &str) -> Artifact {
    Artifact { registry: registry.address.to_string(), repository: "acme/worker".into(), digest: digest.to_owned(), access: access() }
}

fn of(artifact: Artifact) -> Plan {
    let mut plan = Plan::of(Vec::new()).own_cache();
    plan.file = None;
    plan.artifact = Some(artifact);
    plan
}

fn push(registry: &OciRegistry, component: &[u8]) -> Push {
    Push {
        registry: registry.address.to_string(),
        repository: "acme/worker".into(),
        tag: "1.0".into(),
        access: access(),
        title: "worker.wasm".into(),
        component: Bytes::copy_from_slice(component),
        signature: None,
        code: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_serves_by_its_digest_and_a_restart_needs_no_registry() {
    let registry = OciRegistry::start().await;
    let pushed = push(&registry, &tiny(GOOD)).push().await.expect("it is taken");
    let workshop = of(pushed.clone()).start().await;
    accepted(&workshop.run(json!({})).await);
    assert_eq!(named(&tiny(GOOD)), format!("sha256:{}", workshop.digest()));
    assert_eq!(workshop.status().source.to_string(), format!("oci://{}/acme/worker@sha256:{}", registry.address, pushed.digest));

    let asked = registry.requests();
    let workshop = of(pushed.clone()).start_in(workshop.end().await, Vec::new()).await;
    accepted(&workshop.run(json!({})).await);
    assert_eq!(registry.requests(), asked, "it was asked again");
    drop(registry);
    let workshop = of(pushed).start_in(workshop.end().await, Vec::new()).await;
    accepted(&workshop.run(json!({})).await);
    assert_eq!(workshop.status().refused, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_artifact_has_the_layout_that_other_tools_know() {
    let registry = OciRegistry::start().await;
    let pushed = push(&registry, &tiny(GOOD)).push().await.expect("it is taken");
    for reference in [format!("sha256:{}", pushed.digest), "1.0".into()] {
        let manifest = registry.manifest(&reference);
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
        assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
        assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
        assert_eq!(manifest["layers"][0]["digest"], Value::from(named(&tiny(GOOD))));
    }
    let refused = push(&registry, b"hello").push().await.expect_err("it is no component");
    assert!(refused.contains("wasm32-wasip2"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_is_told_and_asked_again() {
    let elsewhere = OciRegistry::start().await;
    let digest = elsewhere.put(&tiny(GOOD), &json!({}));
    // Its port is held all the time, and who comes is sent away: nobody else can get it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let pinned = Artifact { registry: address.to_string(), ..artifact(&elsewhere, &digest) };
    let is_away = async { while listener.accept().await.is_ok() {} };
    let mut workshop = tokio::select! {
        workshop = of(pinned).start() => workshop,
        () = is_away => panic!("it cannot send anybody away"),
    };
    let refused = workshop.refused();
    assert!(refused.reason.contains("cannot be had from its registry") && refused.digest.is_none(), "{refused:?}");
    assert!(workshop.runtime.unserved("worker").is_some_and(|why| why.contains("cannot be had from its registry")));
    let mut events = workshop.watch();
    let registry = OciRegistry::on(listener);
    registry.put(&tiny(GOOD), &json!({}));
    loop {
        if let SwapEvent::Swapped { .. } = next(&mut events).await {
            break;
        }
    }
    accepted(&workshop.run(json!({})).await);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_trickles_keeps_neither_the_start_nor_the_others_waiting() {
    let registry = OciRegistry::start().await;
    let digest = registry.put(&marked(&tiny(GOOD), "slow"), &json!({}));
    registry.trickle(true);
    let mut plan = Plan::of(tiny(GOOD)).own_cache();
    plan.beside = Some(artifact(&registry, &digest));
    let mut workshop = tokio::time::timeout(PATIENCE, plan.start()).await.expect("a start waits for it no longer than it says");
    accepted(&workshop.run(json!({})).await);
    let told = workshop.runtime.unserved("beside").expect("it has not come");
    assert!(told.contains("'beside'") && told.contains("did not come from its registry within the 10s that a start waits"), "{told}");

    let asked = registry.requests();
    let mut events = workshop.watch();
    let is_asked = async {
        while registry.requests() == asked {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_asked).await.expect("its layer is asked for again");
    let swapped = async |events: &mut Receiver<SwapEvent>, wanted: &str| loop {
        match next(events).await {
            SwapEvent::Swapped { component, .. } if component == wanted => break,
            SwapEvent::Swapped { component, .. } => panic!("{component} was not to be swapped yet"),
            SwapEvent::Refused { .. } => {}
        }
    };
    for version in ["2", "3"] {
        workshop.replace(&marked(&tiny(GOOD), version));
        swapped(&mut events, "worker").await;
    }
    registry.trickle(false);
    swapped(&mut events, "beside").await;
    accepted(&workshop.runtime.run("beside", job(&json!({}), PATIENCE), None).await);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_what_is_pinned_is_taken() {
    let registry = OciRegistry::start().await;
    let (good, other) = (tiny(GOOD), marked(&tiny(GOOD), "2"));
    let refused = async |digest: &str| of(artifact(&registry, digest)).start().await.refused().reason;

    let absent = refused(&"0".repeat(64)).await;
    assert!(absent.contains("is not in its registry (status 404)"), "{absent}");
    let digest = registry.put(&good, &json!({}));
    registry.tamper(&named(&good), &other);
    let changed_layer = refused(&digest).await;
    assert!(changed_layer.contains("came with a layer"), "{changed_layer}");
    registry.tamper(&format!("sha256:{digest}"), b"{}");
    let changed_manifest = refused(&digest).await;
    assert!(changed_manifest.contains("has another digest"), "{changed_manifest}");
    let digest = registry.put(b"hello", &json!({}));
    let no_component = refused(&digest).await;
    assert!(no_component.contains("build it for the target wasm32-wasip2"), "{no_component}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_asks_who_it_is_gets_the_name_and_password_of_the_config() {
    let registry = OciRegistry::start().await;
    registry.ask_for("ada:the password");
    let login = |password: &str| Some(Login { username: "ada".into(), password: password.into() });
    let refused = push(&registry, &tiny(GOOD)).push().await.expect_err("nobody has logged in");
    assert!(refused.contains("is not given to everybody (status 401)"), "{refused}");
    let mut pushing = push(&registry, &tiny(GOOD));
    pushing.access.login = login("the password");
    let mut pinned = pushing.push().await.expect("it is taken");

    pinned.access.login = login("a wrong one");
    let refused = of(pinned.clone()).start().await.refused().reason;
    assert!(refused.contains("is refused to 'ada' (status 401)") && !refused.contains("a wrong one"), "{refused}");
    pinned.access.login = login("the password");
    accepted(&of(pinned).start().await.run(json!({})).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_and_compiled_code_travel_with_the_artifact() {
    let registry = OciRegistry::start().await;
    let key = SecretKey::generate().expect("a key");
    let signatures = Signatures { keys: vec![key.public()], compiled_keys: vec![key.public()] };
    let good = tiny(GOOD);
    let unsigned = push(&registry, &good).push().await.expect("it is taken");
    let mut plan = of(unsigned);
    plan.signatures = signatures.clone();
    let refused = plan.start().await.refused().reason;
    assert!(refused.contains("is not signed, and only what a known key"), "{refused}");

    let program = env!("CARGO_BIN_EXE_millrace").into();
    let code = millrace::runtime::compile_ahead(program, good.clone().into(), &key).await.expect("it compiles");
    let signature = Some(key.sign(named(&good).trim_start_matches("sha256:")));
    let pushed = Push { signature, code: Some(code.into()), ..push(&registry, &good) }.push().await.expect("it is taken");
    let mut plan = of(pushed);
    plan.signatures = signatures;
    let workshop = plan.start().await;
    accepted(&workshop.run(json!({})).await);
    assert!(workshop.runtime.compilations().iter().all(|compilation| compilation.cached), "it was compiled here");
    let refused = workshop.runtime.put_in_place("worker", &workshop.digest()).await.expect_err("it is no file");
    assert!(format!("{refused:#}").contains("pin another digest in its `source`"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_takes_the_signature_along_and_prints_what_to_pin() {
    let registry = OciRegistry::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, key) = (folder.path().join("worker.wasm"), SecretKey::generate().expect("a key"));
    std::fs::write(&file, tiny(GOOD)).expect("a file");
    std::fs::write(folder.path().join("worker.wasm.sig"), key.sign(named(&tiny(GOOD)).trim_start_matches("sha256:"))).expect("a signature");
    let to = format!("oci://{}/acme/worker:2.0", registry.address);
    let pushing = move || Command::new(env!("CARGO_BIN_EXE_millrace")).arg("push").arg(&file).arg(&to).output().expect("it starts");
    let output = tokio::task::spawn_blocking(pushing).await.expect("it ends");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("text");
    let digest = printed.trim().rsplit_once("@sha256:").expect("a digest").1;
    let mut plan = of(artifact(&registry, digest));
    plan.signatures.keys = vec![key.public()];
    accepted(&plan.start().await.run(json!({})).await);
}
