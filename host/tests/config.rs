//! Configs as a whole: what a file means, and what is said about one that is wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "config/courses.rs"]
mod courses;
#[path = "config/forms.rs"]
mod forms;
#[path = "config/large.rs"]
mod large;
#[path = "config/served.rs"]
mod served;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use millrace::config::report::Colour;
use millrace::config::{self, Checked, Environment};
use millrace::plan::{Bus, Middleware, Plan, Route, Scope, Workflow};
use proptest::prelude::*;
use tempfile::TempDir;

/// Files that configs name, beside a folder `configs/` that the config itself is put into.
const FILES: [&str; 11] = [
    "components/inventory.wasm",
    "components/payment.wasm",
    "components/shipping.wasm",
    "components/notify.wasm",
    "components/inventory_checker.wasm",
    "components/payment_processor.wasm",
    "components/shipping_service.wasm",
    "components/notification_sender.wasm",
    "components/returns.wasm",
    "seed/products.json",
    "seed/users.json",
];

/// A folder with a config and everything it names.
struct Stage {
    folder: TempDir,
    environment: Environment,
}

impl Stage {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for file in FILES {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "[]").unwrap();
        }
        for name in ["configs", "web", "spa"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let environment = Environment { variables: Default::default(), working_dir: "/work-dir".into(), program: "/bin/millrace".into() };
        let environment = environment
            .with("JWT_SECRET", "a-secret-of-more-than-32-bytes-for-tests")
            .with("COMPONENTS_DIR", folder.path().join("components").to_str().unwrap())
            .with("WEB_ROOT", "../web");
        Self { folder, environment }
    }

    fn check(&self, name: &str, text: &str) -> Checked {
        let path = self.folder.path().join("configs").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        config::check_file(&path, &self.environment)
    }

    /// Without the place of the folder, which differs from run to run.
    fn redact(&self, text: &str) -> String {
        let real = self.folder.path().canonicalize().unwrap();
        text.replace(&format!("{}/configs/", self.folder.path().display()), "").replace(&real.display().to_string(), "[stage]")
    }
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "there are no configs to check");
    files
}

fn valid_files() -> Vec<PathBuf> {
    ["tests/config/valid", "../configs", "../configs/examples"].into_iter().flat_map(yaml_files).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Where a config is below the others: examples have a folder of their own, and what they name is found from there.
fn staged(path: &Path) -> String {
    let is_example = path.parent().is_some_and(|folder| folder.ends_with("examples"));
    if is_example { format!("examples/{}", name(path)) } else { name(path) }
}

/// What a valid config means, with its warnings: one line for each part.
fn plan_of(path: &Path) -> String {
    let stage = Stage::new();
    let checked = stage.check(&staged(path), &std::fs::read_to_string(path).unwrap());
    let Some(plan) = checked.plan else { panic!("{} is not valid:\n{}", path.display(), checked.report) };
    stage.redact(&format!("{}{}", checked.report, summary(&plan)))
}

fn summary(plan: &Plan) -> String {
    let mut lines =
        vec![format!("{:?}", plan.server), format!("{:?}", plan.auth), format!("{:?}", plan.database), format!("{:?}", plan.runtime)];
    lines.extend(plan.routes.iter().map(|r| format!("{} {} -> {:?} [{}] for {}", r.method, r.path, r.endpoint, middlewares(r), who(r))));
    lines.extend(plan.routes.iter().flat_map(|r| &r.middlewares).map(|m| format!("{m:?}")));
    lines.extend(plan.resources.iter().map(|part| format!("{part:?}")));
    lines.extend(plan.files.iter().map(|part| format!("{part:?}")));
    lines.extend(plan.proxies.iter().map(|part| format!("{part:?}")));
    lines.extend(plan.components.iter().map(|part| format!("{part:?}")));
    lines.extend(plan.workflows.iter().flat_map(workflow));
    lines.extend([bus(plan)]);
    lines.extend(plan.handlers.iter().map(|part| format!("{part:?}")));
    lines.extend(plan.event_triggers.iter().map(|part| format!("{part:?}")));
    lines.extend([format!("{:?}", plan.metrics), format!("{:?}", plan.health), format!("{:?}", plan.operator)]);
    lines.extend([format!("start: {}", plan.start_sequence().join(", "))]);
    let mut seen = HashSet::new();
    lines.retain(|line| line != "None" && seen.insert(line.clone()));
    lines.join("\n")
}

/// Who may call a route, and what they reach.
fn who(route: &Route) -> String {
    let scope = if route.scope == Scope::All { ", reaching what belongs to anybody" } else { "" };
    let sudo = route.sudo.map(|limit| format!(", with the password within {limit:?}")).unwrap_or_default();
    format!("{:?}{scope}{sudo}", route.access)
}

fn bus(plan: &Plan) -> String {
    match &plan.bus {
        None => "None".to_owned(),
        Some(Bus::Embedded(settings)) => format!("Some({})", format!("{settings:?}").replacen("Settings", "Embedded", 1)),
        Some(Bus::Kafka(settings)) => format!("Some({})", format!("{settings:?}").replacen("Settings", "Kafka", 1)),
    }
}

fn middlewares(route: &Route) -> String {
    let name = |middleware: &Middleware| match middleware {
        Middleware::Cors(_) => "cors".to_owned(),
        Middleware::RequestId => "request id".to_owned(),
        Middleware::RateLimit(limit) => limit.name.clone(),
        Middleware::Auth => "auth".to_owned(),
    };
    route.middlewares.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn workflow(workflow: &Workflow) -> Vec<String> {
    let definition = workflow.machine.definition();
    let (initial, first) = (&definition.initial_state, &definition.initial_transition);
    let mut lines = vec![format!(
        "workflow {}: {initial}, first {first:?}, at most {:?}, step config {:?}",
        definition.name, workflow.max_instances, workflow.step_config
    )];
    lines.extend(definition.states.iter().map(|(name, state)| format!("  {name}: {state:?}")));
    lines.extend(definition.transitions.iter().map(|(name, transition)| format!("  {name}: {transition:?}")));
    lines.extend(definition.steps.iter().map(|(name, step)| format!("  {name}: {step:?}")));
    lines.extend(definition.hooks.iter().map(|hook| format!("  {hook:?}")));
    lines
}

#[test]
fn valid_configs_mean_what_their_snapshots_say() {
    for path in valid_files() {
        insta::with_settings!({ snapshot_path => "config/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("valid-{}", name(&path)), plan_of(&path));
        });
    }
}

/// The machine that every form of the shop promises: each of its configs has all of it, and beyond that only the way out that staff has for
/// what nobody ships.
#[test]
fn each_config_of_the_shop_has_its_twelve_states_and_fifteen_transitions() {
    let states: Vec<&str> =
        "cancelled delivered failed new paid paying payment_failed ship_failed shipped shipping validated validating".split(' ').collect();
    let transitions = [
        ("abandon_payment", "payment_failed", "cancelled"),
        ("cancel_order", "new", "cancelled"),
        ("cancel_validated", "validated", "cancelled"),
        ("deliver_order", "shipped", "delivered"),
        ("payment_approved", "paying", "paid"),
        ("payment_declined", "paying", "payment_failed"),
        ("retry_payment", "payment_failed", "paying"),
        ("retry_shipping", "ship_failed", "shipping"),
        ("shipping_confirmed", "shipping", "shipped"),
        ("shipping_failed", "shipping", "ship_failed"),
        ("start_payment", "validated", "paying"),
        ("start_shipping", "paid", "shipping"),
        ("start_validation", "new", "validating"),
        ("validation_failed", "validating", "failed"),
        ("validation_passed", "validating", "validated"),
    ];
    assert_eq!((states.len(), transitions.len()), (12, 15));
    for file in ["monolith.yaml", "orders.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs").join(file);
        let stage = Stage::new();
        let plan = stage.check(file, &std::fs::read_to_string(path).unwrap()).plan.unwrap();
        let mut definitions = plan.workflows.iter().map(|workflow| workflow.machine.definition());
        let definition = definitions.find(|definition| definition.name == "order-processing").unwrap();
        assert_eq!(definition.states.keys().collect::<Vec<_>>(), states, "{file}");
        let edges = definition.transitions.iter().map(|(name, edge)| (name.as_str(), edge.from.as_str(), edge.to.as_str()));
        // Of those who work here: nobody ships it any more, or all of its money is given back.
        const OF_STAFF: [&str; 2] = ["abandon_shipping", "give_up_shipping"];
        let (of_staff, promised): (Vec<_>, Vec<_>) = edges.partition(|(name, ..)| OF_STAFF.contains(name));
        assert_eq!(promised, transitions, "{file}");
        assert_eq!(of_staff, OF_STAFF.map(|name| (name, "ship_failed", "cancelled")), "{file}");
        let finals = definition.states.iter().filter(|(_, state)| state.is_final).map(|(name, state)| (name.as_str(), state.is_error));
        assert_eq!(finals.collect::<Vec<_>>(), [("cancelled", false), ("delivered", false), ("failed", true)], "{file}");
        assert_eq!((definition.initial_state.as_str(), definition.initial_transition.as_deref()), ("new", Some("start_validation")));
    }
}

#[test]
fn invalid_configs_are_told_everything_that_is_wrong() {
    for path in yaml_files("tests/config/invalid") {
        let stage = Stage::new();
        let checked = stage.check(&name(&path), &std::fs::read_to_string(&path).unwrap());
        assert!(checked.report.has_errors() && checked.plan.is_none(), "{} is valid", path.display());
        insta::with_settings!({ snapshot_path => "config/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("invalid-{}", name(&path)), stage.redact(&checked.report.lines()));
        });
    }
}

/// The file with six mistakes is what the promise is about, so its places are written down here once more.
#[test]
fn six_mistakes_are_six_problems_at_their_places() {
    let text = include_str!("config/invalid/six-mistakes.yaml");
    let report = Stage::new().check("six-mistakes.yaml", text).report;
    let places: Vec<(usize, usize)> = report.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(7, 7), (10, 17), (12, 11), (17, 21), (37, 18), (51, 22)]);
    assert!(report.problems.iter().all(|p| !p.message.is_empty() && !p.pointer.is_empty()));
}

#[test]
fn a_report_shows_the_lines_it_is_about_but_no_secret() {
    let text = "modules:\n  - name: auth\n    type: auth.jwt\n    config: { secret: hunter2, tokenExpiry: soon }\n";
    let report = Stage::new().check("auth.yaml", text).report;
    let pretty = report.pretty(Colour::Never);
    assert!(pretty.contains("secret: *******, tokenExpiry: soon"), "{pretty}");
    assert!(pretty.contains("`secret` has 7 bytes"), "{pretty}");
    assert!(![pretty, report.lines(), report.json().to_string()].iter().any(|shown| shown.contains("hunter2")));
}

#[test]
fn programs_get_the_report_as_json() {
    let text = "modules:\n  - name: web\n    type: http.server\n    config:\n      adress: ':8080'\n";
    let json = Stage::new().check("web.yaml", text).report.json();
    assert_eq!(json["valid"], false);
    let unknown = &json["problems"][1];
    assert_eq!(
        (&unknown["line"], &unknown["column"], &unknown["end"]),
        (&5.into(), &7.into(), &serde_json::json!({ "line": 5, "column": 13 }))
    );
    assert_eq!((&unknown["code"], &unknown["module"]), (&"unknown-key".into(), &"web".into()));
    assert_eq!((&unknown["pointer"], &unknown["severity"]), (&"/modules/0/config/adress".into(), &"error".into()));
}

#[test]
fn a_topic_without_room_for_the_name_of_its_dead_letters_is_warned_of() {
    let stage = Stage::new();
    let report = |length: usize| {
        let topic = "x".repeat(length);
        let original = include_str!("config/valid/original-orders.yaml");
        let first = "    subscriptions:\n";
        let messaging = original.find("  messaging:\n").unwrap();
        let at = messaging + original[messaging..].find(first).unwrap() + first.len();
        let handler = original[at..].lines().find_map(|line| line.trim().strip_prefix("handler: ")).unwrap();
        let subscription = format!("      - topic: {topic}\n        handler: {handler}\n");
        stage.check("orders.yaml", &format!("{}{subscription}{}", &original[..at], &original[at..])).report.lines()
    };
    assert!(!report(245).contains("245 letters"), "{}", report(245));
    assert!(report(246).contains("warning") && report(246).contains("246 letters: its dead letters can have no topic"), "{}", report(246));
    assert!(report(250).contains("is not the name of a topic"), "{}", report(250));
}

#[test]
fn a_route_that_no_target_of_its_proxy_is_for_is_warned_of() {
    let config = |path: &str| {
        format!(
            "modules:\n  - {{name: server, type: http.server, config: {{address: ':8080'}}}}\n  - {{name: router, type: http.router}}\n  \
             - name: proxy\n    type: http.simple_proxy\n    config: {{targets: {{/api/claims: 'http://claims:1', /api/cars: 'http://cars:1'}}}}\n\
             workflows:\n  http:\n    router: router\n    server: server\n    routes:\n      \
             - {{method: GET, path: '{path}', handler: proxy}}\n"
        )
    };
    let stage = Stage::new();
    let report = |path: &str| stage.check("gateway.yaml", &config(path)).report.lines();
    for served in ["/api/claims", "/api/cars/{id}/events", "/api/{rest...}", "/api/*", "/*", "/api/{kind}/1"] {
        assert!(!report(served).contains("no target"), "{served}: {}", report(served));
    }
    for other in ["/api", "/api/car", "/api/claimsx/{id}", "/other/*"] {
        let told = report(other);
        assert!(told.contains(&format!("warning: no target of 'proxy' is for '{other}': it is always answered with 404")), "{told}");
        assert!(told.contains("its targets are for /api/cars, /api/claims"), "{told}");
    }
}

#[test]
fn a_prefix_has_one_target_or_several_as_a_list_or_separated_by_commas() {
    let stage = Stage::new();
    let check = |targets: &str| {
        let text = format!(
            "modules:\n  - {{name: server, type: http.server, config: {{address: ':8080'}}}}\n  - {{name: router, type: http.router}}\n  \
             - name: proxy\n    type: http.simple_proxy\n    config: {{targets: {{/api: {targets}}}}}\n\
             workflows:\n  http:\n    router: router\n    server: server\n    routes:\n      \
             - {{method: GET, path: '/api/*', handler: proxy}}\n"
        );
        stage.check("gateway.yaml", &text)
    };
    for (targets, urls) in [
        ("'http://a:1'", &["http://a:1"][..]),
        ("'http://a:1, http://b:2/base/'", &["http://a:1", "http://b:2/base"][..]),
        ("['http://a:1', 'http://b:2,http://c:3']", &["http://a:1", "http://b:2", "http://c:3"][..]),
    ] {
        let checked = check(targets);
        let plan = checked.plan.unwrap_or_else(|| panic!("{targets}: {}", checked.report.lines()));
        assert_eq!(plan.proxies[0].targets["/api"], urls, "{targets}");
    }
    for (targets, told) in [
        ("'http://a:1,'", "'' is not a base URL"),
        ("['http://a:1', b]", "'b' is not a base URL"),
        ("'http://a:1,http://a:1/'", "'http://a:1/' is there twice"),
        ("[]", "must not be empty"),
        ("7", "must be a base URL such as http://returns:8080, or a list of them, but is 7"),
    ] {
        let report = check(targets).report.lines();
        assert!(report.contains(told), "{targets}: {report}");
    }
}

#[test]
fn a_question_mark_within_the_path_of_a_database_is_refused() {
    let stage = Stage::new();
    let report = |dsn: &str| {
        let database = "  - name: db\n    type: database.workflow\n    config: {driver: sqlite, dsn: ";
        stage.check("db.yaml", &format!("modules:\n{database}'{dsn}'}}\n")).report.lines()
    };
    for good in ["data/a.db", "data/a.db?cache=shared&mode=rwc", "file:data/a.db?x=y"] {
        assert!(!report(good).contains("question mark"), "{good}: {}", report(good));
    }
    for bad in ["what?/a.db", "a?b/c?d/a.db?x=y"] {
        assert!(report(bad).contains(&format!("error: module 'db': '{bad}' has a question mark within its path")), "{}", report(bad));
    }
}

#[test]
fn a_database_of_a_server_is_named_by_its_dsn_and_a_password_is_told_nowhere() {
    let stage = Stage::new();
    let report = |settings: &str| {
        let store = "  - {name: persistence, type: persistence.store, config: {database: db}}\n";
        let modules = format!("modules:\n  - {{name: db, type: database.workflow, config: {{{settings}}}}}\n{store}");
        stage.check("db.yaml", &modules).report.lines()
    };
    for good in ["postgres://millrace:hunter2@db:5432/orders?sslmode=verify-full", "postgresql:///orders?host=/run/postgresql"] {
        let told = report(&format!("driver: postgres, dsn: '{good}', maxOpenConns: 16"));
        assert!(!told.contains("'db'"), "{good}: {told}");
    }
    for bad in ["./data/a.db", "mysql://millrace:hunter2@db/orders", "postgres://millrace:hunter2@db:port/orders"] {
        let told = report(&format!("driver: postgres, dsn: '{bad}'"));
        assert!(told.contains("error: module 'db': it does not say where a database of PostgreSQL is"), "{bad}: {told}");
        assert!(!told.contains("PostgreSQL is: postgres") && told.contains("DATABASE_URL"), "{told}");
    }
    let told = report("dsn: 'postgres://millrace@db/orders'");
    assert!(told.contains("`driver` is sqlite") && told.contains("write driver: postgres beside it"), "{told}");
    let told = report("driver: postgres, dsn: 'postgres://millrace@db/orders', createIfMissing: true");
    assert!(told.contains("it is for a file of SQLite"), "{told}");
}

#[test]
fn what_a_component_is_expected_to_be_is_a_name_or_a_sha256() {
    let stage = Stage::new();
    let config = |expect: &str| {
        format!(
            "modules:\n  - name: pay\n    type: dynamic.component\n    config:\n      source: ../components/payment.wasm\n      expect: {expect}\n"
        )
    };
    let digest = "ab".repeat(32);
    for good in [format!("{{digest: 'sha256:{digest}'}}"), format!("{{name: payment, digest: 'sha256:{digest}'}}"), "{}".to_owned()] {
        let checked = stage.check("pay.yaml", &config(&good));
        assert!(!checked.report.lines().contains("expect"), "{good}: {}", checked.report);
        let expected = good.contains("digest").then_some(&digest);
        assert_eq!(checked.components[0].expect.digest.as_ref(), expected);
    }
    for (bad, says) in [
        (digest.as_str(), "expect"),
        ("{digest: 'md5:00'}", "sha256: and 64 digits"),
        ("{name: ''}", "expect/name"),
        ("{nam: payment}", "name"),
    ] {
        let report = stage.check("pay.yaml", &config(bad)).report;
        let about = |problem: &config::Problem| problem.line == 6 && format!("{} {problem:?}", problem.pointer).contains(says);
        assert!(report.has_errors() && report.problems.iter().any(about), "{bad}: {report}");
    }
}

#[test]
fn a_file_that_is_not_there_or_not_text_or_too_large_is_an_error_of_its_own() {
    let stage = Stage::new();
    let missing = config::check_file(Path::new("/nowhere/x.yaml"), &stage.environment).report;
    assert!(missing.lines().contains("/nowhere/x.yaml:1:1: error: cannot read the file"), "{missing}");
    let path = stage.folder.path().join("binary.yaml");
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(config::check_file(&path, &stage.environment).report.lines().contains("not UTF-8"));
    let large = stage.check("large.yaml", &format!("modules: []\n{}", "# filler\n".repeat(200_000))).report;
    assert!(large.lines().contains("1048576 bytes at most"), "{large}");
}

#[test]
fn a_config_of_too_many_modules_is_one_problem_and_one_of_many_is_none() {
    let chain = |count: usize| {
        let module = |i: usize| format!("  - {{name: m{i}, type: http.middleware.requestid, dependsOn: [m{}]}}\n", i + 1);
        let last = format!("  - {{name: m{count}, type: http.middleware.requestid}}\n");
        format!("modules:\n{}{last}", (1..count).map(module).collect::<String>())
    };
    let plan = Stage::new().check("many.yaml", &chain(1000)).plan.unwrap();
    assert_eq!((plan.start_sequence()[0], plan.start_sequence()[999]), ("m1000", "m1"));
    let report = Stage::new().check("many.yaml", &format!("{}workflows: {{http: {{router: r, server: s}}}}", chain(8000))).report;
    assert_eq!(report.problems.len(), 1, "{report}");
    assert!(report.lines().contains("`modules` has more than 1000 entries"), "{report}");
}

#[test]
fn what_a_variable_holds_is_a_value_and_never_structure() {
    let mut stage = Stage::new();
    stage.environment = stage.environment.with("ISSUER", "12345").with("DESCRIPTION", "a: [b]\nextra: true");
    let text = "modules:\n  - name: health\n    type: health.checker\n    config: { description: \"${DESCRIPTION}\" }\n  - name: auth\n    type: auth.jwt\n    \
                config:\n      secret: ${JWT_SECRET}\n      issuer: ${ISSUER}\n";
    let plan = stage.check("value.yaml", text).plan.expect("a number where text is wanted is text");
    assert_eq!(plan.auth.unwrap().issuer, "12345");
}

#[test]
fn production_refuses_secrets_that_were_made_for_development() {
    let text = "modules:\n  - name: auth\n    type: auth.jwt\n    config: { secret: \"${JWT_SECRET}\" }\n  - name: things-api\n    type: api.handler\n    \
                config: { resourceName: things, stock: { field: units, secret: \"${INTERNAL_SECRET:-}\" } }\n";
    let check = |production: &str| {
        let mut stage = Stage::new();
        for name in ["JWT_SECRET", "INTERNAL_SECRET"] {
            stage.environment = stage.environment.with(name, "development-only-0123456789abcdef0123456789abcdef");
        }
        stage.environment = stage.environment.with("MILLRACE_ENV", production);
        stage.check("secrets.yaml", text).report.lines()
    };
    assert!(!check("development").contains("made for development"));
    let refused = check("production");
    assert_eq!(refused.matches("`secret` was made for development, and MILLRACE_ENV is production").count(), 2, "{refused}");
    assert!(!refused.contains("0123456789abcdef"), "{refused}");
}

#[test]
fn the_committed_schema_is_the_schema() {
    let fresh = format!("{:#}\n", config::schema());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/config.schema.json");
    if std::fs::read_to_string(&committed).unwrap_or_default() != fresh {
        let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config.schema.json");
        std::fs::write(&written, fresh).unwrap();
        panic!(
            "schemas/config.schema.json is not fresh: copy {} there, or run `millrace schema > schemas/config.schema.json`",
            written.display()
        );
    }
}

/// Editors check a config before its variables are expanded.
#[test]
fn configs_fit_the_published_schema_as_they_are_written() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    for path in valid_files() {
        let yaml: serde_json::Value = yaml_as_json(&std::fs::read_to_string(&path).unwrap());
        let errors: Vec<String> = schema.iter_errors(&yaml).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

fn yaml_as_json(text: &str) -> serde_json::Value {
    use saphyr::{LoadableYamlNode, Scalar, Yaml};
    fn convert(yaml: &Yaml<'_>) -> serde_json::Value {
        match yaml {
            Yaml::Sequence(items) => items.iter().map(convert).collect(),
            Yaml::Mapping(entries) => entries.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), convert(value))).collect(),
            Yaml::Value(Scalar::Boolean(b)) => (*b).into(),
            Yaml::Value(Scalar::Integer(i)) => (*i).into(),
            Yaml::Value(Scalar::String(s)) => s.as_ref().into(),
            other => panic!("{other:?}"),
        }
    }
    convert(&Yaml::load_from_str(text).unwrap()[0])
}

/// One change to a text: what people, editors and bad luck do to a file.
#[derive(Debug, Clone)]
enum Change {
    RemoveLine(usize),
    RepeatLine(usize),
    Indent(usize),
    Replace(usize, char),
    Insert(usize, String),
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..20_000_usize;
    let piece = prop_oneof![
        "[\\PC\n]{0,8}",
        proptest::sample::select(vec![
            "${", "}", "$$", "&a ", "*a", "!t ", "---\n", "? ", ": ", "- ", "{", "[", "\"", "'", "|\n", "#", "null", "~", "0", "-1", "\t",
            "\u{feff}"
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        at.clone().prop_map(Change::RemoveLine),
        at.clone().prop_map(Change::RepeatLine),
        at.clone().prop_map(Change::Indent),
        (at.clone(), any::<char>()).prop_map(|(at, c)| Change::Replace(at, c)),
        (at.clone(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        at.prop_map(Change::Cut),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return String::new();
    }
    let (line_count, char_count) = (lines.len(), chars.len());
    let (line, position) = (|at: &usize| at % line_count, |at: &usize| at % char_count);
    match change {
        Change::RemoveLine(at) => drop(lines.remove(line(at))),
        Change::RepeatLine(at) => lines.insert(line(at), lines[line(at)].clone()),
        Change::Indent(at) => lines[line(at)].insert(0, ' '),
        Change::Replace(at, c) => {
            let at = position(at);
            chars[at] = *c;
            return chars.into_iter().collect();
        }
        Change::Insert(at, piece) => {
            let at = position(at);
            chars.splice(at..at, piece.chars());
            return chars.into_iter().collect();
        }
        Change::Cut(at) => {
            let at = position(at);
            chars.truncate(at);
            return chars.into_iter().collect();
        }
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_check_panic_and_every_problem_is_within_the_text(
        file in 0..3_usize,
        changes in proptest::collection::vec(change(), 1..6),
    ) {
        let original = [include_str!("config/valid/returns.yaml"), include_str!("config/valid/original-style.yaml"), include_str!("config/invalid/settings.yaml")][file];
        let text = changes.iter().fold(original.to_owned(), |text, change| apply(&text, change));
        let environment = Environment::default().with("JWT_SECRET", "a-secret-of-more-than-32-bytes-for-tests");
        let checked = config::check_text(Path::new("/nowhere/mutated.yaml"), &text, &environment);
        // A carriage return alone ends a line too, for YAML as for editors.
        let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count() + 1;
        prop_assert!(checked.report.problems.iter().all(|p| (1..=lines.max(1)).contains(&p.line) && p.column >= 1));
        prop_assert_eq!(checked.plan.is_none(), checked.report.has_errors());
        let _ = checked.report.pretty(Colour::Never);
    }
}
