//! Forms of a config: keys that are merged, kept aside or empty, variables that are not set, paths in every combination.

use std::path::Path;
use std::process::Command;

use millrace::config::Environment;
use millrace::config::{self};
use millrace::plan::{Plan, paths};
use proptest::prelude::*;

use super::{Stage, name, summary, yaml_files};

const SERVED: &str = "modules:\n  - {name: web, type: http.server, config: {address: ':8080'}}\n  - {name: router, type: http.router}\n  - name: proxy\n    \
                      type: http.simple_proxy\n    config: {targets: {/api: 'http://other:8080'}}\n";

fn plan(text: &str) -> Plan {
    let checked = Stage::new().check("form.yaml", text);
    checked.plan.unwrap_or_else(|| panic!("{}", checked.report.lines()))
}

fn lines(text: &str) -> String {
    let stage = Stage::new();
    stage.redact(&stage.check("form.yaml", text).report.lines())
}

#[test]
fn what_is_merged_means_what_it_means_written_out() {
    let merged = "\
x-limits: &limits {requestsPerMinute: 10, burstSize: 5}
x-more: &more
  burstSize: 7
  requestsPerHour: 100
x-server: &server
  type: http.server
  config: &settings
    address: ':8080'
    readTimeout: 1s
modules:
  - <<: *server
    name: web
    config:
      <<: *settings
      readTimeout: 2s
  - name: slow
    type: http.middleware.ratelimit
    config:
      <<: [*limits, *more]
  - {name: router, type: http.router}
  - {name: proxy, type: http.simple_proxy, config: {targets: {/api: 'http://other:8080'}}}
workflows:
  http:
    router: router
    server: web
    routes:
      - &route {method: GET, path: /api/a, handler: proxy, middlewares: [slow]}
      - <<: *route
        path: /api/b
";
    let written_out = "\
modules:
  - {name: web, type: http.server, config: {address: ':8080', readTimeout: 2s}}
  - {name: slow, type: http.middleware.ratelimit, config: {requestsPerMinute: 10, burstSize: 5, requestsPerHour: 100}}
  - {name: router, type: http.router}
  - {name: proxy, type: http.simple_proxy, config: {targets: {/api: 'http://other:8080'}}}
workflows:
  http:
    router: router
    server: web
    routes:
      - {method: GET, path: /api/a, handler: proxy, middlewares: [slow]}
      - {method: GET, path: /api/b, handler: proxy, middlewares: [slow]}
";
    assert_eq!(summary(&plan(merged)), summary(&plan(written_out)));
}

#[test]
fn what_is_wrong_with_a_merged_key_is_told_where_it_is_written() {
    let text = "\
x-server: &server
  address: nowhere
  adress: typo
modules:
  - name: web
    type: http.server
    config:
      <<: *server
      idleTimeout: soon
  - name: other
    type: http.router
    config: {<<: 7}
";
    let said = lines(text);
    for part in
        ["form.yaml:2:12: error: module 'web': 'nowhere' is not an address", "form.yaml:3:3: error: module 'web': unknown key `adress`"]
    {
        assert!(said.contains(part), "no '{part}' in\n{said}");
    }
    assert!(said.contains("form.yaml:9:20: error: module 'web': `idleTimeout` must be a duration"), "{said}");
    assert!(said.contains("form.yaml:12:18: error: `<<` takes keys from a mapping, and this is none"), "{said}");
    assert_eq!(said.matches("error:").count(), 4, "{said}");
}

#[test]
fn keys_at_the_top_that_begin_with_x_are_left_alone_and_others_are_not() {
    let text = "x-note: {anything: ['${NOT_SET}', 1]}\nx-empty:\nmodules: [{name: r, type: http.router}]\ny-note: 1\n";
    let said = lines(text);
    assert!(said.starts_with("form.yaml:4:1: error: unknown key `y-note`") && said.matches("error:").count() == 1, "{said}");
    let secret = "x-auth: {secret: hunter2hunter2}\nmodules: [{name: r, type: http.rooter}]\n";
    assert!(!Stage::new().check("form.yaml", secret).report.pretty(config::report::Colour::Never).contains("hunter2"));
}

#[test]
fn a_key_with_nothing_behind_it_is_an_empty_list() {
    let text = format!(
        "requires:\n  plugins:\n{SERVED}  - name: cors\n    type: http.middleware.cors\n    config:\n      allowedMethods:\n    \
         dependsOn:\nworkflows:\n  http:\n    router: router\n    server: web\n    routes:\n      - method: GET\n        path: /api/a\n        \
         handler: proxy\n        middlewares:\n      - {{method: GET, path: /api/b, handler: proxy, middlewares: [cors]}}\ntriggers:\n"
    );
    let plan = plan(&text);
    assert!(plan.routes[0].middlewares.is_empty());
    assert!(summary(&plan).contains("allowed_methods: []"), "none, and not those that hold when the key is left out: {}", summary(&plan));
    let said = lines("modules:\n  -\n  - {name: r, type: http.router}\n");
    assert!(said.contains("form.yaml:2:"), "an entry that is empty is one all the same: {said}");
}

#[test]
fn a_secret_that_is_easily_guessed_is_refused_in_production() {
    let check = |secret: &str, production: &str| {
        let mut stage = Stage::new();
        stage.environment = stage.environment.with("JWT_SECRET", secret).with("MILLRACE_ENV", production);
        stage.check("auth.yaml", "modules: [{name: auth, type: auth.jwt, config: {secret: '${JWT_SECRET}'}}]").report.lines()
    };
    for (guessed, word) in [("a".repeat(40), "1 different"), (format!("changeme-{}", "0123456789".repeat(4)), "begins with 'changeme'")] {
        let refused = check(&guessed, "production");
        assert!(refused.contains("error") && refused.contains(word), "{refused}");
        assert!(check(&guessed, "development").contains("warning"), "{guessed}");
    }
    assert!(check(&" ".repeat(40), "development").contains("error"), "blanks are no secret anywhere");
    assert_eq!(check("3f9c2ab04d7e3f9c2ab04d7e3f9c2ab04d7e", "production"), "");
}

#[test]
fn of_very_many_problems_a_person_is_shown_the_first_and_a_program_all() {
    let text = format!("modules: [{{name: r, type: http.router}}]\n{}", (0..5000).map(|i| format!("key{i}: 1\n")).collect::<String>());
    let report = Stage::new().check("form.yaml", &text).report;
    assert_eq!((report.problems.len(), report.lines().matches("error:").count()), (5000, 5000));
    let pretty = report.pretty(config::report::Colour::Never);
    assert!(pretty.contains("`key0`") && !pretty.contains("`key4999`") && pretty.contains("and 4900 more"), "{}", pretty.len());
}

/// Where nothing of what a config needs is there.
fn run(arguments: &[&str]) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).env_clear().current_dir(folder.path()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_api_is_described_without_secrets_components_or_variables() {
    for file in yaml_files("../configs") {
        let (described, document, said) = run(&["openapi", &file.display().to_string()]);
        assert!(described, "{}: {said}", name(&file));
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let expected = if name(&file) == "gateway.yaml" { "/openapi.json" } else { "/api/" };
        let paths = document["paths"].as_object().unwrap();
        assert!(name(&file) == "gateway.yaml" || paths.keys().any(|path| path.starts_with(expected)), "{}: {paths:?}", name(&file));
    }
    let (printed, schema, _) = run(&["schema"]);
    assert!(printed && serde_json::from_str::<serde_json::Value>(&schema).is_ok());
}

#[test]
fn a_description_needs_no_value_that_only_a_run_needs_and_still_says_what_is_wrong() {
    let text = format!(
        "{SERVED}  - {{name: limit, type: http.middleware.ratelimit, config: {{requestsPerMinute: '${{LIMIT}}'}}}}\n  - name: auth\n    \
         type: auth.jwt\n    config: {{secret: '${{SECRET}}', seedFile: '${{FOLDER}}/users.json', tokenExpiry: '${{EXPIRY}}'}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("described.yaml");
    std::fs::write(&file, &text).unwrap();
    config::describe(&file, &Environment::default()).unwrap();
    assert!(config::load(&file, &Environment::default()).unwrap_err().lines().contains("LIMIT, which is not set"));
    std::fs::write(&file, text.replace("ratelimit", "ratelimits")).unwrap();
    let (described, _, said) = run(&["openapi", &file.display().to_string()]);
    assert!(!described && said.contains("unknown module type 'http.middleware.ratelimits'"), "{said}");
}

#[test]
fn a_token_lives_for_ten_years_at_most() {
    let with = |life: &str| {
        let auth = format!("{{secret: 'Nx6kX0m3Qw8vR2pZ5tY7uB1cD4eF9gHj', tokenExpiry: {life}}}");
        format!("{SERVED}  - {{name: auth, type: auth.jwt, config: {auth}}}\n")
    };
    for (life, refused) in [
        ("3650d", false),
        ("1s", false),
        ("3651d", true),
        ("315360001s", true),
        ("3650d1ms", true),
        ("70000000h", true),
        ("999999999d", true),
        ("0s", true),
    ] {
        let said = lines(&with(life));
        let of_expiry: Vec<&str> = said.lines().filter(|line| line.contains("error")).collect();
        assert_eq!(of_expiry.iter().any(|line| line.contains(life)), refused, "{life}: {said}");
    }
    let said = lines(&with("70000000h"));
    assert!(said.contains("'70000000h' is 252000000000 s; at most 315360000 s (ten years) are accepted"), "{said}");
}

/// Routes of a proxy, with everything that the program answers by itself.
fn routed(routes: &[(&str, String)]) -> String {
    let entries: String =
        routes.iter().map(|(method, path)| format!("      - {{method: {method}, path: '{path}', handler: proxy}}\n")).collect();
    format!(
        "{SERVED}  - {{name: metrics, type: metrics.collector}}\n  - {{name: health, type: health.checker}}\nworkflows:\n  http:\n    router: \
         router\n    server: web\n    routes:\n{entries}"
    )
}

fn path() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "{id}", "{key}", "metrics", "healthz", "a-{id}"]);
    let last = proptest::sample::select(vec!["a", "*", "{rest...}", "{id}", "metrics", "openapi.json", "livez"]);
    (proptest::collection::vec(segment, 0..3), last).prop_map(|(mut segments, last)| {
        segments.push(last);
        format!("/{}", segments.join("/"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The router of the running process panics over what it does not take.
    #[test]
    fn a_config_is_valid_just_when_the_router_takes_its_routes(
        routes in proptest::collection::vec((proptest::sample::select(vec!["GET", "POST"]), path()), 1..5),
    ) {
        let checked = config::check_text(Path::new("/nowhere/routes.yaml"), &routed(&routes), &Environment::default());
        let own = [paths::OPENAPI, paths::METRICS, "/healthz", "/readyz", "/livez"];
        let fits = routes.iter().all(|(_, path)| !path.contains("a-{id}") && !own.contains(&path.as_str()));
        let taken = std::panic::catch_unwind(|| {
            let mut router = axum::Router::<()>::new();
            for own in own {
                router = router.route(own, axum::routing::any(|| async {}));
            }
            for (method, path) in &routes {
                let handler = || async {};
                let methods = if *method == "GET" { axum::routing::get(handler) } else { axum::routing::post(handler) };
                router = router.route(&paths::template(path), methods);
            }
        });
        prop_assert_eq!(checked.plan.is_some(), fits && taken.is_ok(), "{:?}: {}", routes, checked.report.lines());
    }
}
