//! What the program says of itself.

use std::process::Command;

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
