//! Web files and the page that stands in for them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use millrace::plan::FileServer;

use crate::support::{Answer, Edge, Setup};

const PAGE: &str = "<!doctype html><title>shop</title>";

/// A folder with a page, assets, a dotfile and links, and an edge that serves it.
struct Web {
    edge: Edge,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

fn web() -> Web {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("dist");
    std::fs::create_dir_all(root.join("assets")).unwrap();
    std::fs::create_dir_all(root.join(".git")).unwrap();
    std::fs::create_dir_all(root.join("admin")).unwrap();
    for (name, text) in [
        ("index.html", PAGE),
        ("admin/index.html", "<!doctype html><title>admin</title>"),
        ("assets/index-DiwrgTda.js", "export {};"),
        ("logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        (".env", "SECRET=1"),
        (".git/config", "[core]"),
        ("../outside.txt", "outside"),
    ] {
        std::fs::write(root.join(name), text).unwrap();
    }
    link("../outside.txt", &root.join("link.txt"));
    link(".env", &root.join("env.txt"));
    let mut setup = Setup::new();
    setup.plan.files.push(server(&root));
    Web { edge: setup.start(), root, _folder: folder }
}

fn server(root: &Path) -> FileServer {
    FileServer {
        name: "files".into(),
        root: root.to_path_buf(),
        prefix: "/".into(),
        spa_fallback: true,
        cache_max_age: Duration::from_secs(3600),
    }
}

fn link(target: &str, at: &Path) {
    std::os::unix::fs::symlink(target, at).unwrap();
}

impl Web {
    async fn navigate(&self, path: &str) -> Answer {
        self.edge.ask(Request::get(path).header("accept", "text/html,*/*;q=0.8").body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn without_a_store_a_page_says_what_this_is() {
    let mut setup = Setup::new();
    setup.plan.files.push(server(Path::new("/nonexistent/dist")));
    for edge in [setup.start(), Setup::new().start()] {
        let answer = edge.get("/").await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").starts_with("text/html"));
        for part in ["Millrace", "/healthz", "/metrics", "/openapi.json", "npm run build", "curl"] {
            assert!(answer.text.contains(part), "{part}");
        }
        assert!(!answer.text.contains("<script") && !answer.text.contains("http://") && !answer.text.contains("https://"));
    }
}

#[tokio::test]
async fn files_are_served_with_how_long_they_may_be_kept() {
    let web = web();
    let page = web.edge.get("/").await;
    assert_eq!((page.text.as_str(), page.header("cache-control")), (PAGE, "no-cache"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    let asset = web.edge.get("/assets/index-DiwrgTda.js").await;
    assert_eq!((asset.status.as_u16(), asset.header("cache-control")), (200, "public, max-age=31536000, immutable"));
    assert!(asset.header("content-type").contains("javascript"));
    assert_eq!(web.edge.get("/logo.svg").await.header("cache-control"), "public, max-age=3600");
    assert!(web.edge.get("/admin/").await.text.contains("admin"));
}

#[tokio::test]
async fn navigation_gets_the_page_and_programs_get_a_404() {
    let web = web();
    assert_eq!(web.navigate("/orders/1").await.text, PAGE);
    web.edge.get("/orders/1").await.problem(404);
    web.edge.get("/assets/gone-12345678.js").await.problem(404);
    for path in ["/api/unknown", "/api", "/metrics/x", "/internal/x"] {
        web.navigate(path).await.problem(404);
    }
}

#[tokio::test]
async fn nothing_hidden_or_outside_the_folder_is_served() {
    let web = web();
    for path in [
        "/.env",
        "/.git/config",
        "/%2eenv",
        "/env.txt",
        "/link.txt",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/assets/..%2f..%2foutside.txt",
        "/%2e%2e%2foutside.txt",
        "//etc/passwd",
        "/logo.svg%00.html",
        "/..%5coutside.txt",
    ] {
        web.edge.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn what_was_sent_a_moment_ago_is_sent_again_only_to_who_asks_the_same() {
    let web = web();
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        web.edge.ask(request.body(Body::empty()).unwrap())
    };
    let first = ask("/logo.svg", &[]).await;
    let again = ask("/logo.svg", &[]).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    for name in ["content-type", "content-length", "last-modified", "cache-control", "x-content-type-options"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
        assert!(!first.header(name).is_empty(), "{name}");
    }
    let part = ask("/logo.svg", &[("range", "bytes=0-3")]).await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, "<svg"));
    let whole = ask("/logo.svg", &[("range", "bytes=0-3"), ("if-range", "\"another version\"")]).await;
    assert_eq!((whole.status.as_u16(), &whole.text), (200, &first.text));
    let since = ask("/logo.svg", &[("if-modified-since", first.header("last-modified"))]).await;
    assert_eq!((since.status.as_u16(), since.text.as_str()), (304, ""));
    assert_eq!(web.navigate("/orders/2").await.text, PAGE);
    web.edge.get("/orders/2").await.problem(404);

    std::fs::write(web.root.join("logo.svg"), "<svg/>").unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while ask("/logo.svg", &[]).await.text != "<svg/>" {
        assert!(tokio::time::Instant::now() < deadline, "the old file is sent for ever");
    }
}

#[tokio::test]
async fn files_are_only_read() {
    let web = web();
    let answer = web.edge.send("POST", "/logo.svg", None, "{}").await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), "GET,HEAD");
    web.edge.send("DELETE", "/unknown", None, "").await.problem(404);
    let head = web.edge.ask(Request::head("/logo.svg").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the age of a file is told by the system's clock")]
async fn what_the_build_has_compressed_is_sent_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    let long = "export const text = 'again and again';".repeat(50);
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    for name in ["current.js", "changed.js", "linked.js"] {
        std::fs::write(root.join(name), &long).unwrap();
        std::fs::write(root.join(format!("{name}.br")), "as built").unwrap();
    }
    std::fs::File::options().write(true).open(root.join("changed.js.br")).unwrap().set_modified(hour_ago).unwrap();
    std::fs::rename(root.join("linked.js.br"), root.join("elsewhere")).unwrap();
    link("elsewhere", &root.join("linked.js.br"));
    let mut setup = Setup::new();
    setup.plan.files.push(server(&root));
    let edge = setup.start();
    let ask = |name: &str, encodings: &str| {
        let request = Request::get(format!("/{name}")).header("accept-encoding", encodings).body(Body::empty()).unwrap();
        edge.ask(request)
    };

    let sent = ask("current.js", "gzip, br").await;
    assert_eq!((sent.status.as_u16(), sent.header("content-encoding"), sent.text.as_str()), (200, "br", "as built"));
    assert_eq!((sent.header("content-type"), sent.header("vary")), ("text/javascript", "accept-encoding"));
    let plain = ask("current.js", "identity").await;
    assert_eq!(plain.text, long);
    assert!(plain.header("etag").starts_with('"'), "{}", plain.header("etag"));
    let zipped = ask("current.js", "gzip").await;
    for (encoded, encoding) in [(&sent, "br"), (&zipped, "gzip")] {
        let tag = encoded.header("etag");
        assert!(tag.starts_with("W/\""), "other bytes than those of the file: {tag}");
        let request = Request::get("/current.js").header("accept-encoding", encoding).header("if-none-match", tag);
        assert_eq!(edge.ask(request.body(Body::empty()).unwrap()).await.status, 304, "{tag}");
    }
    assert_eq!(zipped.header("content-encoding"), "gzip");
    for stale in ["changed.js", "linked.js"] {
        let sent = ask(stale, "br").await;
        assert_eq!(sent.header("content-encoding"), "br", "{stale}");
        assert_ne!(sent.text, "as built", "{stale}");
    }
}
