//! Components from a registry, and components that somebody has to vouch for, in the whole shop.

use bytes::Bytes;
use millrace::plan::access::Role;
use millrace::runtime::{Access, Push, SecretKey};
use serde_json::json;

use crate::oci_registry::{OciRegistry, named};
use crate::operator::{millrace, staff};
use crate::test_app::{TestApp, built, changed_monolith};

const PAYMENT: &str = "${COMPONENTS_DIR:-../target/components}/payment.wasm";

fn digest(bytes: &[u8]) -> String {
    named(bytes).trim_start_matches("sha256:").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_passes_a_component_that_comes_from_a_registry() {
    let registry = OciRegistry::start().await;
    let component = std::fs::read(built("payment.wasm")).unwrap();
    let pinned = registry.put(&component, &json!({}));
    let folder = tempfile::tempdir().unwrap();
    let source = format!("oci://{}/shop/payment@sha256:{pinned}", registry.address);
    let config = changed_monolith(folder.path(), &[(PAYMENT, &source)]);
    let app = TestApp::start(config.to_str().unwrap(), &[("OPERATOR_WRITES", "true")]).await;
    let ended = app.client.customer("ada").await.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let rows = ended["history"].as_array().unwrap();
    let paid = rows.iter().find(|row| row["transition"] == "payment_approved").unwrap();
    assert_eq!(paid["digest"], digest(&component).as_str(), "{paid}");

    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let shown = designer.get("/operator/components/payment-processor").await.body;
    assert_eq!(shown["source"], source.as_str(), "{shown}");
    let other = built("payment-v2.wasm");
    let ask = ["components", "swap", "payment-processor", other.to_str().unwrap(), "--reason", "the new version"];
    let token = designer.token().to_owned();
    let (done, said) = tokio::task::block_in_place(|| millrace(&app, &token, &ask));
    assert!(!done && said.contains("pin another digest in its `source`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_has_changed_or_no_known_key_has_signed_does_not_serve_and_orders_pass_the_version_before() {
    let registry = OciRegistry::start().await;
    let (folder, key, stranger) = (tempfile::tempdir().unwrap(), SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    std::fs::write(folder.path().join("release.pub"), key.public().pem()).unwrap();
    let [first, second] = ["payment.wasm", "payment-v2.wasm"].map(|name| std::fs::read(built(name)).unwrap());
    let push = async |component: &[u8], key: Option<&SecretKey>| {
        let push = Push {
            registry: registry.address.to_string(),
            repository: "shop/payment".into(),
            tag: "latest".into(),
            access: Access { login: None, plain: true, proxy: None },
            title: "payment.wasm".into(),
            component: Bytes::copy_from_slice(component),
            signature: key.map(|key| key.sign(&digest(component))),
            code: None,
        };
        push.push().await.unwrap().digest
    };
    let pinning = |pinned: &str| {
        let source = format!("oci://{}/shop/payment@sha256:{pinned}\n      signatures: {{keys: [release.pub]}}", registry.address);
        changed_monolith(folder.path(), &[(PAYMENT, &source)])
    };
    let passes = async |app: &TestApp, customer: &str, version: &[u8]| {
        let ended = app.client.customer(customer).await.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
        let rows = ended["history"].as_array().unwrap();
        let paid = rows.iter().find(|row| row["transition"] == "payment_approved").unwrap();
        assert_eq!(paid["digest"], digest(version).as_str(), "{paid}");
    };
    let mut app = TestApp::start(pinning(&push(&first, Some(&key)).await).to_str().unwrap(), &[]).await;
    passes(&app, "ada", &first).await;

    let [unsigned, of_a_stranger, good] =
        [push(&second, None).await, push(&second, Some(&stranger)).await, push(&second, Some(&key)).await];
    let mut changed = second.clone();
    *changed.last_mut().unwrap() ^= 1;
    let refusals = [
        ("bert", &unsigned, false, "is not signed"),
        ("cleo", &of_a_stranger, false, "is signed with the key"),
        ("dirk", &good, true, "came with a layer"),
    ];
    for (customer, pinned, changes, says) in refusals {
        registry.tamper(&named(&second), if changes { &changed } else { &second });
        app = TestApp::start_in(app.stop().await, &pinning(pinned), &[]).await;
        let status = app.runtime.status().into_iter().find(|status| status.name == "payment-processor").unwrap();
        let refused = status.refused.unwrap_or_else(|| panic!("what {says} serves"));
        assert!(refused.reason.contains(says), "{says}: {refused:?}");
        passes(&app, customer, &first).await;
    }
    // The registry has it again as it was signed.
    registry.tamper(&named(&second), &second);
    app = TestApp::start_in(app.stop().await, &pinning(&good), &[]).await;
    passes(&app, "emil", &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_puts_nothing_in_place_that_nobody_has_signed() {
    let (folder, key) = (tempfile::tempdir().unwrap(), SecretKey::generate().unwrap());
    std::fs::write(folder.path().join("release.pub"), key.public().pem()).unwrap();
    let keys = format!("{PAYMENT}\n      signatures: {{keys: [release.pub]}}");
    let config = changed_monolith(folder.path(), &[(PAYMENT, &keys)]);
    let first = std::fs::read(built("payment.wasm")).unwrap();
    let components = tempfile::tempdir().unwrap();
    let environment = components.path().join("components");
    std::fs::create_dir(&environment).unwrap();
    for name in ["inventory", "payment", "shipping", "notify"] {
        std::fs::copy(built(&format!("{name}.wasm")), environment.join(format!("{name}.wasm"))).unwrap();
    }
    std::fs::write(environment.join("payment.wasm.sig"), key.sign(&digest(&first))).unwrap();
    let app = TestApp::start_in(components, &config, &[("OPERATOR_WRITES", "true")]).await;
    let customer = app.client.customer("ada").await;
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;

    let designer = staff(&app, "dora", &[Role::Designer]).await;
    let token = designer.token().to_owned();
    let ask = |arguments: &[&str]| tokio::task::block_in_place(|| millrace(&app, &token, arguments));
    let file = folder.path().join("new.wasm");
    let second = std::fs::read(built("payment-v2.wasm")).unwrap();
    std::fs::write(&file, &second).unwrap();
    let upload = ["components", "upload", "payment-processor", file.to_str().unwrap()];
    let (done, said) = ask(&upload);
    assert!(!done && said.contains("is not signed"), "{said}");
    std::fs::write(folder.path().join("new.wasm.sig"), key.sign(&digest(&first))).unwrap();
    let (done, said) = ask(&upload);
    assert!(!done && said.contains("is not what was signed"), "{said}");
    assert_eq!(app.runtime.active("payment-processor").unwrap().digest, digest(&first));

    std::fs::write(folder.path().join("new.wasm.sig"), key.sign(&digest(&second))).unwrap();
    let (done, said) = ask(&["components", "swap", "payment-processor", file.to_str().unwrap(), "--reason", "the new version"]);
    assert!(done, "{said}");
    assert_eq!(app.runtime.active("payment-processor").unwrap().digest, digest(&second));
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    // What is in its place is signed, so a start takes it.
    let again = TestApp::start_in(app.stop().await, &config, &[]).await;
    assert_eq!(again.runtime.active("payment-processor").unwrap().digest, digest(&second));
    assert!(again.runtime.status().iter().all(|status| status.refused.is_none()), "{:?}", again.runtime.status());
}
