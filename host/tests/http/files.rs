//! Web files and the page that stands in for them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use millrace::plan::{FileServer, RateLimit};

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
        limit: None,
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

/// A request for `path` with these headers.
async fn ask(edge: &Edge, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
    edge.ask(request.body(Body::empty()).unwrap()).await
}

/// An edge that serves `long.js`, which gains from compression, `built.js` with what a build leaves beside it, and a picture.
fn forms() -> (Edge, tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let long = "export const text = 'again and again';\n".repeat(200);
    for (name, text) in
        [("long.js", long.as_str()), ("built.js", &long), ("built.js.br", "as brotli"), ("built.js.gz", "as gzip"), ("a.png", &long)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut setup = Setup::new();
    setup.plan.files.push(server(&std::fs::canonicalize(folder.path()).unwrap()));
    (setup.start(), folder, long)
}

#[tokio::test]
async fn a_file_is_sent_in_the_best_form_that_the_client_accepts() {
    let (edge, _folder, long) = forms();
    for (accepted, coding) in [
        (None, ""),
        (Some(""), ""),
        (Some("*"), "br"),
        (Some("gzip"), "gzip"),
        (Some("gzip;q=0.9, br;q=0.2"), "gzip"),
        (Some("br;q=0, *"), "gzip"),
        (Some("identity, br;q=0.5"), ""),
        (Some("zstd, deflate"), ""),
        (Some("identity;q=0, gzip"), "gzip"),
    ] {
        let headers: Vec<(&str, &str)> = accepted.iter().map(|accepted| ("accept-encoding", *accepted)).collect();
        for path in ["/long.js", "/built.js"] {
            let sent = ask(&edge, "GET", path, &headers).await;
            assert_eq!((sent.status.as_u16(), sent.header("content-encoding")), (200, coding), "{path} {accepted:?}");
            assert_eq!((sent.header("content-type"), sent.header("vary")), ("text/javascript", "accept-encoding"), "{path}");
            if coding.is_empty() {
                assert_eq!(sent.text, long);
            }
            let head = ask(&edge, "HEAD", path, &headers).await;
            assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""), "{path} {accepted:?}");
            for name in
                ["content-encoding", "content-length", "content-type", "etag", "last-modified", "vary", "cache-control", "accept-ranges"]
            {
                assert_eq!(head.header(name), sent.header(name), "{name} of {path} {accepted:?}");
            }
            assert!(!head.header("content-length").is_empty(), "{path} {accepted:?}");
        }
    }
    assert_eq!(ask(&edge, "GET", "/built.js", &[("accept-encoding", "br")]).await.text, "as brotli");
    assert_eq!(ask(&edge, "GET", "/built.js", &[("accept-encoding", "gzip")]).await.text, "as gzip");
    assert_eq!(ask(&edge, "GET", "/a.png", &[("accept-encoding", "br")]).await.header("content-encoding"), "", "pictures gain nothing");
}

#[tokio::test]
async fn a_client_that_accepts_no_form_of_a_file_is_told_so() {
    let (edge, _folder, _) = forms();
    for (path, accepted) in [("/long.js", "identity;q=0"), ("/built.js", "*;q=0"), ("/a.png", "br, identity;q=0")] {
        let refused = ask(&edge, "GET", path, &[("accept-encoding", accepted)]).await;
        let detail = refused.problem(406);
        assert!(detail.contains(&path[1..]) && detail.contains("Accept-Encoding"), "{detail}");
        assert_eq!(refused.header("vary"), "accept-encoding");
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_a_part_of_the_version_that_the_client_has() {
    let (edge, _folder, long) = forms();
    let whole = ask(&edge, "GET", "/long.js", &[]).await;
    let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
    let weak = format!("W/{tag}");
    let range = ("range", "bytes=7-11");
    for headers in
        [vec![range], vec![range, ("if-range", tag)], vec![range, ("if-range", date)], vec![range, ("accept-encoding", "br, gzip")]]
    {
        let part = ask(&edge, "GET", "/long.js", &headers).await;
        assert_eq!((part.status.as_u16(), part.text.as_str(), part.header("content-encoding")), (206, &long[7..12], ""), "{headers:?}");
        assert_eq!(part.header("content-range"), format!("bytes 7-11/{}", long.len()));
    }
    for headers in [
        vec![range, ("if-range", "\"another\"")],
        vec![range, ("if-range", weak.as_str())],
        vec![range, ("if-range", "Thu, 01 Jan 1970 00:00:00 GMT")],
        vec![("range", "lines=1-2")],
        vec![("range", "bytes=a-b")],
        vec![("range", "bytes=0-1, 4-5")],
    ] {
        let all = ask(&edge, "GET", "/long.js", &headers).await;
        assert_eq!((all.status.as_u16(), &all.text), (200, &long), "{headers:?}");
    }
    let last = ask(&edge, "GET", "/long.js", &[("range", "bytes=-3")]).await;
    assert_eq!((last.status.as_u16(), last.text.as_str()), (206, &long[long.len() - 3..]));
    let beyond = ask(&edge, "GET", "/long.js", &[("range", "bytes=100000-")]).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, format!("bytes */{}", long.len()).as_str()));
    let head = ask(&edge, "HEAD", "/long.js", &[range]).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, long.len().to_string().as_str()), "ranges are of GET only");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again_in_any_form() {
    let (edge, _folder, _) = forms();
    for accepted in ["identity", "br", "gzip"] {
        for path in ["/long.js", "/built.js"] {
            let accepting = ("accept-encoding", accepted);
            let sent = ask(&edge, "GET", path, &[accepting]).await;
            let listed = format!("\"another\", {}", sent.header("etag"));
            for condition in [
                ("if-none-match", sent.header("etag")),
                ("if-none-match", listed.as_str()),
                ("if-none-match", "*"),
                ("if-modified-since", sent.header("last-modified")),
            ] {
                for method in ["GET", "HEAD"] {
                    let kept = ask(&edge, method, path, &[accepting, condition]).await;
                    assert_eq!((kept.status.as_u16(), kept.text.as_str()), (304, ""), "{path} {accepted} {condition:?}");
                    for name in ["etag", "vary", "cache-control"] {
                        assert_eq!(kept.header(name), sent.header(name), "{name} of {path} {accepted} {condition:?}");
                    }
                }
            }
            let changed = [accepting, ("if-none-match", "\"another\""), ("if-modified-since", sent.header("last-modified"))];
            assert_eq!(ask(&edge, "GET", path, &changed).await.status, 200, "the tag counts");
        }
    }
    let tag = ask(&edge, "GET", "/long.js", &[]).await.header("etag").to_owned();
    assert_eq!(ask(&edge, "GET", "/long.js", &[("if-match", tag.as_str())]).await.status, 200);
    assert_eq!(ask(&edge, "GET", "/long.js", &[("if-match", "\"another\"")]).await.status, 412);
    assert_eq!(ask(&edge, "GET", "/long.js", &[("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")]).await.status, 412);
}

#[tokio::test]
async fn a_file_that_was_replaced_by_one_of_the_same_date_and_length_is_another_one() {
    let (edge, folder, _) = forms();
    let date = std::time::UNIX_EPOCH + Duration::from_secs(1);
    let put = |release: &str| {
        let beside = folder.path().join("beside");
        std::fs::write(&beside, format!("{}import './index-{release}.js';", "// the same\n".repeat(200))).unwrap();
        std::fs::File::open(&beside).unwrap().set_modified(date).unwrap();
        std::fs::rename(&beside, folder.path().join("page.js")).unwrap();
    };
    for accepted in ["identity", "br"] {
        put("aaa");
        let first = ask(&edge, "GET", "/page.js", &[("accept-encoding", accepted)]).await;
        put("bbb");
        let tag = first.header("etag").to_owned();
        let second = ask(&edge, "GET", "/page.js", &[("accept-encoding", accepted), ("if-none-match", tag.as_str())]).await;
        assert_eq!((first.header("last-modified"), second.status.as_u16()), (second.header("last-modified"), 200), "{accepted}");
        assert_ne!((first.text, tag.as_str()), (second.text.clone(), second.header("etag")), "{accepted}");
        if accepted == "identity" {
            assert!(second.text.contains("index-bbb.js"), "{}", second.text);
        }
        put("aaa");
        let third = ask(&edge, "GET", "/page.js", &[("accept-encoding", accepted), ("if-none-match", tag.as_str())]).await;
        assert_eq!(third.status.as_u16(), 304, "the same content has the same tag, wherever and whenever it was put");
    }
}

/// How much this thread has worked.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

#[tokio::test]
async fn a_file_is_compressed_once_however_many_ways_there_are_to_ask_for_it() {
    let (edge, folder, _) = forms();
    let lines: String = (0..20_000).map(|line| format!("export const value{line} = {};\n", line * 7919 % 10_007)).collect();
    std::fs::write(folder.path().join("large.js"), &lines).unwrap();
    let begin = worked();
    let first = ask(&edge, "GET", "/large.js", &[("accept-encoding", "br")]).await;
    let once = worked().saturating_sub(begin);
    assert_eq!(first.header("content-encoding"), "br");

    let ways: u32 = 100;
    let begin = worked();
    for way in 0..ways {
        let accepted = format!("br, gzip;q=0.{way:03}, x-{way}");
        let again = ask(&edge, "GET", "/large.js", &[("accept-encoding", &accepted)]).await;
        assert_eq!((again.header("content-encoding"), again.text.len()), ("br", first.text.len()), "{accepted}");
    }
    let all = worked().saturating_sub(begin);
    assert!(all < once * ways / 4, "{ways} requests took {all:?}, the first of all {once:?}");

    std::fs::write(folder.path().join("large.js"), &lines[..lines.len() / 2]).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while ask(&edge, "GET", "/large.js", &[("accept-encoding", "br")]).await.text == first.text {
        assert!(tokio::time::Instant::now() < deadline, "the old version is sent for ever");
    }
}

#[tokio::test]
async fn files_by_convention_are_served_and_never_replaced_by_the_page() {
    let web = web();
    std::fs::create_dir_all(web.root.join(".well-known/acme-challenge")).unwrap();
    std::fs::create_dir_all(web.root.join("assets/.well-known")).unwrap();
    for name in [".well-known/security.txt", ".well-known/acme-challenge/t0ken", ".well-known/.hidden", "assets/.well-known/x.txt"] {
        std::fs::write(web.root.join(name), name).unwrap();
    }
    for path in ["/.well-known/security.txt", "/.well-known/acme-challenge/t0ken", "/%2ewell-known/security.txt"] {
        assert_eq!(web.edge.get(path).await.status, 200, "{path}");
    }
    assert_eq!(web.edge.get("/.well-known/security.txt").await.text, ".well-known/security.txt");
    for path in ["/.well-known/.hidden", "/assets/.well-known/x.txt", "/.well-known", "/.well-known/change-password"] {
        web.edge.get(path).await.problem(404);
    }
    web.navigate("/.well-known/change-password").await.problem(404);
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

#[tokio::test]
async fn a_client_that_asks_for_files_without_end_is_refused_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<!doctype html>").unwrap();
    let limit = RateLimit {
        name: "files".into(),
        requests_per_minute: 1,
        burst_size: 5,
        requests_per_hour: None,
        trusted_proxies: vec!["10.0.0.0/8".into()],
    };
    let mut setup = Setup::new();
    setup.plan.files.push(FileServer { limit: Some(limit), ..server(folder.path()) });
    let edge = setup.start();
    let ask = async |path: &str, client: &str| {
        let request = Request::get(path).header("x-forwarded-for", client).extension(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
        edge.ask(request.body(Body::empty()).unwrap()).await
    };
    for path in ["/", "/", "/nothing.png", "/", "/api/unknown"] {
        assert_ne!(ask(path, "203.0.113.9").await.status, 429);
    }
    for path in ["/", "/nothing.png"] {
        let refused = ask(path, "203.0.113.9").await;
        assert!(refused.problem(429).contains("too many requests") && refused.header("retry-after").parse::<u64>().unwrap() > 0);
    }
    assert_eq!(ask("/", "203.0.113.10").await.status, 200);
    assert_eq!(edge.get("/healthz").await.status, 200, "what is no file does not count");
}
