//! What the program says of itself.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::process::Home;
use crate::test_app::{SECRET, repository};

fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_names_the_commit_and_the_version_of_wasmtime() {
    let version = said(&["--version"]);
    let rest = version.strip_prefix(concat!("millrace ", env!("CARGO_PKG_VERSION"), " (commit ")).unwrap_or_else(|| panic!("{version}"));
    assert!(rest.contains(", wasmtime ") && rest.ends_with(")\n"), "{version}");
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for command in ["validate", "republish", "backup", "redrive", "routes", "revoke"] {
            assert!(script.contains(command), "{shell} knows no {command}");
        }
    }
}

/// What `validate` says of a config with these variables.
fn validated(config: &Path, variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.args(["validate", "--without-components", "--format", "lines"]).arg(config).env("JWT_SECRET", SECRET);
    command.envs(variables.iter().copied()).output().unwrap()
}

fn all_of(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn mistakes_in_a_file_of_products_are_told_by_validate_as_by_a_start() {
    let home = Home::new();
    let (config, seed) = (repository().join("configs/monolith.yaml"), home.path().join("products.json"));
    let product = |id: &str, price: serde_json::Value, stock: serde_json::Value| json!({"id": id, "data": {"name": "A lamp", "price": price, "stock": stock}});
    let right = product("prod-001", json!(1.5), json!(3));
    let wrong = [
        product("prod-002", json!(-1), json!(3)),
        product("prod-003", json!(2), json!("many")),
        product("prod-001", json!(0.005), json!(1)),
    ];
    std::fs::write(&seed, json!([right, wrong[0], wrong[1], wrong[2]]).to_string()).unwrap();
    let validation = validated(&config, &[("PRODUCTS_SEED", &seed)]);
    let start = home.command(&config).env("PRODUCTS_SEED", &seed).output().unwrap();
    assert!(!validation.status.success() && !start.status.success(), "{validation:?} {start:?}");
    let (validation, start) = (all_of(&validation), all_of(&start));
    for mistake in
        ["'prod-002', /1/data/price: -1 is no price", "/2/data/stock: ", "/3/id: 'prod-001' is given twice", "/3/data/price: 0.005"]
    {
        assert!(validation.contains(mistake) && start.contains(mistake), "{mistake}: {validation} {start}");
    }
    assert_eq!(validation.matches("module 'products-api': seed file").count(), 4, "{validation}");
    assert!(validation.contains(&seed.display().to_string()) && validation.contains("cannot run: 4 errors"), "{validation}");

    for (text, mistake) in
        [("[{\"id\": \"prod-001\"}]", "missing field `data`"), ("[", "EOF"), ("[{\"id\":\"a\",\"id\":\"b\",\"data\":{}}]", "given twice")]
    {
        std::fs::write(&seed, text).unwrap();
        let said = all_of(&validated(&config, &[("PRODUCTS_SEED", &seed)]));
        assert!(said.contains(mistake) && said.contains("cannot run: 1 error"), "{text}: {said}");
    }
    std::fs::write(&seed, json!([right]).to_string()).unwrap();
    assert!(validated(&config, &[("PRODUCTS_SEED", &seed)]).status.success());
    let missing = all_of(&validated(&config, &[("PRODUCTS_SEED", &home.path().join("nowhere.json"))]));
    assert!(missing.contains("is not there") && missing.contains("cannot run: 1 error"), "{missing}");
}

#[test]
fn mistakes_in_a_file_of_users_are_told_by_validate_too() {
    let folder = tempfile::tempdir().unwrap();
    let (config, users) = (folder.path().join("users.yaml"), folder.path().join("users.json"));
    let text = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let text =
        crate::test_app::from_anywhere(&text).replace("      tokenExpiry: 24h\n", "      tokenExpiry: 24h\n      seedFile: users.json\n");
    std::fs::write(&config, text).unwrap();
    std::fs::write(&users, json!([{"name": "Ada", "email": "ada@example.com", "password": "short"}]).to_string()).unwrap();
    let said = all_of(&validated(&config, &[]));
    assert!(said.contains("module 'auth': seed user 'ada@example.com'") && said.contains("/password"), "{said}");
    std::fs::write(&users, json!([{"name": "Ada", "email": "ada@example.com", "password": "long enough"}]).to_string()).unwrap();
    assert!(validated(&config, &[]).status.success());
}

#[test]
fn the_table_of_routes_says_who_may_call_what() {
    let config = crate::test_app::repository().join("host/tests/config/valid/roles.yaml").display().to_string();
    let text = said(&["routes", "--config", &config]);
    let line = |path: &str| {
        let found = text.lines().find(|line| line.split_whitespace().take(2).eq(path.split(' ')));
        found.unwrap_or_else(|| panic!("no {path}:\n{text}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("GET /api/claims/{id}"), "GET /api/claims/{id} claims-api get_api_claims_id customer, support creator, scope all -");
    assert_eq!(
        line("POST /api/claims/{id}/settle"),
        "POST /api/claims/{id}/settle claims-api post_api_claims_id_settle finance creator, scope all body of 65536 bytes"
    );
    assert_eq!(line("GET /api/tariffs"), "GET /api/tariffs tariffs-api get_api_tariffs public none -");
    assert_eq!(line("GET /metrics"), "GET /metrics millrace get_metrics private networks - -");
    let entries: serde_json::Value = serde_json::from_str(&said(&["routes", "--config", &config, "--output", "json"])).unwrap();
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len() + 1, text.lines().count());
    let put = entries.iter().find(|entry| entry["method"] == "PUT" && entry["path"] == "/api/tariffs/{id}").unwrap();
    assert_eq!(put["who"], serde_json::json!({"kind": "roles", "roles": ["catalogue"]}));
    assert_eq!(serde_json::json!([put["owner"], put["operationIds"]]), serde_json::json!(["none", ["put_api_tariffs_id"]]));
}
