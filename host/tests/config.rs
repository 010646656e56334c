//! Configs as a whole: what a file means, and what is said about one that is wrong.

use std::path::{Path, PathBuf};

use millrace::config::{self, Checked, Environment};
use tempfile::TempDir;

/// Files that configs name, beside a folder `configs/` that the config itself is put into.
const FILES: [&str; 10] = [
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
            .with("COMPONENTS_DIR", "../components")
            .with("WEB_ROOT", "../web");
        Self { folder, environment }
    }

    fn check(&self, name: &str, text: &str) -> Checked {
        let path = self.folder.path().join("configs").join(name);
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
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// What a valid config means, with its warnings.
fn plan_of(path: &Path) -> String {
    let stage = Stage::new();
    let checked = stage.check(&name(path), &std::fs::read_to_string(path).unwrap());
    let Some(plan) = checked.plan else { panic!("{} is not valid:\n{}", path.display(), checked.report) };
    stage.redact(&format!("{}{plan:#?}", checked.report))
}

#[test]
fn valid_configs_mean_what_their_snapshots_say() {
    let files = [yaml_files("tests/config/valid"), yaml_files("../configs")].concat();
    for path in files {
        insta::with_settings!({ snapshot_path => "config/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("valid-{}", name(&path)), plan_of(&path));
        });
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
