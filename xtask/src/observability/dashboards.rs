//! The dashboards, as Grafana reads them.

use std::fs;

use anyhow::Context;
use serde::Deserialize;

use crate::workspace;

/// Where they are.
pub const FOLDER: &str = "observability/grafana/dashboards";
/// What Grafana puts in the place of its variables, as long as nobody chooses otherwise.
const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$service", ".*")];

/// A dashboard.
#[derive(Deserialize)]
pub struct Dashboard {
    /// By which links find it.
    pub uid: String,
    /// What people call it.
    pub title: String,
    /// What it shows, and headings in between.
    pub panels: Vec<Panel>,
}

/// A panel.
#[derive(Deserialize)]
pub struct Panel {
    /// What people call it.
    pub title: String,
    /// Its questions; none for a heading.
    #[serde(default)]
    pub targets: Vec<Target>,
}

/// A question.
#[derive(Deserialize)]
pub struct Target {
    /// In PromQL, with variables.
    pub expr: String,
}

/// All of them, by file name.
pub fn all() -> anyhow::Result<Vec<Dashboard>> {
    let folder = workspace::root().join(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    let read = |file: &std::path::PathBuf| serde_json::from_slice(&fs::read(file)?).with_context(|| file.display().to_string());
    files.iter().map(read).collect()
}

impl Target {
    /// The question as Prometheus is asked it.
    pub fn question(&self) -> String {
        VARIABLES.iter().fold(self.expr.clone(), |text, (variable, value)| text.replace(variable, value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const DASHBOARDS: [(&str, &str); 3] = [
        ("millrace-components", "Millrace Components"),
        ("millrace-platform", "Millrace Platform"),
        ("workflow-ecommerce", "Workflow E-Commerce Store"),
    ];
    const STORE_PANELS: [&str; 6] = [
        "Workflow Execution Rate",
        "Workflow Duration (p95)",
        "Workflow Success vs Failure",
        "Active Workflows",
        "HTTP Request Rate",
        "Module Operations",
    ];

    fn file(path: &str) -> String {
        fs::read_to_string(workspace::root().join(path)).unwrap_or_else(|problem| panic!("{path}: {problem}"))
    }

    fn document(uid: &str) -> Value {
        serde_json::from_str(&file(&format!("{FOLDER}/{uid}.json"))).expect("JSON")
    }

    /// Panels that show something.
    fn panels(dashboard: &Value) -> Vec<Value> {
        let panels = dashboard["panels"].as_array().expect("panels");
        panels.iter().filter(|panel| panel["type"] != "row").cloned().collect()
    }

    #[test]
    fn there_are_three_and_links_find_them() {
        let dashboards = all().expect("dashboards");
        assert_eq!(dashboards.iter().map(|board| (&*board.uid, &*board.title)).collect::<Vec<_>>(), DASHBOARDS);
        let store = &dashboards[2];
        assert_eq!(store.panels.iter().map(|panel| &*panel.title).collect::<Vec<_>>(), STORE_PANELS);
    }

    #[test]
    fn no_dashboard_is_tied_to_one_data_source() {
        for (uid, _) in DASHBOARDS {
            let dashboard = document(uid);
            let variables = dashboard["templating"]["list"].as_array().expect("variables");
            assert!(variables.iter().any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource"), "{uid}");
            for panel in panels(&dashboard) {
                let sources = std::iter::once(&panel["datasource"])
                    .chain(panel["targets"].as_array().expect("targets").iter().map(|t| &t["datasource"]));
                for source in sources {
                    assert_eq!(
                        (&source["type"], &source["uid"]),
                        (&"prometheus".into(), &"${datasource}".into()),
                        "{uid}: {}",
                        panel["title"]
                    );
                }
            }
        }
    }

    #[test]
    fn every_panel_says_what_it_shows_in_which_unit_and_whose_each_line_is() {
        for (uid, _) in DASHBOARDS {
            for panel in panels(&document(uid)) {
                let title = panel["title"].as_str().expect("a title");
                assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{uid}: {title}");
                assert!(panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|unit| !unit.is_empty()), "{uid}: {title}");
                let targets = panel["targets"].as_array().expect("targets");
                assert!(!targets.is_empty(), "{uid}: {title}");
                for target in targets {
                    assert!(target["expr"].as_str().is_some_and(|expr| !expr.is_empty()), "{uid}: {title}");
                    let legend = target["legendFormat"].as_str().unwrap_or_default();
                    assert!(panel["type"] == "table" || legend.contains("{{"), "{uid}: {title} has the legend '{legend}'");
                }
            }
        }
    }

    #[test]
    fn panels_have_names_of_their_own_and_do_not_cover_each_other() {
        for (uid, _) in DASHBOARDS {
            let all: Vec<Value> = document(uid)["panels"].as_array().expect("panels").clone();
            let cells = |panel: &Value| {
                let at = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
                (at("x"), at("x") + at("w"), at("y"), at("y") + at("h"))
            };
            for (index, one) in all.iter().enumerate() {
                let (left, right, top, bottom) = cells(one);
                assert!(right <= 24, "{uid}: {}", one["title"]);
                for other in &all[index + 1..] {
                    assert!(one["id"] != other["id"] && one["title"] != other["title"], "{uid}: {} {}", one["title"], other["title"]);
                    let (l, r, t, b) = cells(other);
                    assert!(right <= l || r <= left || bottom <= t || b <= top, "{uid}: {} covers {}", one["title"], other["title"]);
                }
            }
        }
    }

    #[test]
    fn every_variable_of_a_question_is_known() {
        for target in all().expect("dashboards").iter().flat_map(|board| &board.panels).flat_map(|panel| &panel.targets) {
            assert!(!target.question().contains('$'), "{}", target.question());
        }
    }

    #[test]
    fn containers_find_dashboards_rules_and_data_source() {
        let compose = file("docker-compose.yml");
        let provider = file("observability/grafana/provisioning/dashboards/millrace.yml");
        for mount in [
            "./observability/rules:/etc/prometheus/rules:ro",
            "./observability/grafana/provisioning:/etc/grafana/provisioning:ro",
            "./observability/grafana/dashboards:/etc/grafana/dashboards:ro",
        ] {
            assert!(compose.contains(mount), "docker-compose.yml does not mount {mount}");
        }
        assert!(provider.contains("path: /etc/grafana/dashboards\n"), "{provider}");
        assert!(file("observability/grafana/provisioning/datasources/prometheus.yml").contains("uid: prometheus\n"));
    }
}
